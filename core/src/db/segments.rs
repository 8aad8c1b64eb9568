//! Room for the log: growing the active segment, going on in a new one, and the anchors that name it.
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
    log::{ANCHOR_BYTES, Anchor, AnchorSlot, SEGMENT_HEADER_BYTES, SegmentHeader, parse_snapshot_name, segment_name},
    planted::{self, Planted},
    snapshot,
    storage::{Storage, StorageError, StorageFile},
    sync::{
        MutexGuard,
        defect::{Defect, active},
    },
};

/// Zeros are written in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl<S: Storage> Shared<S> {
    /// Makes the room that a commit needs. The lock is kept (or given back where another thread is writing: then the
    /// caller asks again). Fails with `StorageFull` where the disk is full, with `NotReady` where a browser's pool is
    /// empty; any other failure poisons the store.
    pub(crate) fn make_space<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        needed: &SpaceNeeded,
    ) -> Result<MutexGuard<'a, Core>> {
        if core.flushing && !active(Defect::RotationDoesNotWait) {
            return Ok(self.wait(core));
        }
        match needed {
            SpaceNeeded::Extend { segment, write_end, len } => self.extend(core, *segment, *write_end, *len),
            SpaceNeeded::Rotate { header, write_end, len } => self.rotate(core, header, *write_end, *len),
        }
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

    /// A full disk, or a pool without a file that is ready, is reported and nothing else; whatever else went wrong may have
    /// cost bytes.
    fn full_or_poison(&self, core: &mut Core, error: Error) -> Error {
        let harmless = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::NotReady);
        if !harmless || planted::active(Planted::FullDiskPoisons) {
            core.engine.poison(&error);
            self.wake_all();
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
        let mut header = header.clone();
        self.host.fill_random(&mut header.salt);
        let file = match self.make_room_for_segment(&core, &header, write_end, len) {
            Ok(file) => file,
            Err(error) => return Err(self.full_or_poison(&mut core, error)),
        };
        // Only now: where there is no room for the new segment, smaller commits still count on what the old one has reserved.
        if let Some((_, end)) = core.engine.active_segment() {
            self.release_unused(&core, end);
        }
        // From here on the new segment may be on the disk, and its header says where the old one ends. Whatever fails
        // now, nothing may be appended to the old one any more: it would be cut off there.
        if let Err(error) = self.begin_segment(&mut core, &header, &file) {
            core.engine.poison(&error);
            self.wake_all();
            // A full disk is otherwise something that a store survives; this one it does not.
            let full = error.kind() == ErrorKind::StorageFull;
            return Err(if full { Error::Poisoned { cause: error.to_string() } } else { error });
        }
        self.files.insert_segment(header.segment, file);
        self.files.handed_over.advance(header.segment, SEGMENT_HEADER_BYTES);
        core.engine.rotated(&header, len);
        Ok(core)
    }

    /// Creates the file of the next segment, and the anchor's where there is none, with all the room that will be needed.
    /// A full disk shows here, and then neither is left.
    fn make_room_for_segment(&self, core: &Core, header: &SegmentHeader, write_end: u64, len: u64) -> Result<S::File> {
        let anchor_is_new = self.make_room_for_anchor(core)?;
        let name = segment_name(header.segment);
        let created = self.create_again(&name).and_then(|file| {
            self.reserve(&file, write_end, len)?;
            Ok(file)
        });
        if created.is_err() {
            // No header was written: what is left of it is an interrupted creation, whose number is tried again.
            let _ = self.storage.remove(&name);
            if anchor_is_new {
                let _ = self.storage.remove(core.anchor_slot.name());
            }
        }
        created
    }

    /// Creates the file of the next anchor, with its length, where there is none. Returns whether there was none. Where there
    /// is no room for it none is left: an empty anchor in a store that was closed cleanly would look like a damaged one.
    pub(crate) fn make_room_for_anchor(&self, core: &Core) -> Result<bool> {
        let (name, len) = (core.anchor_slot.name(), ANCHOR_BYTES as u64);
        match self.storage.open(name) {
            Err(StorageError::Missing { .. }) => {
                let file = self.storage.create(name)?;
                let reserved = file.set_len(len);
                drop(file);
                if let Err(error) = reserved {
                    let _ = self.storage.remove(name);
                    return Err(error.into());
                }
                Ok(true)
            }
            opened => {
                let file = opened?;
                if file.len()? < len {
                    file.set_len(len)?;
                }
                Ok(false)
            }
        }
    }

    fn begin_segment(&self, core: &mut Core, header: &SegmentHeader, file: &S::File) -> Result<()> {
        file.write_at(0, &header.encode())?;
        if !planted::active(Planted::HeaderWithoutSync) {
            file.sync()?;
        }
        if planted::active(Planted::RotationWithoutAnchor) && core.anchor.is_some() {
            return Ok(());
        }
        self.write_anchor(core, |anchor| anchor.newest_segment = header.segment)
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

    /// Creates a file whose name is ours by right: what an interrupted attempt has left of it goes first.
    pub(crate) fn create_again(&self, name: &str) -> Result<S::File> {
        match self.storage.create(name) {
            Err(StorageError::Exists { .. }) => {
                self.storage.remove(name)?;
                Ok(self.storage.create(name)?)
            }
            created => Ok(created?),
        }
    }

    fn anchor_file(&self, slot: AnchorSlot) -> Result<S::File> {
        match self.storage.open(slot.name()) {
            Err(StorageError::Missing { .. }) => Ok(self.storage.create(slot.name())?),
            opened => Ok(opened?),
        }
    }

    /// Writes the next anchor and syncs it. The first of an opening goes into the slot that recovery names (rule F-9: the
    /// newest anchor may be one whose sync failed, and then the other is all that the disk has), the rest in turn.
    pub(crate) fn write_anchor(&self, core: &mut Core, change: impl FnOnce(&mut Anchor)) -> Result<()> {
        let engine = &core.engine;
        let mut anchor = core.anchor.unwrap_or(Anchor {
            counter: 0,
            store: engine.store(),
            newest_segment: 0,
            oldest_segment: 0,
            newest_snapshot: None,
            proven_seq: 0,
        });
        anchor.counter += 1;
        anchor.proven_seq = engine.durable_seq();
        change(&mut anchor);
        if core.anchor.is_none() {
            // The first segment need not be number 1: numbers of interrupted creations are not used again.
            anchor.oldest_segment = anchor.newest_segment;
        }
        for garbage in core.garbage.iter().filter(|name| parse_snapshot_name(name).is_some()) {
            self.wipe_snapshot(garbage)?;
        }
        let file = self.anchor_file(core.anchor_slot)?;
        wipe_torn_anchor(core.anchor_slot.name(), &file)?;
        file.write_at(0, &anchor.encode())?;
        if !planted::active(Planted::AnchorWithoutSync) {
            file.sync()?;
        }
        core.anchor = Some(anchor);
        if !planted::active(Planted::AnchorSlotStuck) {
            core.anchor_slot = core.anchor_slot.other();
        }
        for garbage in std::mem::take(&mut core.garbage) {
            // What cannot be removed stays garbage, and the next opening finds it again.
            let _ = self.storage.remove(&garbage);
        }
        Ok(())
    }
}

impl<S: Storage> Shared<S> {
    /// Zeroes the header of a snapshot that no anchor names (rule F-51). It may be torn; once a newer snapshot is named it
    /// would pass for a good one that has rotted, and be kept in the place of one.
    fn wipe_snapshot(&self, name: &str) -> Result<()> {
        match self.storage.open(name) {
            Ok(file) if snapshot::is_unfinished(&file) => Ok(()),
            Ok(file) => snapshot::wipe(&file),
            Err(StorageError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A snapshot could not be written: what there is of it goes at once, because the disk may be full. Where not even that
    /// is possible, it goes before the next anchor.
    pub(crate) fn discard_snapshot(&self, name: &str) {
        if self.wipe_snapshot(name).is_err() {
            self.lock().garbage.push(name.into());
            return;
        }
        let _ = self.storage.remove(name);
    }
}

/// Zeroes what is left of an anchor whose writing was cut off (rule F-9). If the next write over it is cut off as well, the
/// beginning of the one and the rest of the other could otherwise make up an anchor of long ago, whole to the last bit.
fn wipe_torn_anchor(name: &str, file: &impl StorageFile) -> Result<()> {
    let mut bytes = [0; ANCHOR_BYTES];
    file.read_at(0, &mut bytes)?;
    let torn = !planted::active(Planted::TornAnchorNotWiped)
        && bytes.iter().any(|byte| *byte != 0)
        && Anchor::decode(name, &bytes)?.is_none();
    if torn {
        file.write_at(0, &[0; ANCHOR_BYTES])?;
        file.sync()?;
    }
    Ok(())
}
