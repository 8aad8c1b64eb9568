//! What the machine promises, and what it does not.

use foldb_core::storage::{Storage, StorageError, StorageFile};

use super::{Evidence, FaultClass, Plan, SimMachine, SimStorage};
use crate::conformance::{StorageFactory, assert_conforms};

const NAME: &str = "log-1";

fn machine(class: FaultClass) -> SimMachine {
    SimMachine::new(1, Plan::none().with(class, 1))
}

struct Factory(SimMachine);

impl StorageFactory for Factory {
    type Storage = SimStorage;

    fn fresh(&mut self) -> Result<SimStorage, StorageError> {
        // Transfers are short half of the time: the contract is kept above them.
        let plan = Plan::none().with(FaultClass::ShortRead, 2).with(FaultClass::ShortWrite, 2);
        self.0 = SimMachine::new(1, plan);
        self.0.attach()
    }

    fn reopen(&mut self) -> Result<SimStorage, StorageError> {
        self.0.kill();
        self.0.attach()
    }

    fn second_opener(&mut self) -> Option<Result<SimStorage, StorageError>> {
        Some(self.0.attach())
    }

    fn displace(&mut self) -> bool {
        self.0.displace();
        true
    }
}

#[test]
fn the_contract_is_kept_above_a_device_of_short_transfers() {
    assert_conforms(&mut Factory(SimMachine::new(1, Plan::none())));
}

#[test]
fn short_transfers_are_repeated_until_they_are_complete() {
    let machine = SimMachine::new(1, Plan::none().with(FaultClass::ShortRead, 2).with(FaultClass::ShortWrite, 2));
    let file = machine.attach().unwrap().create(NAME).unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    // Half of the transfers are short: of so many, some are for certain.
    for _ in 0..40 {
        file.write_at(3, &bytes).unwrap();
        let mut read = [0; 259];
        assert_eq!(file.read_at(0, &mut read).unwrap(), 259);
        assert_eq!(read[3..], bytes);
    }
    assert!(machine.fired().of(FaultClass::ShortRead) > 0 && machine.fired().of(FaultClass::ShortWrite) > 0);
}

#[test]
fn a_transfer_of_nothing_is_an_error_and_never_an_end() {
    let file = machine(FaultClass::EmptyWrite).attach().unwrap().create(NAME).unwrap();
    assert!(matches!(file.write_at(0, b"x"), Err(StorageError::Io { .. })));
    let file = machine(FaultClass::EmptyRead).attach().unwrap().create(NAME).unwrap();
    file.write_at(0, b"x").unwrap();
    assert!(matches!(file.read_at(0, &mut [0]), Err(StorageError::Io { .. })));
    assert_eq!(file.read_at(1, &mut [0]).unwrap(), 0, "behind the end nothing is what there is");
}

#[test]
fn what_a_forgetful_sync_should_have_covered_is_readable_until_the_power_fails() {
    let machine = machine(FaultClass::SyncForgets);
    let file = machine.attach().unwrap().create(NAME).unwrap();
    file.write_at(0, b"doomed").unwrap();
    assert!(file.sync().is_err());
    machine.set_plan(Plan::none().with(FaultClass::LostWrite, 1).with(FaultClass::LostName, 1));
    file.sync().unwrap();
    assert_eq!(machine.live_image().bytes(NAME).unwrap(), b"doomed");
    drop(file);
    machine.lose_power();
    assert!(machine.live_image().is_empty());
}

#[test]
fn a_full_disk_shows_where_files_grow_and_a_used_up_quota_at_its_write() {
    let storage = machine(FaultClass::FullAtCreate).attach().unwrap();
    assert!(matches!(storage.create(NAME), Err(StorageError::Full { .. })));
    let machine = machine(FaultClass::QuotaAtWrite);
    let file = machine.attach().unwrap().create(NAME).unwrap();
    let written = (0..100).take_while(|at| file.write_at(*at, b"x").is_ok()).count();
    assert!((1..=60).contains(&written), "{written}");
    assert!(matches!(file.write_at(0, b"x"), Err(StorageError::Full { .. })), "it stays used up");
    machine.kill();
    drop(file);
    assert!(machine.attach().unwrap().open(NAME).unwrap().write_at(0, b"x").is_ok(), "until the next process");
}

#[test]
fn a_misdirected_write_is_missing_in_its_place_and_found_in_another() {
    let machine = SimMachine::new(9, Plan::none());
    let file = machine.attach().unwrap().create(NAME).unwrap();
    file.write_at(0, &[1; 4096]).unwrap();
    machine.misdirect_write(0);
    file.write_at(4096, &[2; 8]).unwrap();
    assert_eq!(machine.fired().of(FaultClass::MisdirectedWrite), 1);
    let (live, intended) = (machine.live_image(), machine.intended_image());
    assert_eq!(intended.bytes(NAME).unwrap()[4096..], [2; 8]);
    assert_eq!(live.bytes(NAME).unwrap()[4096..], [0; 8]);
    assert_eq!(live.bytes(NAME).unwrap().iter().filter(|byte| **byte == 2).count(), 8);
}

#[test]
fn a_stale_region_is_true_again_for_the_next_process() {
    let machine = SimMachine::new(1, Plan::none().with(FaultClass::StaleRead, 1));
    let file = machine.attach().unwrap().create(NAME).unwrap();
    file.write_at(0, b"old").unwrap();
    file.write_at(0, b"new").unwrap();
    let stale = (0..20).find_map(|seed| {
        let stale = machine.with_stale_read(seed, Plan::none())?;
        (stale.shown_image().bytes(NAME).unwrap() == b"old").then_some(stale)
    });
    let stale = stale.expect("one of two regions is the second");
    let read = |machine: &SimMachine| {
        let mut bytes = [0; 3];
        machine.attach().unwrap().open(NAME).unwrap().read_at(0, &mut bytes).unwrap();
        machine.kill();
        bytes
    };
    assert_eq!((&read(&stale), &read(&stale)), (b"old", b"new"));
    assert_eq!(stale.fired().of(FaultClass::StaleRead), 1);
}

#[test]
fn the_power_fails_in_the_middle_of_a_call() {
    let machine = SimMachine::new(1, Plan::none());
    let file = machine.attach().unwrap().create(NAME).unwrap();
    machine.cut_power_after(1);
    file.write_at(0, b"x").unwrap();
    assert!(file.sync().is_err() && machine.is_down());
    assert!(file.len().is_err(), "nothing works without power");
}

#[test]
fn evidence_is_read_as_the_format_says() {
    use std::sync::Arc;

    use foldb_core::{Db, Options};

    let machine = SimMachine::new(1, Plan::none());
    let host = Arc::new(super::SimHost::new(1));
    let db = Db::open(machine.attach().unwrap(), host, Options::new()).unwrap();
    for number in 0..3 {
        db.kv().put("a", number).unwrap();
    }
    db.close().unwrap();
    let image = machine.live_image();
    let evidence = Evidence::of(&image);
    let seqs: Vec<_> = evidence.frames().map(|(_, frame)| (frame.seq, frame.mark)).collect();
    assert_eq!(seqs, [(1, 0), (2, 1), (3, 2), (3, 3)], "three commits and the mark of the clean close");
    assert_eq!(evidence.proven_by(&image, &image), 3);
    let name = image.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    let (_, last) = evidence.frames().last().unwrap();
    let mut damaged = image.clone();
    damaged.flip_bit(&name, u64::try_from(last.begin).unwrap(), 0);
    assert_eq!(evidence.proven_by(&image, &damaged), 3, "the anchors say what the mark said");
    // Another process, which says nothing at its end.
    machine.kill();
    let db = Db::open(machine.attach().unwrap(), Arc::new(super::SimHost::new(2)), Options::new()).unwrap();
    db.kv().put("a", 4).unwrap();
    let image = machine.live_image();
    let evidence = Evidence::of(&image);
    assert_eq!(evidence.proven_by(&image, &image), 3, "without a mark the last commit has no witness");
    assert!(evidence.frames_are_hit(&image, &damaged));
}
