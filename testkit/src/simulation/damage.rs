//! Damage: experiments on copies of a healthy disk.
//!
//! What is allowed depends on what is left. A frame that is hit may be taken for a torn tail as long as no other byte
//! proves that it had been durable; [`Evidence`] says what the others prove. Everything else must be refused, with every
//! byte as it was, or cost nothing.

use std::sync::Arc;

use foldb_core::{Db, Error, ErrorKind, RecoveryMode};

use super::{
    Generator, Simulation,
    judge::{self, Trouble},
};
use crate::{
    crash::Image,
    machine::{Evidence, FaultClass, Plan, SimHost, SimMachine, SimStorage, damage},
};

/// The classes that happen to a disk at rest.
const AT_REST: [FaultClass; 6] = [
    FaultClass::RotInPayload,
    FaultClass::RotInHeader,
    FaultClass::RotInLength,
    FaultClass::ZeroedRange,
    FaultClass::CutAtRecord,
    FaultClass::GarbageTail,
];

/// A disk, what it should hold, and what it shows.
struct Experiment<'e> {
    class: FaultClass,
    machine: SimMachine,
    whole: &'e Image,
    shown: Image,
    /// The commit that the undamaged disk comes back with.
    newest: u64,
}

impl Simulation {
    /// The process has ended and the power is on: copies of the disk are damaged and opened.
    pub(super) fn damage_copies(&mut self) -> Result<(), String> {
        let classes: Vec<FaultClass> = FaultClass::ALL.into_iter().filter(|class| class.is_damage()).collect();
        for class in classes {
            if self.strikes(class) {
                self.experiment(class).map_err(|what| format!("after a {}: {what}", class.name()))?;
            }
        }
        Ok(())
    }

    fn experiment(&mut self, class: FaultClass) -> Result<(), String> {
        let whole = self.machine.live_image();
        match class {
            FaultClass::MisdirectedWrite => self.misdirect(&whole),
            FaultClass::StaleRead => {
                let plan = Plan::none();
                let Some(machine) = self.machine.with_stale_read(self.random.next(), plan) else { return Ok(()) };
                let shown = machine.shown_image();
                let newest = self.control(&whole)?;
                self.judge_damage(&Experiment { class, machine, whole: &whole, shown, newest })
            }
            class if AT_REST.contains(&class) => {
                let mut image = whole.clone();
                let evidence = Evidence::of(&whole);
                if damage(&mut image, class, &evidence, &mut self.random).is_none() {
                    return Ok(());
                }
                let machine = SimMachine::from_image(self.random.next(), Plan::none(), &image);
                machine.count(class);
                let newest = self.control(&whole)?;
                self.judge_damage(&Experiment { class, machine, whole: &whole, shown: image, newest })
            }
            _ => Ok(()),
        }
    }

    fn host(&mut self) -> Arc<SimHost> {
        Arc::new(SimHost::new(self.random.next()))
    }

    /// What the undamaged disk comes back with.
    fn control(&mut self, whole: &Image) -> Result<u64, String> {
        let machine = SimMachine::from_image(self.random.next(), Plan::none(), whole);
        let host = self.host();
        let db = self.config.open(&machine, &host, false).map_err(|error| format!("undamaged: {error}"))?;
        self.counts.images += 1;
        judge::recovered(&db, &self.history, self.process + 1).map_err(Trouble::text)
    }

    /// A process works on a copy, and one of its writes goes elsewhere.
    fn misdirect(&mut self, whole: &Image) -> Result<(), String> {
        let machine = SimMachine::from_image(self.random.next(), Plan::none(), whole);
        let mut copy = Simulation {
            seed: self.seed,
            random: self.random.split(),
            generator: Generator::new(self.random.split()),
            plan: Plan::none(),
            machine: machine.clone(),
            host: self.host(),
            config: self.config,
            history: self.history.clone(),
            process: self.process,
            counts: self.counts,
            fired: self.fired,
            trace: blake3::Hasher::new(),
            damaged: false,
        };
        let db = copy.config.open(&machine, &copy.host, false).map_err(|error| format!("undamaged: {error}"))?;
        let seq = judge::recovered(&db, &copy.history, copy.process + 1).map_err(Trouble::text)?;
        copy.process += 1;
        copy.history.cut(seq);
        copy.damaged = true;
        machine.misdirect_write(self.random.below(8));
        let steps = 4 + self.random.below(16);
        let lived = copy.live(&db, steps);
        machine.kill();
        drop(db);
        lived?;
        self.counts = copy.counts;
        // What was cut off by the copy is gone from its history alone.
        let history = std::mem::replace(&mut self.history, copy.history);
        let process = std::mem::replace(&mut self.process, copy.process);
        let (whole, shown) = (machine.intended_image(), machine.live_image());
        let judged = if whole == shown {
            self.fired += machine.fired();
            Ok(())
        } else {
            self.control(&whole).and_then(|newest| {
                let class = FaultClass::MisdirectedWrite;
                self.judge_damage(&Experiment { class, machine, whole: &whole, shown, newest })
            })
        };
        (self.history, self.process) = (history, process);
        judged
    }

    fn judge_damage(&mut self, experiment: &Experiment<'_>) -> Result<(), String> {
        self.counts.images += 1;
        let before = experiment.machine.live_image();
        let host = self.host();
        let opened = self.config.open(&experiment.machine, &host, false);
        let judged = match opened {
            Err(error) => self.judge_refusal(experiment, &before, &error),
            Ok(db) => self.judge_survivor(experiment, db),
        };
        self.fired += experiment.machine.fired();
        judged
    }

    /// A refusal names a place that there is, and has changed nothing.
    fn judge_refusal(&mut self, experiment: &Experiment<'_>, before: &Image, error: &Error) -> Result<(), String> {
        let Error::Corrupt { file, offset, .. } = error else {
            return Err(format!("opening fails with {error:?}"));
        };
        let len = |image: &Image| image.len(file);
        let Some(len) = len(experiment.whole).max(len(&experiment.shown)) else {
            return Err(format!("the error names a file that never was: {error}"));
        };
        if *offset > len {
            return Err(format!("the error names an offset behind the end of the file, {len}: {error}"));
        }
        if experiment.machine.live_image() != *before {
            return Err(format!("opening was refused, and the disk has changed: {error}"));
        }
        if experiment.class == FaultClass::GarbageTail || !self.hits_the_log(experiment) {
            return Err(format!("nothing that is needed was damaged, and opening is refused: {error}"));
        }
        self.counts.refused += 1;
        self.salvage(&experiment.shown)
    }

    /// Whether a segment shows other bytes than it should. Damage to a snapshot, or to one of two anchors, has a remedy.
    fn hits_the_log(&self, experiment: &Experiment<'_>) -> bool {
        let differs = |name: &&str| experiment.whole.bytes(name) != experiment.shown.bytes(name);
        let hit: Vec<&str> = experiment.whole.names().filter(differs).collect();
        let anchors = Evidence::of(experiment.whole).anchors.len();
        hit.iter().any(|name| name.starts_with("log-"))
            || (hit.iter().any(|name| name.starts_with("anchor-")) && anchors < 2)
    }

    /// Salvage reads what is left, whatever that is, and writes nothing.
    fn salvage(&mut self, image: &Image) -> Result<(), String> {
        let machine = SimMachine::from_image(self.random.next(), Plan::none(), image);
        let storage = machine.attach().map_err(|error| error.to_string())?;
        let options = self.config.options().recovery(RecoveryMode::Salvage);
        if let Ok(db) = Db::open(storage, self.host(), options) {
            if db.recovery_report().log.complete {
                return Err("salvage claims that the result is complete".into());
            }
            let _ = judge::digests(&db);
            if db.kv().put("salvaged", 1).is_ok() {
                return Err("a salvaged store takes writes".into());
            }
        }
        if machine.live_image() == *image { Ok(()) } else { Err("salvage changes the disk".into()) }
    }

    fn judge_survivor(&mut self, experiment: &Experiment<'_>, db: Db<SimStorage>) -> Result<(), String> {
        let Experiment { class, machine, whole, shown, newest } = experiment;
        let seq = db.view().seq();
        let evidence = Evidence::of(whole);
        let hit = evidence.frames_are_hit(whole, shown);
        let floor = if hit { evidence.proven_by(whole, shown) } else { *newest };
        if seq < floor || seq > *newest {
            let report = db.recovery_report();
            return Err(format!("recovery ends at {seq}, and {floor} to {newest} is allowed: {report:?}"));
        }
        let model = self.history.at(seq).cloned().ok_or_else(|| format!("commit {seq} never was"))?;
        match judge::same(&db, &model, self.process + 1) {
            Ok(()) if seq < *newest => self.counts.shortened += 1,
            Ok(()) => self.counts.harmless += 1,
            Err(Trouble::Store(Error::Corrupt { file, .. })) if whole.bytes(&file) != shown.bytes(&file) => {
                self.counts.noticed += 1;
                machine.kill();
                drop(db);
                return if file.starts_with("snap-") { self.read_around(experiment, floor) } else { Ok(()) };
            }
            Err(trouble) => return Err(format!("after commit {seq}: {}", trouble.text())),
        }
        if *class == FaultClass::StaleRead {
            machine.kill();
            drop(db);
            return self.judge_afterwards(experiment, seq);
        }
        // Work goes on: what is committed now is there when the store is opened once more.
        let committed = db.kv().put("after", "the damage").and_then(|()| db.sync());
        let committed = match committed {
            Ok(seq) => seq,
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
            Err(error) => return Err(format!("going on fails: {error}")),
        };
        machine.kill();
        drop(db);
        let host = self.host();
        match self.config.open(machine, &host, false) {
            Ok(db) if db.view().seq() == committed => Ok(()),
            Ok(db) => Err(format!("commit {committed} was durable, and the next opening has {}", db.view().seq())),
            Err(error) => Err(format!("opened once, and not a second time: {error}")),
        }
    }

    /// A damaged page shows when it is read. Opened with a check of the whole snapshot, nothing is lost that is not damaged
    /// itself: a write that went astray into a snapshot is missing where it should be.
    fn read_around(&mut self, experiment: &Experiment<'_>, floor: u64) -> Result<(), String> {
        let host = self.host();
        let opened = self.config.open(&experiment.machine, &host, true);
        let db = opened.map_err(|error| format!("with a check of snapshots: {error}"))?;
        let (seq, newest) = (db.view().seq(), experiment.newest);
        if seq < floor || seq > newest {
            return Err(format!(
                "with a check of snapshots recovery ends at {seq}, and {floor} to {newest} is allowed"
            ));
        }
        let model = self.history.at(seq).cloned().ok_or_else(|| format!("commit {seq} never was"))?;
        judge::same(&db, &model, self.process + 1).map_err(|trouble| format!("around the snapshot: {}", trouble.text()))
    }

    /// The device shows the truth again: the store is what the last process served, or it says that something is wrong.
    fn judge_afterwards(&mut self, experiment: &Experiment<'_>, served: u64) -> Result<(), String> {
        let host = self.host();
        match self.config.open(&experiment.machine, &host, false) {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(()),
            Err(error) => Err(format!("afterwards opening fails: {error}")),
            Ok(db) => {
                let seq = db.view().seq();
                if seq < served {
                    return Err(format!("commit {served} was served, and afterwards there is {seq}"));
                }
                let model = self.history.at(seq).cloned().ok_or_else(|| format!("commit {seq} never was"))?;
                judge::same(&db, &model, self.process + 1).map_err(Trouble::text)
            }
        }
    }
}
