//! Opening a store: recovery, and what has to be written before anybody is served.
//!
//! Invariant: opening a store that was closed cleanly writes nothing. After a crash exactly this is written: the tail
//! that is not proven to be durable goes into a new segment, body first and header last, so that a valid header means
//! that the tail is there; then an anchor names the segment. A crash at any point of that leaves what was before.

use alloc::{sync::Arc, vec, vec::Vec};

use super::{
    Db, Durability, Options,
    shared::{Core, Files, Shared, StoragePages},
};
use crate::{
    Error, Result, StoreId,
    engine::{Engine, LogWriter, MEMORY_SEGMENT, Resumable},
    host::{Host, SteppedHost},
    limits::NUMBER_MAX,
    log::{FrameType, RecordView, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name},
    planted::{self, Planted},
    recovery::{Progress, Recovered, RecoveryMode, RecoveryReport, RecoverySettings, log::Survey, recover},
    storage::{MemStorage, Storage, StorageFile},
};

impl Db<MemStorage> {
    /// A store in memory with all that a store on disk has, for examples and tests: buffered, with a clock that counts
    /// and the same ids each time.
    pub fn memory() -> Self {
        let options = Options::new().durability(Durability::buffered());
        match Db::open(MemStorage::new(), Arc::new(SteppedHost::new(0)), options) {
            Ok(db) => db,
            // An empty storage in memory has nothing that could fail to be read, and opening writes nothing.
            Err(error) => unreachable!("a new store in memory: {error}"),
        }
    }
}

impl<S: Storage> Db<S> {
    /// Opens the store in a storage, or creates it there.
    ///
    /// Fails with [`Error::NotAStore`] where there is none and `options` say not to create one, or where the storage
    /// holds something else; with [`Error::ImportUnfinished`] where it holds a part of a store; with [`Error::Corrupt`] where something that was promised is damaged (then nothing has been
    /// changed: see [`Options::recovery`]); with [`Error::Newer`] for files of a newer version; with `StorageFull` where
    /// the tail of the last crash cannot be written again.
    ///
    /// Cost: reading the index of the newest snapshot, about 5 ms for a million pairs, 30 ms for five million, 15 ms for a hundred
    /// thousand runs; and folding the log behind it, for each MiB of small commits 2 ms where they overwrite, and 10 to 17 ms where
    /// their keys are new.
    pub fn open(storage: S, host: Arc<dyn Host + Send + Sync>, mut options: Options) -> Result<Self> {
        if options.read_only {
            return Self::open_reader(storage, host, options);
        }
        let files = Files::new(options.open_segments);
        let mut progress = options.progress.take();
        let mut on_progress = |step: Progress| match &mut progress {
            Some(progress) => progress(step),
            None => core::ops::ControlFlow::Continue(()),
        };
        let pages = StoragePages { storage: &storage, files: &files };
        let settings =
            RecoverySettings { mode: options.recovery, check_snapshots: options.check_snapshots, importing: false };
        let recovered = recover(&storage, &*host, &pages, settings, &mut on_progress)?;
        if recovered.report.created && !options.create {
            return Err(Error::NotAStore {
                path: "the storage".into(),
                why: "it is empty, and creating a store there was not asked for".into(),
            });
        }
        let in_memory = options.durability == Durability::InMemory;
        if in_memory && !recovered.report.created {
            return Err(Error::Unsupported {
                what: "opening an existing store in memory",
                why: "its log would stop without a trace; open it buffered or strict".into(),
            });
        }
        let salvaged = options.recovery == RecoveryMode::Salvage;
        if !salvaged {
            check_numbers(&recovered.survey)?;
        }
        let (shared, report, tail) = assemble(storage, host, options, files, recovered);
        if salvaged {
            let cause = Error::Unsupported {
                what: "writing to a salvaged store",
                why: "the result may have gaps; copy what is left into a new store".into(),
            };
            shared.lock().engine.poison(&cause);
        } else if !in_memory {
            shared.complete_recovery(&tail)?;
        }
        let report = report.finish(&shared);
        Ok(Db::opened(shared, report))
    }
}

/// No number of the store is so high that counting on could come to its end. No store gets there by itself, at a million
/// openings a second neither; a file with such a name or header does, and the commit that takes the last number would be
/// the last one that anybody can read.
fn check_numbers(survey: &Survey) -> Result<()> {
    let counter = survey.anchor.map_or(0, |(_, anchor)| anchor.counter);
    let generation = survey.snapshots.last().copied().unwrap_or(0);
    let numbers = [
        ("the epoch of this store", survey.epoch),
        ("the counter of its anchor", counter),
        ("its next segment", survey.next_segment),
        ("its newest snapshot", generation),
    ];
    match numbers.into_iter().find(|(_, number)| *number >= NUMBER_MAX) {
        Some((what, size)) => Err(Error::Limit { what, size, limit: NUMBER_MAX }),
        None => Ok(()),
    }
}

/// What recovery found about the end of the log, for [`Shared::complete_recovery`].
pub(super) struct Tail {
    records: Vec<crate::recovery::log::TailRecord>,
    /// The newest segment's header, where no anchor names it yet.
    unanchored: Option<SegmentHeader>,
    next_segment: u64,
}

pub(super) fn assemble<S: Storage>(
    storage: S,
    host: Arc<dyn Host + Send + Sync>,
    options: Options,
    files: Files<S>,
    recovered: Recovered,
) -> (Shared<S>, RecoveryReport, Tail) {
    let Recovered { state, survey, outcome, loaded, report } = recovered;
    let store = survey.store.unwrap_or_else(|| StoreId::generate(&*host));
    let in_memory = options.durability == Durability::InMemory;
    let epoch =
        if planted::active(Planted::EpochNotRaised) { survey.epoch.max(1) } else { survey.epoch.saturating_add(1) };
    let next_segment = match planted::active(Planted::SegmentNumberUsedAgain) {
        true => survey.next_segment.saturating_sub(1).max(1),
        false => survey.next_segment,
    };
    let resumable = outcome.resumable.zip(survey.newest()).map(|(end, newest)| Resumable {
        number: newest.number,
        salt: newest.header.salt,
        end,
        len: newest.len,
    });
    let log = LogWriter::new(store, epoch, options.segment_bytes, next_segment, outcome.continuation)
        .with_resumable(resumable);
    let tail = Tail {
        records: outcome.tail,
        unanchored: survey.newest().filter(|_| !survey.newest_is_anchored).map(|newest| newest.header.clone()),
        next_segment: survey.next_segment,
    };
    if in_memory {
        files.handed_over.advance(MEMORY_SEGMENT, 0);
    }
    let core = Core {
        engine: Engine::new(state, log, in_memory, options.part_bytes),
        flushing: false,
        write_awaited: false,
        exclusive: false,
        snapshotting: false,
        sync_due: None,
        anchor: survey.anchor.map(|(_, anchor)| anchor),
        anchors: survey.anchors,
        anchor_slot: survey.next_anchor_slot(outcome.any_frame),
        own_anchors: Vec::new(),
        log_bytes_at_snapshot: 0,
        snapshot_seq: loaded.as_ref().map_or(0, |meta| meta.seq),
        log_bytes: outcome.report.bytes,
        next_generation: survey.snapshots.last().map_or(1, |newest| newest.saturating_add(1)),
        seq_at_tick: 0,
        ticks_without_anchor: 0,
        found: survey.newest().map(|newest| (newest.number, outcome.used)).filter(|(_, used)| *used > 0),
        garbage: survey.garbage,
        closed: false,
        closing: false,
    };
    let loaded = loaded.map(|meta| meta.generation);
    (Shared::new(storage, host, options, core, files, loaded), report, tail)
}

impl<S: Storage> Shared<S> {
    /// Writes what recovery found to be missing on stable media.
    fn complete_recovery(&self, tail: &Tail) -> Result<()> {
        if let Some(header) = &tail.unanchored {
            self.anchor_newest(header)?;
        }
        if !tail.records.is_empty() && !planted::active(Planted::TailNotCarried) {
            self.carry_tail(tail)?;
        }
        let core = self.lock();
        self.published.show(core.engine.working_state());
        Ok(())
    }

    /// The newest segment's header was read, but perhaps from the page cache only: it is written and synced again before
    /// an anchor says that it must be there.
    ///
    /// Where nothing was written behind the header, not even the name may be trusted: if the sync that should have made
    /// the name durable failed, a later sync need not make up for it, and an anchor that names a file which the next power
    /// failure takes away closes the store for good. Such a file is created anew. Nothing is at risk meanwhile: it is
    /// empty, and no anchor names it.
    ///
    /// That no anchor names it has to be true first. One that does may be on the disk, in a slot that the page cache shows
    /// empty, or torn, after a sync that failed: so the slot is emptied before the segment is touched.
    fn anchor_newest(&self, header: &SegmentHeader) -> Result<()> {
        let mut core = self.lock();
        if !planted::active(Planted::UnseenAnchorLeft) {
            self.make_room_for_anchor(&mut core)?;
        }
        let mut file = self.files.segment(&self.storage, header.segment)?;
        if !planted::active(Planted::UnsyncedNameKept) && is_blank_behind_header(&*file)? {
            // No handle may be open when a file is removed.
            drop(file);
            self.files.forget_segment(header.segment);
            let created = self.create_again(&segment_name(header.segment))?;
            file = self.files.insert_segment(header.segment, created);
        }
        if !planted::active(Planted::UnanchoredHeaderWithoutSync) {
            file.write_at(0, &header.encode())?;
            file.sync()?;
        }
        self.write_anchor(&mut core, |anchor| anchor.newest_segment = header.segment)
    }

    /// Writes the tail into a new segment.
    ///
    /// Its header says that what is not proven does not count where it was. An anchor that proves it, or a snapshot of it, may
    /// be on the disk in a slot that the page cache shows empty: that slot is emptied first.
    fn carry_tail(&self, tail: &Tail) -> Result<()> {
        let mut core = self.lock();
        if !planted::active(Planted::UnseenAnchorLeft) {
            self.make_room_for_anchor(&mut core)?;
        }
        let mut header = SegmentHeader {
            store: core.engine.store(),
            segment: tail.next_segment,
            epoch: core.engine.epoch(),
            salt: [0; 16],
            first_seq: core.engine.working_state().seq() + 1,
            previous: core.engine.previous_segment(),
        };
        self.host.fill_random(&mut header.salt);
        core.engine.rotated(&header, SEGMENT_HEADER_BYTES);
        for record in &tail.records {
            let frames = record
                .frames
                .iter()
                .map(|frame| Ok((frame.frame_type, frame.record()?)))
                .collect::<Result<Vec<(FrameType, RecordView<'_>)>>>()?;
            core.engine.carry(&frames, self)?;
        }
        core.engine.mark_carried()?;
        let name = segment_name(header.segment);
        let file = self.create_again(&name)?;
        if let Some(batch) = core.engine.take_pending() {
            let end = batch.offset + batch.bytes.len() as u64;
            file.set_len(end)?;
            if planted::active(Planted::CarriedHeaderFirst) {
                file.write_at(0, &header.encode())?;
                file.sync()?;
            }
            file.write_at(batch.offset, &batch.bytes)?;
            if !planted::active(Planted::CarriedTailWithoutSync) {
                file.sync()?;
            }
            file.write_at(0, &header.encode())?;
            if !planted::active(Planted::CarriedHeaderWithoutSync) {
                file.sync()?;
            }
            self.files.insert_segment(header.segment, file);
            self.files.handed_over.advance(header.segment, end);
            core.engine.extended(end);
            core.engine.synced(batch.seq, end);
            core.engine.wrote(batch);
        }
        self.write_anchor(&mut core, |anchor| anchor.newest_segment = header.segment)?;
        self.release_found(&mut core);
        Ok(())
    }
}

/// Whether a segment has only zeros behind its header, up to its end.
fn is_blank_behind_header(file: &impl StorageFile) -> Result<bool> {
    let mut offset = SEGMENT_HEADER_BYTES;
    let rest = usize::try_from(file.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
    // One byte more, so that the end shows in the first read of a small segment.
    let mut buffer = vec![0; rest.saturating_add(1).min(64 << 10)];
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        if read.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if count < buffer.len() {
            return Ok(true);
        }
        offset += count as u64;
    }
}

impl RecoveryReport {
    /// Adds what is known only now: the runs that nobody works on any more.
    pub(super) fn finish<S: Storage>(mut self, shared: &Shared<S>) -> Self {
        let core = shared.lock();
        let state = core.engine.working_state();
        self.orphaned_runs = state.runs.orphans(shared.epoch());
        self.seq = state.seq();
        self
    }
}
