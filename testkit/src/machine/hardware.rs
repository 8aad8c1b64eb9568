//! [`Machine`]: what the disk holds, what it shows, what of it is durable, and the dice.
//!
//! Invariant: the live contents are what every acknowledged transfer left; `medium` is what a power failure may leave of
//! it. Both change together. What a device did behind the back of its user (a misdirected write) is in the live contents,
//! and what the user meant is in `intended`.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use foldb_core::storage::StorageError;

use super::fault::{FaultClass, Fired, Plan};
use crate::{
    Random,
    crash::{
        Action, CrashPoint, Fate, FileId, Image, Operation, Pending,
        contents::{Contents, wide},
        medium::Medium,
    },
};

const SECTOR_BYTES: usize = 512;
/// How many earlier states of a region are kept to be read again.
const PREVIOUS_KEPT: usize = 6;
/// Longer writes are not kept: a stale megabyte finds nothing that a stale page does not.
const PREVIOUS_BYTES_MAX: usize = 8192;

pub(super) struct Machine {
    names: BTreeMap<String, FileId>,
    files: BTreeMap<FileId, LiveFile>,
    next_file: usize,
    medium: Medium,
    /// How many changes were asked for since the machine started.
    index: usize,
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) fired: Fired,
    /// The process that has the store open.
    pub(super) owner: Option<u64>,
    /// The process that had it when its lock was taken away.
    pub(super) displaced: Option<u64>,
    pub(super) processes: u64,
    /// How many processes there had been when the machine started: older handles mean other files.
    started_after: u64,
    /// After so many more changes the power fails.
    pub(super) cut_after: Option<u64>,
    pub(super) down: bool,
    sync_broken: bool,
    /// Writes that the quota has room for.
    quota: Option<u64>,
    /// The write that goes to a wrong place, counted from now.
    pub(super) misdirect_after: Option<u64>,
    trace: blake3::Hasher,
}

struct LiveFile {
    name: Arc<str>,
    contents: Contents,
    /// What the user of the device believes to be there, where that is something else.
    intended: Option<Contents>,
    /// What a reader is shown instead, until the process ends.
    stale: Option<Contents>,
    /// What was in a region before it was written.
    previous: VecDeque<(u64, Vec<u8>)>,
    handles: usize,
    dirty: bool,
    /// The last handle was dropped while bytes were not synced.
    left_dirty: bool,
}

impl LiveFile {
    fn new(name: &str, contents: Contents) -> Self {
        Self {
            name: name.into(),
            contents,
            intended: None,
            stale: None,
            previous: VecDeque::new(),
            handles: 0,
            dirty: false,
            left_dirty: false,
        }
    }
}

fn io(name: &str, action: &'static str, message: &str) -> StorageError {
    StorageError::Io { name: name.into(), action, message: message.into() }
}

impl Machine {
    pub(super) fn new(random: Random, plan: Plan, image: &Image) -> Self {
        let mut machine = Self {
            names: BTreeMap::new(),
            files: BTreeMap::new(),
            next_file: 0,
            medium: Medium::default(),
            index: 0,
            plan,
            random,
            fired: Fired::default(),
            owner: None,
            displaced: None,
            processes: 0,
            started_after: 0,
            cut_after: None,
            down: false,
            sync_broken: false,
            quota: None,
            misdirect_after: None,
            trace: blake3::Hasher::new(),
        };
        machine.start_from(image);
        machine
    }

    /// The machine starts with these files, all of them durable.
    pub(super) fn start_from(&mut self, image: &Image) {
        self.names = image.files.keys().enumerate().map(|(id, name)| (name.to_string(), FileId(id))).collect();
        let file = |(id, (name, contents)): (usize, (&Arc<str>, &Contents))| {
            (FileId(id), LiveFile::new(name, contents.clone()))
        };
        self.files = image.files.iter().enumerate().map(file).collect();
        self.next_file = self.files.len();
        self.medium = Medium::new(image);
        (self.index, self.cut_after, self.down) = (0, None, false);
        self.started_after = self.processes;
        self.process_ended();
    }

    pub(super) fn process_begins(&mut self) -> u64 {
        self.processes += 1;
        self.owner = Some(self.processes);
        self.quota = self.strikes(FaultClass::QuotaAtWrite).then(|| 1 + self.random.below(60));
        self.processes
    }

    /// Devices and quotas are mended between processes.
    pub(super) fn process_ended(&mut self) {
        self.owner = None;
        self.sync_broken = false;
        self.quota = None;
        self.misdirect_after = None;
        for file in self.files.values_mut() {
            file.stale = None;
        }
    }

    /// Whether a class strikes now. It is counted where it does its work.
    fn strikes(&mut self, class: FaultClass) -> bool {
        let one_in = self.plan.one_in(class);
        one_in > 0 && self.random.chance(1, one_in.into())
    }

    fn note(&mut self, what: u8, file: FileId, numbers: [u64; 2], bytes: &[u8]) {
        self.trace.update(&[what]);
        for number in [wide(file.0), numbers[0], numbers[1]] {
            self.trace.update(&number.to_le_bytes());
        }
        self.trace.update(bytes);
    }

    pub(super) fn trace_digest(&self) -> [u8; 32] {
        *self.trace.finalize().as_bytes()
    }

    /// Before every change: the power may fail just here.
    fn reach(&mut self, name: &str, action: &'static str) -> Result<(), StorageError> {
        match self.cut_after {
            Some(0) => {
                self.down = true;
                Err(io(name, action, "the power failed"))
            }
            Some(left) => {
                self.cut_after = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn record(&mut self, id: FileId, action: Action) {
        let Some(file) = self.files.get(&id) else { return };
        let operation = Operation { file: id, name: Arc::clone(&file.name), action };
        self.medium.apply(self.index, &operation);
        self.index += 1;
    }

    pub(super) fn read_may_fail(&mut self, name: &str, action: &'static str) -> Result<(), StorageError> {
        if self.strikes(FaultClass::ReadError) {
            self.fired.count(FaultClass::ReadError);
            return Err(io(name, action, "the device failed"));
        }
        Ok(())
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn create(&mut self, name: &str) -> Result<FileId, StorageError> {
        self.reach(name, "creating")?;
        if self.names.contains_key(name) {
            return Err(StorageError::Exists { name: name.into() });
        }
        self.check_room(name, "creating")?;
        let id = FileId(self.next_file);
        self.next_file += 1;
        self.files.insert(id, LiveFile { handles: 1, ..LiveFile::new(name, Contents::default()) });
        self.names.insert(name.into(), id);
        self.record(id, Action::Create);
        self.note(1, id, [0; 2], name.as_bytes());
        Ok(id)
    }

    pub(super) fn open(&mut self, name: &str) -> Result<FileId, StorageError> {
        let id = *self.names.get(name).ok_or_else(|| StorageError::Missing { name: name.into() })?;
        if let Some(file) = self.files.get_mut(&id) {
            file.handles += 1;
        }
        Ok(id)
    }

    pub(super) fn close(&mut self, process: u64, id: FileId) {
        if process > self.started_after
            && let Some(file) = self.files.get_mut(&id)
        {
            file.handles = file.handles.saturating_sub(1);
            file.left_dirty |= file.handles == 0 && file.dirty;
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), StorageError> {
        self.reach(name, "removing")?;
        let id = self.names.remove(name).ok_or_else(|| StorageError::Missing { name: name.into() })?;
        self.record(id, Action::Remove);
        self.note(2, id, [0; 2], name.as_bytes());
        Ok(())
    }

    pub(super) fn len(&self, id: FileId) -> u64 {
        self.files.get(&id).map_or(0, |file| file.contents.len())
    }

    /// One transfer: as many bytes as the device feels like.
    pub(super) fn read_some(&mut self, id: FileId, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let name = self.name(id);
        self.read_may_fail(&name, "reading")?;
        let inside = offset < self.len(id) && !buffer.is_empty();
        if inside && self.strikes(FaultClass::EmptyRead) {
            self.fired.count(FaultClass::EmptyRead);
            return Ok(0);
        }
        let mut count = buffer.len();
        if inside && count > 1 && self.strikes(FaultClass::ShortRead) {
            count = 1 + self.random.index(count - 1);
        }
        let Some(file) = self.files.get(&id) else { return Ok(0) };
        let read = file.contents.read(offset, &mut buffer[..count]);
        if let Some(stale) = &file.stale {
            let mut shown = vec![0; read];
            stale.read(offset, &mut shown);
            if shown != buffer[..read] {
                buffer[..read].copy_from_slice(&shown);
                self.fired.count(FaultClass::StaleRead);
            }
        }
        if read == count && count < buffer.len() {
            self.fired.count(FaultClass::ShortRead);
        }
        Ok(read)
    }

    /// One transfer: as many bytes as the device feels like.
    pub(super) fn write_some(&mut self, id: FileId, offset: u64, bytes: &[u8]) -> Result<usize, StorageError> {
        let name = self.name(id);
        self.reach(&name, "writing")?;
        self.write_may_fail(&name)?;
        if self.strikes(FaultClass::EmptyWrite) {
            self.fired.count(FaultClass::EmptyWrite);
            return Ok(0);
        }
        let mut count = bytes.len();
        if count > 1 && self.strikes(FaultClass::ShortWrite) {
            count = 1 + self.random.index(count - 1);
            self.fired.count(FaultClass::ShortWrite);
        }
        let bytes = &bytes[..count];
        self.note(3, id, [offset, wide(count)], bytes);
        match self.misdirect_after {
            Some(0) => {
                self.misdirect_after = None;
                self.misdirect(id, offset, bytes);
            }
            left => {
                self.misdirect_after = left.map(|left| left - 1);
                self.write(id, offset, bytes);
            }
        }
        Ok(count)
    }

    fn write_may_fail(&mut self, name: &str) -> Result<(), StorageError> {
        if self.strikes(FaultClass::WriteError) {
            self.fired.count(FaultClass::WriteError);
            return Err(io(name, "writing", "the device failed"));
        }
        let full = StorageError::Full { name: name.into(), action: "writing" };
        if self.strikes(FaultClass::FullAtWrite) {
            self.fired.count(FaultClass::FullAtWrite);
            return Err(full);
        }
        match self.quota {
            Some(0) => {
                self.fired.count(FaultClass::QuotaAtWrite);
                Err(full)
            }
            left => {
                self.quota = left.map(|left| left - 1);
                Ok(())
            }
        }
    }

    fn check_room(&mut self, name: &str, action: &'static str) -> Result<(), StorageError> {
        let class = if self.quota == Some(0) { FaultClass::QuotaAtWrite } else { FaultClass::FullAtCreate };
        if class == FaultClass::QuotaAtWrite || self.strikes(class) {
            self.fired.count(class);
            return Err(StorageError::Full { name: name.into(), action });
        }
        Ok(())
    }

    fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) {
        let keeps_previous = self.plan.enables(FaultClass::StaleRead) && bytes.len() <= PREVIOUS_BYTES_MAX;
        if let Some(file) = self.files.get_mut(&id) {
            if keeps_previous {
                let mut before = vec![0; bytes.len()];
                file.contents.read(offset, &mut before);
                file.previous.push_back((offset, before));
                if file.previous.len() > PREVIOUS_KEPT {
                    file.previous.pop_front();
                }
            }
            file.contents.write(offset, bytes);
            for other in [&mut file.intended, &mut file.stale].into_iter().flatten() {
                other.write(offset, bytes);
            }
            file.dirty = true;
        }
        self.record(id, Action::Write { offset, bytes: bytes.into() });
    }

    /// The bytes land in another place, and the device says that all is well.
    fn misdirect(&mut self, id: FileId, offset: u64, bytes: &[u8]) {
        let victims: Vec<FileId> = self.names.values().copied().collect();
        let victim = if self.random.chance(1, 2) { id } else { victims[self.random.index(victims.len())] };
        let room = self.len(victim).saturating_sub(wide(bytes.len()));
        let unit = if self.random.chance(1, 2) { 8 } else { 512 };
        let target = self.random.below(room / unit + 1) * unit;
        if (victim, target) == (id, offset) {
            return self.write(id, offset, bytes);
        }
        self.fired.count(FaultClass::MisdirectedWrite);
        for file in [id, victim] {
            if let Some(file) = self.files.get_mut(&file) {
                file.intended.get_or_insert_with(|| file.contents.clone());
                file.dirty = true;
            }
        }
        if let Some(intended) = self.files.get_mut(&id).and_then(|file| file.intended.as_mut()) {
            intended.write(offset, bytes);
        }
        if let Some(file) = self.files.get_mut(&victim) {
            file.contents.write(target, bytes);
        }
        // The file grows as it was asked to, or a device that lies about a place would also forget a length.
        let end = offset + wide(bytes.len());
        if end > self.len(id) {
            if let Some(file) = self.files.get_mut(&id) {
                file.contents.set_len(end);
            }
            self.record(id, Action::SetLen { len: end });
        }
        self.record(victim, Action::Write { offset: target, bytes: bytes.into() });
    }

    pub(super) fn set_len(&mut self, id: FileId, len: u64) -> Result<(), StorageError> {
        let name = self.name(id);
        self.reach(&name, "extending")?;
        if len > self.len(id) {
            self.check_room(&name, "extending")?;
        }
        if let Some(file) = self.files.get_mut(&id) {
            file.contents.set_len(len);
            for other in [&mut file.intended, &mut file.stale].into_iter().flatten() {
                other.set_len(len);
            }
            file.dirty = true;
        }
        self.record(id, Action::SetLen { len });
        self.note(4, id, [len, 0], &[]);
        Ok(())
    }

    pub(super) fn sync(&mut self, id: FileId) -> Result<(), StorageError> {
        let name = self.name(id);
        self.reach(&name, "syncing")?;
        if self.sync_broken || self.strikes(FaultClass::SyncError) {
            self.sync_broken = true;
            self.fired.count(FaultClass::SyncError);
            return Err(io(&name, "syncing", "the device failed"));
        }
        let forgets = self.strikes(FaultClass::SyncForgets);
        self.record(id, if forgets { Action::SyncFailed } else { Action::Sync });
        self.note(5, id, [u64::from(forgets), 0], &[]);
        if forgets {
            self.fired.count(FaultClass::SyncForgets);
            return Err(io(&name, "syncing", "the device failed, once"));
        }
        if let Some(file) = self.files.get_mut(&id) {
            (file.dirty, file.left_dirty) = (false, false);
        }
        Ok(())
    }

    fn name(&self, id: FileId) -> Arc<str> {
        self.files.get(&id).map_or_else(|| "".into(), |file| Arc::clone(&file.name))
    }

    /// The files as a process sees them.
    pub(super) fn live_image(&self) -> Image {
        self.image_of(|file| file.contents.clone())
    }

    /// The files as they would be if the device had done what it was told.
    pub(super) fn intended_image(&self) -> Image {
        self.image_of(|file| file.intended.as_ref().unwrap_or(&file.contents).clone())
    }

    /// The files as this process is shown them.
    pub(super) fn shown_image(&self) -> Image {
        self.image_of(|file| file.stale.as_ref().unwrap_or(&file.contents).clone())
    }

    fn image_of(&self, contents: impl Fn(&LiveFile) -> Contents) -> Image {
        let file = |(name, id): (&String, &FileId)| Some((name.as_str().into(), contents(self.files.get(id)?)));
        Image { files: self.names.iter().filter_map(file).collect() }
    }

    /// From now on, and until the process ends, a region reads as it was before it was last written. Returns whether there
    /// is such a region.
    pub(super) fn go_stale(&mut self, from: &Machine) -> bool {
        let candidates: Vec<(&String, &LiveFile)> = from
            .names
            .iter()
            .filter_map(|(name, id)| from.files.get(id).map(|file| (name, file)))
            .filter(|(_, file)| !file.previous.is_empty())
            .collect();
        if candidates.is_empty() {
            return false;
        }
        let (name, file) = candidates[self.random.index(candidates.len())];
        let (offset, bytes) = &file.previous[self.random.index(file.previous.len())];
        let Some(own) = self.names.get(name).and_then(|id| self.files.get_mut(id)) else { return false };
        let mut stale = own.contents.clone();
        stale.write(*offset, bytes);
        stale.set_len(own.contents.len());
        own.stale = Some(stale);
        true
    }

    /// What a power failure now leaves, as the dice of the plan have it.
    pub(super) fn crash_image(&mut self) -> Image {
        let point = CrashPoint::new(self.medium.clone());
        // Whole and empty outcomes are rare among many operations, and are where much goes wrong.
        let mood = self.random.below(8);
        let mut fates: Vec<Fate> = point.pending().iter().map(|pending| self.fate(pending, mood)).collect();
        if !self.plan.enables(FaultClass::Reordered)
            && let Some(first) = fates.iter().position(|fate| *fate != Fate::Whole)
        {
            fates[first + 1..].fill(Fate::Lost);
        }
        self.count_fates(point.pending(), &fates);
        point.image(&fates)
    }

    fn fate(&mut self, pending: &Pending, mood: u64) -> Fate {
        let lost = match pending.operation.action {
            Action::Create => FaultClass::LostName,
            Action::Remove => FaultClass::ReturnedName,
            _ => FaultClass::LostWrite,
        };
        let is_lost = match mood {
            0 => self.plan.enables(lost),
            1 => false,
            _ => self.strikes(lost),
        };
        if is_lost {
            return Fate::Lost;
        }
        let Action::Write { bytes, .. } = &pending.operation.action else { return Fate::Whole };
        if mood != 1 && bytes.len() > 1 && self.strikes(FaultClass::TornAtByte) {
            return Fate::Prefix(1 + self.random.index(bytes.len() - 1));
        }
        if mood != 1 && bytes.len() > SECTOR_BYTES && self.strikes(FaultClass::TornAtSector) {
            let mut kept: Vec<bool> = bytes.chunks(SECTOR_BYTES).map(|_| self.random.chance(1, 2)).collect();
            // One of each, or it is not torn.
            let place = self.random.index(kept.len());
            let other = (place + 1) % kept.len();
            (kept[place], kept[other]) = (true, false);
            return Fate::Sectors(kept);
        }
        Fate::Whole
    }

    fn count_fates(&mut self, pending: &[Pending], fates: &[Fate]) {
        let (mut missing, mut reordered) = (false, false);
        for (pending, fate) in pending.iter().zip(fates) {
            let class = match (fate, &pending.operation.action) {
                (Fate::Prefix(_), _) => Some(FaultClass::TornAtByte),
                (Fate::Sectors(_), _) => Some(FaultClass::TornAtSector),
                (Fate::Lost, Action::Create) => Some(FaultClass::LostName),
                (Fate::Lost, Action::Remove) => Some(FaultClass::ReturnedName),
                (Fate::Lost, _) => Some(FaultClass::LostWrite),
                _ => None,
            };
            class.into_iter().for_each(|class| self.fired.count(class));
            reordered |= missing && *fate != Fate::Lost;
            missing |= *fate != Fate::Whole;
            let left_dirty = self.files.get(&pending.operation.file).is_some_and(|file| file.left_dirty);
            if class == Some(FaultClass::LostWrite) && left_dirty {
                self.fired.count(FaultClass::UnflushedClose);
            }
        }
        if reordered {
            self.fired.count(FaultClass::Reordered);
        }
    }
}
