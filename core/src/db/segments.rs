//! Room for the log: growing the active segment, and going on in a new one.
//!
//! Invariants:
//! - A segment is left only when it is complete and on stable media; so only the newest one can have a torn tail.
//! - A new segment's header is on stable media, and an anchor names it, before the first commit goes into it.
//! - A full disk shows here, before a commit is encoded: nothing is lost and the store stays usable.

use alloc::string::ToString;

use super::shared::{Core, Shared};
use crate::{
    Error, ErrorKind, Result,
    engine::SpaceNeeded,
    limits::NUMBER_MAX,
    log::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name},
    planted::{self, Planted},
    storage::{Storage, StorageError, StorageFile},
    sync::MutexGuard,
};

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl<S: Storage> Shared<S> {
    /// Makes the room that a commit needs. The lock is kept (or given back where another thread is writing: then the
    /// caller asks again). Fails with `StorageFull` where the disk is full, with `NotReady` where a browser's pool is
    /// empty, with `TooManyOpen` where the system has no handle left; any other failure poisons the store.
    pub(crate) fn make_space<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        needed: &SpaceNeeded,
    ) -> Result<MutexGuard<'a, Core>> {
        if core.flushing && !planted::active(Planted::RotationDoesNotWait) {
            return Ok(self.wait(core));
        }
        match needed {
            SpaceNeeded::Extend { segment, write_end, len } => self.extend(core, *segment, *write_end, *len),
            SpaceNeeded::Resume { segment, write_end, len } => self.resume(core, *segment, *write_end, *len),
            SpaceNeeded::Rotate { header, write_end, len } => self.rotate(core, header, *write_end, *len),
        }
    }

    /// Goes on in the segment that an earlier opening has ended cleanly. Nothing is written yet: what says so goes to the
    /// storage with the first commit.
    fn resume<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        segment: u64,
        write_end: u64,
        len: u64,
    ) -> Result<MutexGuard<'a, Core>> {
        let file = self.files.segment(&self.storage, segment)?;
        if len > file.len()?
            && let Err(error) = self.reserve(&file, write_end, len)
        {
            return Err(self.full_or_poison(&mut core, error));
        }
        core.engine.resumed(len)?;
        self.files.handed_over.advance(segment, core.engine.handed_out());
        Ok(core)
    }

    fn extend<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        segment: u64,
        write_end: u64,
        len: u64,
    ) -> Result<MutexGuard<'a, Core>> {
        let file = self.files.segment(&self.storage, segment)?;
        match self.reserve(&file, write_end, len) {
            Ok(()) => core.engine.extended(len),
            Err(error) => return Err(self.full_or_poison(&mut core, error)),
        }
        Ok(core)
    }

    /// Reserves the length. In strict mode the new room is filled with zeros, so that every later sync overwrites
    /// instead of growing the file: that saves the file system's journal a third of the time of a commit.
    fn reserve(&self, file: &S::File, write_end: u64, len: u64) -> Result<()> {
        file.set_len(len)?;
        if !self.is_strict() {
            return Ok(());
        }
        let mut offset = write_end;
        while offset < len {
            let piece = usize::try_from(len - offset).unwrap_or(ZEROS.len()).min(ZEROS.len());
            file.write_at(offset, ZEROS.get(..piece).unwrap_or(&ZEROS))?;
            offset += piece as u64;
        }
        Ok(())
    }

    /// A full disk, a pool without a file that is ready, or a process without a handle to open one is reported and nothing else;
    /// whatever else went wrong may have cost bytes.
    fn full_or_poison(&self, core: &mut Core, error: Error) -> Error {
        let harmless = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::NotReady)
            || matches!(error, Error::Storage(StorageError::TooManyOpen { .. }));
        if !harmless || planted::active(Planted::FullDiskPoisons) {
            self.poison(core, &error);
        }
        error
    }

    fn rotate<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        header: &SegmentHeader,
        write_end: u64,
        len: u64,
    ) -> Result<MutexGuard<'a, Core>> {
        let unsynced = planted::active(Planted::RotationWithoutSync);
        let is_behind = core.engine.pending_bytes() > 0 || (core.engine.is_dirty() && !unsynced);
        if core.engine.active_segment().is_some() && is_behind {
            // Others may commit while this is written: the caller looks again.
            return self.flush(core, !unsynced);
        }
        // Before a file of that name is made anew: it may be another owner's by now.
        self.check_place_locked(&mut core)?;
        check_number("segments of this store", header.segment)?;
        let mut header = header.clone();
        self.host.fill_random(&mut header.salt);
        let file = match self.make_room_for_segment(&mut core, &header, write_end, len) {
            Ok(file) => file,
            Err(error) => return Err(self.full_or_poison(&mut core, error)),
        };
        // Only now: where there is no room for the new segment, smaller commits still count on what the old one has reserved.
        match core.engine.active_segment() {
            Some((_, end)) => self.release_unused(&core, end),
            None => self.release_found(&mut core),
        }
        // From here on the new segment may be on the disk, and its header says where the old one ends. Whatever fails
        // now, nothing may be appended to the old one any more: it would be cut off there.
        if let Err(error) = self.begin_segment(&mut core, &header, &file) {
            self.poison(&mut core, &error);
            // A full disk is otherwise something that a store survives; this one it does not.
            let full = error.kind() == ErrorKind::StorageFull;
            return Err(if full { Error::Poisoned { cause: error.to_string() } } else { error });
        }
        self.files.insert_segment(header.segment, file);
        self.files.handed_over.advance(header.segment, SEGMENT_HEADER_BYTES);
        core.engine.rotated(&header, len);
        Ok(core)
    }

    /// Creates the file of the next segment, and that of the anchor which will name it, with all the room that they need. A
    /// full disk shows here, and then there is no new segment. The anchor comes second: its file may have to be made anew,
    /// and a store whose newest anchor went for a segment that never was has to write when it is opened next.
    fn make_room_for_segment(
        &self,
        core: &mut Core,
        header: &SegmentHeader,
        write_end: u64,
        len: u64,
    ) -> Result<S::File> {
        let name = segment_name(header.segment);
        let created = self.create_again(&name).and_then(|file| {
            self.reserve(&file, write_end, len)?;
            self.make_room_for_anchor(core)?;
            Ok(file)
        });
        if created.is_err() {
            // No header was written: what is left of it is an interrupted creation, whose number is tried again.
            let _ = self.storage.remove(&name);
        }
        created
    }

    fn begin_segment(&self, core: &mut Core, header: &SegmentHeader, file: &S::File) -> Result<()> {
        file.write_at(0, &header.encode())?;
        if !planted::active(Planted::HeaderWithoutSync) {
            file.sync()?;
        }
        if planted::active(Planted::RotationWithoutAnchor) && core.anchor.is_some() {
            return Ok(());
        }
        self.write_anchor(core, |anchor| anchor.newest_segment = header.segment)?;
        // Both, as soon as there is a file for the second: the newer anchor and the newest segment could be lost together.
        if core.own_anchors.contains(&core.anchor_slot) && core.anchors.iter().all(Option::is_some) {
            self.write_anchor(core, |anchor| anchor.newest_segment = header.segment)?;
        }
        Ok(())
    }

    /// Gives back what a complete segment has reserved beyond its end. It only saves space: a failure is ignored.
    pub(crate) fn release_unused(&self, core: &Core, end: u64) {
        if let Some((segment, _)) = core.engine.active_segment()
            && let Ok(file) = self.files.segment(&self.storage, segment)
            && file.len().is_ok_and(|len| len > end)
        {
            let _ = file.set_len(if planted::active(Planted::SegmentTrimmedTooShort) { end - 8 } else { end });
        }
    }

    /// Gives back what a process that died had reserved and never used. What it has written stays, also where it does not
    /// count: it is the evidence.
    pub(crate) fn release_found(&self, core: &mut Core) {
        if let Some((segment, used)) = core.found.take()
            && let Ok(file) = self.files.segment(&self.storage, segment)
            && file.len().is_ok_and(|len| len > used)
        {
            let _ = file.set_len(used);
        }
    }

    /// Creates a file whose name is ours by right: what an interrupted attempt has left of it goes first.
    pub(crate) fn create_again(&self, name: &str) -> Result<S::File> {
        match self.files.with_handle(|| self.storage.create(name)) {
            Err(StorageError::Exists { .. }) => {
                self.storage.remove(name)?;
                Ok(self.files.with_handle(|| self.storage.create(name))?)
            }
            created => Ok(created?),
        }
    }
}

/// Fails where a number is so high that nobody could count on from it (rule F-2).
pub(crate) fn check_number(what: &'static str, number: u64) -> Result<()> {
    if number > NUMBER_MAX { Err(Error::Limit { what, size: number, limit: NUMBER_MAX }) } else { Ok(()) }
}
