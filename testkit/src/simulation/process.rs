//! Beginnings and ends of processes: opening, closing, killing, losing power, and what is judged in between.

use std::sync::Arc;

use foldb_core::{Db, Durability, Error, ErrorKind, Options, RecoveryMode};

use super::{
    Config, FAILING, Simulation,
    judge::{self, Trouble},
};
use crate::{
    crash::Image,
    machine::{Fired, Plan, SimHost, SimMachine, SimStorage},
};

/// From here on an opening is given a machine that does not fail: it has to succeed some time.
const ATTEMPTS_MAX: u32 = 8;

impl Simulation {
    /// Whether a failing call of the store can be the machine's doing.
    pub(super) fn is_disturbed(&self, before: &Fired) -> bool {
        let now = self.machine.fired();
        self.machine.is_down() || FAILING.iter().any(|class| now.of(*class) > before.of(*class))
    }

    /// A new process opens the store: however often the machine fails on the way, what comes out is what was promised.
    pub(super) fn reopen(&mut self) -> Result<Db<SimStorage>, String> {
        for attempt in 0.. {
            if attempt == ATTEMPTS_MAX {
                self.machine.set_plan(Plan::none());
            }
            if attempt < ATTEMPTS_MAX && self.config.durability != Durability::InMemory && self.random.chance(1, 6) {
                self.machine.cut_power_after(self.random.below(14));
            }
            let before = self.machine.fired();
            let check_snapshots = self.random.chance(1, 4);
            self.host.advance(1000);
            let opened = self.config.open(&self.machine, &self.host, check_snapshots);
            let judged = opened.map_err(Trouble::Store).and_then(|db| self.judge_opened(db));
            match judged {
                Ok(db) if !self.machine.is_down() => {
                    self.machine.cut_power_after(u64::MAX);
                    self.machine.set_plan(self.plan);
                    return Ok(db);
                }
                Ok(db) => drop(db),
                Err(Trouble::Store(error)) if self.is_disturbed(&before) => self.allowed_at_opening(&error)?,
                Err(trouble) => return Err(format!("opening, attempt {attempt}: {}", trouble.text())),
            }
            self.machine.kill();
            if self.machine.is_down() || self.random.chance(1, 3) {
                self.judge_crash()?;
                self.lose_power();
            }
        }
        Err("an opening never succeeds".into())
    }

    fn judge_opened(&mut self, db: Db<SimStorage>) -> Result<Db<SimStorage>, Trouble> {
        let seq = judge::survived(&db, &self.history, self.process + 1)?;
        self.process += 1;
        self.counts.processes += 1;
        self.counts.images += 1;
        self.history.cut(seq);
        self.note(("opened", seq));
        Ok(db)
    }

    fn lose_power(&mut self) {
        self.machine.lose_power();
        self.history.lose_power();
    }

    /// A device that fails says nothing about what is on it.
    fn allowed_at_opening(&self, error: &Error) -> Result<(), String> {
        match error.kind() {
            ErrorKind::Io | ErrorKind::StorageFull => Ok(()),
            _ => Err(format!("the device failed, and opening calls it {error:?}")),
        }
    }

    /// The process ends, in one way or another.
    pub(super) fn end(&mut self, db: Db<SimStorage>) -> Result<(), String> {
        if self.machine.is_down() {
            drop(db);
            self.judge_crash()?;
            self.lose_power();
            self.note("power lost in a call");
            return Ok(());
        }
        let way = self.random.below(6);
        self.note(("ends", way));
        match way {
            0 | 1 => self.close(db)?,
            2 => drop(db),
            _ => {
                self.machine.kill();
                drop(db);
            }
        }
        self.machine.kill();
        if !self.machine.is_down() && self.random.chance(1, 3) {
            self.damage_copies()?;
        }
        if self.machine.is_down() || self.random.chance(1, 2) {
            self.judge_crash()?;
            self.lose_power();
            self.note("power lost");
        }
        Ok(())
    }

    fn close(&mut self, db: Db<SimStorage>) -> Result<(), String> {
        match db.close() {
            Ok(()) => {
                self.history.promise(self.history.newest().seq());
                Ok(())
            }
            // Which of the failures of its life it was does not matter any more.
            Err(error) => match error.kind() {
                ErrorKind::Io | ErrorKind::StorageFull | ErrorKind::Poisoned | ErrorKind::OutcomeUnknown
                    if self.machine.fired().total() > 0 || self.machine.is_down() =>
                {
                    Ok(())
                }
                _ => Err(format!("closing fails: {error}")),
            },
        }
    }

    /// Some of the ways in which a power failure now can end, each judged on a machine of its own.
    fn judge_crash(&mut self) -> Result<(), String> {
        for _ in 0..self.random.below(4) {
            let image = self.machine.crash_image();
            self.judge_image(&image)?;
        }
        Ok(())
    }

    /// Opens an image, and now and then again and again.
    fn judge_image(&mut self, image: &Image) -> Result<(), String> {
        let machine = SimMachine::from_image(self.random.next(), Plan::none(), image);
        let host = Arc::new(SimHost::new(self.random.next()));
        let config = self.config;
        let open =
            |machine: &SimMachine| config.open(machine, &host, false).map_err(|error| format!("opening: {error}"));
        let db = open(&machine)?;
        let seq = judge::recovered(&db, &self.history, self.process + 1).map_err(Trouble::text)?;
        self.counts.images += 1;
        if self.counts.images.is_multiple_of(4) {
            look_at(image, &db)?;
        }
        if self.random.chance(1, 2) {
            self.judge_strictly(image, &db)?;
        }
        if self.random.chance(1, 4) {
            let digest = judge::digests(&db).map_err(|error| error.to_string())?;
            machine.kill();
            drop(db);
            self.open_again(&machine, &config, &host, (seq, &digest))?;
        }
        Ok(())
    }

    /// Strict recovery accepts an image exactly where the default has found nothing that a crash may leave behind, gives the
    /// same then, and changes nothing otherwise.
    fn judge_strictly(&mut self, image: &Image, accepted: &Db<SimStorage>) -> Result<(), String> {
        let machine = SimMachine::from_image(self.random.next(), Plan::none(), image);
        let host = Arc::new(SimHost::new(self.random.next()));
        let storage = machine.attach().map_err(|error| error.to_string())?;
        let report = accepted.recovery_report();
        let is_clean = report.damage.is_empty()
            && report.rejected_snapshots.is_empty()
            && report.log.damage.is_empty()
            && report.log.cut.is_none()
            && report.log.orphaned_transactions == 0;
        self.counts.images += 1;
        match Db::open(storage, host, self.config.options().recovery(RecoveryMode::Strict)) {
            Ok(_) if !is_clean => Err(format!("strict recovery accepts what is left of a crash: {report:?}")),
            Ok(db) => {
                let text = |error: Error| format!("in strict mode: {error}");
                let (strict, default) = (judge::digests(&db).map_err(text)?, judge::digests(accepted).map_err(text)?);
                let (seq, expected) = (db.view().seq(), accepted.view().seq());
                let same = seq == expected && strict == default;
                if same { Ok(()) } else { Err(format!("strict recovery ends at {seq} and the default at {expected}")) }
            }
            Err(error) if is_clean => Err(format!("strict recovery refuses a clean store: {error}")),
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(format!("strict recovery says {error:?}")),
            Err(_) if machine.live_image() != *image => Err("strict recovery refuses, and changes the disk".into()),
            Err(_) => Ok(()),
        }
    }

    /// Once more gives the same, a third time changes nothing, verification finds nothing, and work goes on.
    fn open_again(
        &mut self,
        machine: &SimMachine,
        config: &Config,
        host: &Arc<SimHost>,
        (seq, digest): (u64, &str),
    ) -> Result<(), String> {
        let open = || config.open(machine, host, false).map_err(|error| format!("opening again: {error}"));
        let text = |error: Error| error.to_string();
        let db = open()?;
        if db.view().seq() != seq || judge::digests(&db).map_err(text)? != digest {
            return Err(format!("recovered {seq} with {digest}, then {}", db.view().seq()));
        }
        machine.kill();
        drop(db);
        let before = machine.live_image();
        let db = open()?;
        if machine.live_image() != before {
            return Err("the third opening changes the disk".into());
        }
        judge::verified(&db).map_err(Trouble::text)?;
        self.counts.verified += 1;
        self.counts.images += 2;
        db.kv().put("after", "the crash").map_err(text)?;
        db.sync().map_err(text)?;
        machine.kill();
        drop(db);
        machine.lose_power();
        let db = open()?;
        match db.kv().get::<String>("after").map_err(text)? {
            Some(value) if value == "the crash" => Ok(()),
            other => Err(format!("the commit after the crash is {other:?}")),
        }
    }
}

/// Whoever only reads what is left of a crash sees what recovery comes to, and changes nothing.
fn look_at(image: &Image, accepted: &Db<SimStorage>) -> Result<(), String> {
    let machine = SimMachine::from_image(0, Plan::none(), image);
    let storage = machine.attach().map_err(|error| error.to_string())?;
    let options = Options::new().read_only(true);
    let (seq, created) = (accepted.view().seq(), accepted.recovery_report().created);
    match Db::open(storage, Arc::new(SimHost::new(0)), options) {
        Err(error) if created && error.kind() == ErrorKind::NotAStore => {}
        Err(error) => return Err(format!("looking at what recovers to {seq}: {error}")),
        Ok(_) if created => return Err("looking at a store in which nothing was committed gives one".into()),
        Ok(db) => {
            let text = |error: Error| format!("looking: {error}");
            let (seen, expected) = (judge::digests(&db).map_err(text)?, judge::digests(accepted).map_err(text)?);
            if (db.view().seq(), &seen) != (seq, &expected) {
                return Err(format!("who looks sees commit {}, and recovery comes to {seq}", db.view().seq()));
            }
            if db.refresh().map_err(text)? != seq {
                return Err(format!("a refresh goes away from {seq} where nothing has happened"));
            }
        }
    }
    if machine.live_image() == *image { Ok(()) } else { Err("looking has changed the disk".into()) }
}
