//! A disk that loses what was not synced: in any order, in pieces, and in silence after a sync that failed.
//!
//! Everything done to the disk is kept as a list. What a crash leaves is computed from a prefix of that list: all that
//! was synced, and of the rest whatever the dice say.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::build::Files;

/// A seeded generator.
#[derive(Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[derive(Clone, Debug)]
enum Action {
    Create,
    Write { offset: usize, bytes: Vec<u8> },
    Remove,
    Sync,
}

#[derive(Clone, Debug)]
struct Done {
    file: String,
    action: Action,
    /// Written before a sync that failed: the page cache shows it, the disk never gets it.
    is_ghost: bool,
}

/// The disk, and what the operating system shows of it.
#[derive(Clone, Default)]
pub(super) struct Disk {
    done: Vec<Done>,
}

impl Disk {
    pub(super) fn of(files: &Files) -> Self {
        let mut disk = Disk::default();
        for (name, bytes) in files {
            disk.create(name);
            disk.write(name, 0, bytes);
            disk.sync(name);
        }
        disk
    }

    fn push(&mut self, file: &str, action: Action) {
        self.done.push(Done { file: file.to_string(), action, is_ghost: false });
    }

    pub(super) fn create(&mut self, file: &str) {
        self.push(file, Action::Create);
    }

    pub(super) fn write(&mut self, file: &str, offset: usize, bytes: &[u8]) {
        self.push(file, Action::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn remove(&mut self, file: &str) {
        self.push(file, Action::Remove);
    }

    pub(super) fn sync(&mut self, file: &str) {
        self.push(file, Action::Sync);
    }

    /// The disk as it is after one of its syncs has failed: of what was not synced until then, some has reached the
    /// disk, and the rest counts as written from now on and never will. `None` where nothing was synced.
    pub(super) fn with_a_failed_sync(&self, dice: &mut Dice) -> Option<(usize, Self)> {
        let syncs: Vec<usize> =
            (0..self.done.len()).filter(|index| matches!(self.done[*index].action, Action::Sync)).collect();
        let failed_at = *syncs.get(dice.roll(syncs.len().max(1) as u64) as usize)?;
        let file = &self.done[failed_at].file;
        let mut disk = Disk { done: self.done[..failed_at].to_vec() };
        for done in disk.done.iter_mut().rev().filter(|done| done.file == *file) {
            match done.action {
                Action::Sync => break,
                Action::Write { .. } => done.is_ghost = dice.roll(3) > 0,
                Action::Create | Action::Remove => {}
            }
        }
        Some((failed_at, disk))
    }

    /// How much has been done, to crash there later.
    pub(super) fn len(&self) -> usize {
        self.done.len()
    }

    /// What programs see without a crash.
    pub(super) fn live(&self) -> Files {
        let mut files = Files::new();
        for done in &self.done {
            apply(&mut files, done, &mut |_| Survival::Whole);
        }
        files
    }

    /// How many things are undecided after the first `prefix` actions.
    pub(super) fn undecided(&self, prefix: usize) -> usize {
        let last_sync = self.last_syncs(prefix);
        self.done[..prefix].iter().enumerate().filter(|(index, done)| is_undecided(*index, done, &last_sync)).count()
    }

    /// What a power failure after the first `prefix` actions leaves. `fate` is asked for each unsynced action, in order.
    pub(super) fn crash(&self, prefix: usize, fate: &mut dyn FnMut(usize) -> Survival) -> Files {
        let last_sync = self.last_syncs(prefix);
        let mut files = Files::new();
        let mut lost_names = BTreeSet::new();
        for (index, done) in self.done[..prefix].iter().enumerate() {
            if done.is_ghost || lost_names.contains(&done.file) {
                continue;
            }
            let mut survival = Survival::Whole;
            if is_undecided(index, done, &last_sync) {
                let len = if let Action::Write { bytes, .. } = &done.action { bytes.len() } else { 0 };
                survival = fate(len);
            }
            if matches!((&done.action, &survival), (Action::Create, Survival::Nothing)) {
                // Without its name a file is not there, whatever was written into it.
                lost_names.insert(done.file.clone());
            }
            apply(&mut files, done, &mut |_| survival.clone());
        }
        files
    }

    fn last_syncs(&self, prefix: usize) -> BTreeMap<&str, usize> {
        let syncs = self.done[..prefix].iter().enumerate().filter(|(_, done)| matches!(done.action, Action::Sync));
        syncs.map(|(index, done)| (done.file.as_str(), index)).collect()
    }
}

fn is_undecided(index: usize, done: &Done, last_sync: &BTreeMap<&str, usize>) -> bool {
    match done.action {
        Action::Sync => false,
        // A removed name may come back at any time.
        Action::Remove => true,
        _ => !done.is_ghost && last_sync.get(done.file.as_str()).is_none_or(|last| *last < index),
    }
}

/// What is left of one action.
#[derive(Clone, Debug)]
pub(super) enum Survival {
    Whole,
    Nothing,
    /// Of a write: these of its bytes.
    Part(core::ops::Range<usize>),
    /// Of a write: garbage in these of its bytes.
    Garbage(core::ops::Range<usize>),
}

impl Survival {
    /// Anything that a disk may do to an unsynced write.
    pub(super) fn by(dice: &mut Dice, len: usize) -> Self {
        let cut = dice.roll(len as u64 + 1) as usize;
        match dice.roll(8) {
            0..3 => Survival::Whole,
            3..6 => Survival::Nothing,
            6 if dice.roll(2) == 0 => Survival::Part(0..cut),
            6 => Survival::Part(cut..len),
            _ => Survival::Garbage(cut..(cut + 16).min(len)),
        }
    }
}

fn apply(files: &mut Files, done: &Done, fate: &mut dyn FnMut(usize) -> Survival) {
    match &done.action {
        Action::Sync => {}
        Action::Create => {
            if !matches!(fate(0), Survival::Nothing) {
                files.insert(done.file.clone(), vec![]);
            }
        }
        Action::Remove => {
            if !matches!(fate(0), Survival::Nothing) {
                files.remove(&done.file);
            }
        }
        Action::Write { offset, bytes } => {
            let Some(file) = files.get_mut(&done.file) else { return };
            let mut put = |range: core::ops::Range<usize>, bytes: &[u8]| {
                let (start, end) = (offset + range.start, offset + range.end);
                file.resize(file.len().max(end), 0);
                file[start..end].copy_from_slice(bytes);
            };
            match fate(bytes.len()) {
                Survival::Nothing => {}
                Survival::Whole => put(0..bytes.len(), bytes),
                Survival::Part(range) => put(range.clone(), &bytes[range]),
                Survival::Garbage(range) => {
                    let garbage = vec![0xa7; range.len()];
                    put(0..bytes.len(), bytes);
                    put(range, &garbage);
                }
            }
        }
    }
}
