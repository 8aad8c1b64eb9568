//! The engine: a state machine that takes transactions and completed I/O in and hands bytes to write out.
//!
//! It knows neither locks nor clocks nor files. Whoever drives it (see [`crate::db`]) does so in this order:
//!
//! - *input*: `Engine::commit` validates, encodes and applies a transaction, or says which [`SpaceNeeded`] it needs
//!   first; the driver does that and reports `Engine::extended` or `Engine::rotated`, and commits again.
//! - *output*: `Engine::take_pending` hands out bytes to write, one [`Batch`] at a time; or `Engine::pending` shows them to
//!   whoever writes them before anything else happens to the engine.
//! - *completion*: `Engine::wrote` or `Engine::wrote_pending` after the write, `Engine::synced` after the sync; or `Engine::poison` after the
//!   first failure, from when on nothing is accepted.
//! - *getters*: the working state (every commit applied), the durable seq, what is buffered.
//!
//! Invariants: seqs are given without gaps; the working state is the fold of every frame that was ever buffered; nothing
//! is encoded before everything that can fail has been checked, and nothing that the fold refuses is ever handed out.

mod check;
mod encode;
mod log_writer;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};

pub use self::log_writer::{Batch, SpaceNeeded};
pub(crate) use self::log_writer::{LogWriter, Resumable};
use self::{
    check::check,
    encode::{Encoded, Plan},
    log_writer::{Active, PendingEnd},
};
use crate::{
    Error, Result, StoreId,
    error::check_limit,
    limits::{FINGERPRINT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, INLINE_VALUE_BYTES_MAX, RESULT_BYTES_MAX, SEQ_MAX},
    log::{
        FrameType, FrameWriter, LogEnd, LogPosition, Previous, Reasons, RecordHeader, RecordView, SEGMENT_HEADER_BYTES,
        SegmentHeader, segment_name,
    },
    planted::{self, Planted},
    state::{Appended, Hardness, LoggedTransaction, State},
    transaction::{Cause, ReadSet, WriteBody, WriteSet},
    tree::PageSource,
};

/// Upper bound of a mark frame.
const MARK_BYTES_MAX: u64 = 64;

/// The segment that values are said to be in where there is no log. It is the first number that a segment can have.
pub(crate) const MEMORY_SEGMENT: u64 = 1;

/// The state machine behind a store.
pub struct Engine {
    state: State,
    log: LogWriter,
    /// `InMemory`: nothing is ever handed out; values that do not fit the tree are kept here, by offset.
    memory: Option<Vec<(u64, Arc<Vec<u8>>)>>,
    /// Highest seq known to be on stable media.
    durable_seq: u64,
    /// The mark that the newest synced frame carries: beyond it damage could pass for a torn tail.
    marked_seq: u64,
    /// Highest seq of a commit that somebody was promised to be durable before it shows.
    strict_seq: u64,
    poisoned: Option<Error>,
    /// Where a transaction goes on in another part frame.
    part_bytes: usize,
    encoded: Vec<Encoded>,
    /// The transaction whose frames are `encoded`, are buffered, and are not applied yet.
    deferred: Option<Deferred>,
}

/// A transaction between its encoding and its application.
struct Deferred {
    at: LogPosition,
    /// Where the buffer began in the segment when the frames were encoded into it.
    base: u64,
    seq: u64,
    /// What it comes to, where that is known already.
    folded: Option<Box<(State, Vec<Appended>)>>,
}

/// A transaction that wants to commit.
pub(crate) struct Prepared<'a> {
    /// The version that was read; `None` where nothing was. It is let go of before the transaction is applied, so that
    /// the nodes that only it still shared can be changed in place.
    pub(crate) base: Option<Arc<State>>,
    pub(crate) reads: &'a ReadSet,
    pub(crate) writes: &'a WriteSet,
    /// Whether the commit must be durable before readers see it.
    pub(crate) strict: bool,
    /// Whether it is applied by [`Engine::apply_deferred`], after the sync, instead of now.
    pub(crate) deferred: bool,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Committed, with the seqs that its events got.
    Committed { seq: u64, appended: Vec<Appended> },
    /// Encoded and not applied: write and sync what is pending, then apply it. Nothing else may commit meanwhile.
    Deferred { seq: u64 },
    /// Its idempotency key was seen before, in this commit; nothing was done.
    Deduplicated { seq: u64 },
    /// There was nothing to write; what was read is as of this seq.
    Empty { seq: u64 },
    /// Do this first, report it, and commit again.
    Needs(SpaceNeeded),
}

impl Engine {
    /// An engine that continues from a recovered state (or from [`State::new`]).
    pub(crate) fn new(state: State, log: LogWriter, in_memory: bool, part_bytes: usize) -> Self {
        let seq = state.seq();
        let mut engine = Engine {
            state,
            log,
            memory: in_memory.then(Vec::new),
            durable_seq: seq,
            marked_seq: seq,
            strict_seq: 0,
            poisoned: None,
            part_bytes,
            encoded: Vec::new(),
            deferred: None,
        };
        if in_memory {
            // One endless segment that no storage ever sees.
            let header = SegmentHeader {
                store: engine.log.store(),
                segment: MEMORY_SEGMENT,
                epoch: engine.log.epoch(),
                salt: [0; 16],
                first_seq: seq + 1,
                previous: None,
            };
            engine.log.rotated(&header, u64::MAX);
        }
        engine
    }

    /// The state with every commit applied, durable or not. Clone it: that is cheap.
    pub fn working_state(&self) -> &State {
        &self.state
    }

    /// Highest seq known to be on stable media (in memory: the newest).
    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// Highest seq that was committed with the promise to be durable before it shows.
    pub fn strict_seq(&self) -> u64 {
        self.strict_seq
    }

    /// The store's id.
    pub fn store(&self) -> StoreId {
        self.log.store()
    }

    /// The open epoch of this engine: one more than that of the last process that wrote.
    pub fn epoch(&self) -> u64 {
        self.log.epoch()
    }

    /// Bytes that are buffered and not yet handed out.
    pub fn pending_bytes(&self) -> usize {
        self.log.active.as_ref().map_or(0, |active| active.pending.len())
    }

    /// Highest seq that was encoded; ahead of the working state where a transaction is deferred.
    pub(crate) fn logged_seq(&self) -> u64 {
        self.deferred.as_ref().map_or(self.state.seq(), |deferred| deferred.seq)
    }

    /// Whether anything committed is not on stable media yet.
    pub fn is_dirty(&self) -> bool {
        self.durable_seq < self.state.seq()
    }

    /// Whether the log itself says that everything durable is: see `Engine::mark`.
    pub fn is_marked(&self) -> bool {
        self.marked_seq >= self.durable_seq
    }

    /// The segment that is written to, and where the last transaction in it ends (marks behind it do not count).
    pub fn log_end(&self) -> Option<LogPosition> {
        let active = self.log.active.as_ref()?;
        Some(LogPosition { segment: active.number, offset: active.transactions_end })
    }

    /// What the next segment would say about the newest one.
    pub(crate) fn previous_segment(&self) -> Option<Previous> {
        self.log.previous()
    }

    /// Goes over to a state that was read from the log of another writer, which proves what is durable. For a store that only reads.
    pub(crate) fn follow(&mut self, state: State, durable_seq: u64) {
        self.durable_seq = durable_seq.min(state.seq());
        self.state = state;
    }

    /// Fails with [`Error::Poisoned`] after a failed write or sync.
    pub fn check_usable(&self) -> Result<()> {
        match &self.poisoned {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned { cause: cause.to_string() }),
        }
    }

    /// Validates, encodes and applies a transaction. Nothing has changed where this fails or needs something first.
    pub(crate) fn commit(
        &mut self,
        transaction: &mut Prepared<'_>,
        now_micros: u64,
        pages: &dyn PageSource,
    ) -> Result<Outcome> {
        self.check_usable()?;
        let writes = transaction.writes;
        let once = writes.once();
        if let Some(once) = &once {
            check_limit("idempotency key bytes", once.key.len(), IDEMPOTENCY_KEY_BYTES_MAX)?;
            check_limit("fingerprint bytes", once.fingerprint.len(), FINGERPRINT_BYTES_MAX)?;
            check_limit("result bytes", once.result.len(), RESULT_BYTES_MAX)?;
            if let Some(kept) = self.state.idempotency.get(once.key) {
                return kept.check_contents(once).map(|()| Outcome::Deduplicated { seq: kept.seq });
            }
        }
        if writes.is_empty() && once.is_none() {
            // Nothing of it can be out of date: it happened, whole, at the version that it read.
            let seq = transaction.base.as_ref().map_or(self.state.seq(), |base| base.seq());
            return Ok(Outcome::Empty { seq });
        }
        if let Some(base) = &transaction.base {
            transaction.reads.validate(base, &self.state, pages)?;
        }
        check(writes, &self.state, now_micros, pages)?;
        let plan = Plan::new(writes, self.state.next_number, self.part_bytes);
        let seq = self.next_seq()?;
        if let Some(needed) = self.log.space_needed(plan.bytes_max as u64, seq) {
            return Ok(Outcome::Needs(needed));
        }
        let base = transaction.base.take().map(|base| base.seq());
        let header = RecordHeader {
            seq,
            mark: if planted::active(Planted::DurableMarkTooHigh) { seq - 1 } else { self.durable_seq.min(seq - 1) },
            time_micros: now_micros,
            idempotency_key: once,
            reasons: Reasons { base, cause: writes.cause.as_ref().map(Cause::borrowed) },
            part: None,
        };
        let end = self.log(&plan, &header)?;
        if transaction.deferred {
            return self.defer(&plan, end, pages).map(|()| Outcome::Deferred { seq });
        }
        let appended = self.apply_pending(end, pages)?;
        if self.memory.is_some() {
            self.settle_in_memory(writes);
        } else if transaction.strict {
            self.strict_seq = seq;
        }
        Ok(Outcome::Committed { seq, appended })
    }

    fn next_seq(&self) -> Result<u64> {
        let seq = self.state.seq() + 1;
        if seq > SEQ_MAX {
            return Err(Error::Limit { what: "commits of this store", size: seq, limit: SEQ_MAX });
        }
        Ok(seq)
    }

    /// Buffers the frames of a transaction. Returns where the log ended before.
    fn log(&mut self, plan: &Plan<'_>, header: &RecordHeader<'_>) -> Result<PendingEnd> {
        let Some(active) = &mut self.log.active else {
            return Err(Error::Unsupported { what: "a commit", why: "no segment is open".into() });
        };
        let at = LogPosition { segment: active.number, offset: active.end() };
        self.encoded.clear();
        let before = active.pending_end();
        let encoded = plan.encode(
            header,
            &self.state,
            &active.seal,
            active.pending_offset,
            &mut active.pending,
            &mut self.encoded,
        );
        let crc = encoded.inspect_err(|_| active.withdraw(before))?;
        active.last_seq = header.seq;
        active.last_crc = crc;
        active.transactions_end = active.end();
        self.deferred = Some(Deferred { at, base: active.pending_offset, seq: header.seq, folded: None });
        Ok(before)
    }

    /// Sees to it that a transaction that is written before it is folded is one that the fold takes: a store with another
    /// one in its log could not be opened again. What changes the catalog of runs is folded now, into a clone of the state;
    /// what the fold has to read is read once more, as it was encoded. It takes every put and every deletion.
    fn defer(&mut self, plan: &Plan<'_>, end: PendingEnd, pages: &dyn PageSource) -> Result<()> {
        let (Some(active), Some(deferred)) = (&self.log.active, &mut self.deferred) else { return Ok(()) };
        let tried = match plan.hardest {
            Hardness::Runs => {
                let mut folded = Box::new((self.state.clone(), Vec::new()));
                let (state, appended) = &mut *folded;
                apply_encoded(state, &self.encoded, &active.pending, deferred.at, pages, appended)
                    .map(|()| Some(folded))
            }
            Hardness::Read => {
                let views = views(&self.encoded, &active.pending).collect::<Result<Vec<_>>>();
                views.and_then(|views| self.state.check_operations(&views)).map(|()| None)
            }
            Hardness::Plain => Ok(None),
        };
        match tried {
            Ok(folded) => {
                deferred.folded = folded;
                Ok(())
            }
            Err(error) => {
                self.withdraw(end);
                Err(self.refused(error))
            }
        }
    }

    /// What the fold says of a record that [`check`] has let pass. There is no such record, as far as is known; a build for tests
    /// insists on it.
    fn refused(&self, error: Error) -> Error {
        let active = self.log.active.as_ref().map_or(0, |active| active.number);
        match error {
            Error::Corrupt { file, what, .. } if file == segment_name(active) => {
                debug_assert!(false, "the fold refuses what was checked: {what}");
                Error::Invalid { what: "transaction", why: what }
            }
            // A page that cannot be read.
            error => error,
        }
    }

    /// Takes the frames of a transaction out of the buffer again.
    fn withdraw(&mut self, end: PendingEnd) {
        self.deferred = None;
        if let Some(active) = &mut self.log.active {
            active.withdraw(end);
        }
    }

    /// Folds the frames that were just buffered, behind `end`, into the state. Where it refuses them they are withdrawn.
    fn apply_pending(&mut self, end: PendingEnd, pages: &dyn PageSource) -> Result<Vec<Appended>> {
        let (Some(active), Some(Deferred { at, .. })) = (&self.log.active, self.deferred.take()) else {
            return Ok(Vec::new());
        };
        let mut appended = Vec::new();
        let applied = apply_encoded(&mut self.state, &self.encoded, &active.pending, at, pages, &mut appended);
        if applied.is_err() {
            self.withdraw(end);
        }
        self.applied(applied).map(|()| appended)
    }

    /// Folds the frames of a deferred transaction into the state. `batch` is what [`Engine::take_pending`] gave out.
    pub(crate) fn apply_deferred(&mut self, batch: &Batch, pages: &dyn PageSource) -> Result<Vec<Appended>> {
        let Some(deferred) = self.deferred.take() else { return Ok(Vec::new()) };
        debug_assert_eq!(deferred.base, batch.offset, "the batch is the buffer that the frames were encoded into");
        self.strict_seq = self.strict_seq.max(deferred.seq);
        if let Some(folded) = deferred.folded {
            let (state, appended) = *folded;
            self.state = state;
            return Ok(appended);
        }
        let mut appended = Vec::new();
        let applied = apply_encoded(&mut self.state, &self.encoded, &batch.bytes, deferred.at, pages, &mut appended);
        self.applied(applied).map(|()| appended)
    }

    /// Where the state could not follow, it is half changed, and nothing may be built on it.
    fn applied(&mut self, applied: Result<()>) -> Result<()> {
        applied.map_err(|error| {
            self.poison(&error);
            self.refused(error)
        })
    }

    /// Without a log only values that live outside the tree are kept.
    fn settle_in_memory(&mut self, writes: &WriteSet) {
        self.durable_seq = self.state.seq();
        let outside = |write| match writes.body(write) {
            WriteBody::Bytes(body) => body.len() > INLINE_VALUE_BYTES_MAX || writes.edit(write).is_some(),
            WriteBody::Events { .. } => true,
        };
        let keep = writes.iter().any(outside);
        if let (Some(active), Some(memory)) = (&mut self.log.active, &mut self.memory) {
            if keep {
                let bytes = core::mem::take(&mut active.pending);
                let offset = active.pending_offset;
                active.pending_offset += bytes.len() as u64;
                memory.push((offset, Arc::new(bytes)));
            } else {
                active.pending.clear();
            }
        }
    }

    /// Buffers a record that recovery found behind the last proven commit, as it was: same seq, same time, same
    /// operations, encoded again for its new place.
    pub(crate) fn carry(
        &mut self,
        frames: &[(FrameType, RecordView<'_>)],
        pages: &dyn PageSource,
    ) -> Result<Vec<Appended>> {
        let Some(active) = &mut self.log.active else {
            return Err(Error::Unsupported { what: "a commit", why: "no segment is open".into() });
        };
        let at = LogPosition { segment: active.number, offset: active.end() };
        self.encoded.clear();
        for (frame_type, frame) in frames {
            let at = LogPosition { segment: active.number, offset: active.end() };
            let writer = FrameWriter::begin(&mut active.pending, *frame_type);
            let payload_start = active.pending.len();
            encode::copy_record(frame, at, self.durable_seq, &self.state, &mut active.pending);
            let payload = payload_start..active.pending.len();
            active.last_crc = writer.finish(&mut active.pending, &active.seal, at.offset)?;
            self.encoded.push(Encoded { frame_type: *frame_type, payload, at });
            active.last_seq = frame.header().seq;
        }
        active.transactions_end = active.end();
        let mut appended = Vec::new();
        apply_encoded(&mut self.state, &self.encoded, &active.pending, at, pages, &mut appended)?;
        Ok(appended)
    }

    /// Buffers a mark frame, so that damage to the last commits cannot pass for a torn tail. Says which space it needs
    /// first, if any. To be called when everything is durable.
    pub(crate) fn mark(&mut self) -> Result<Option<SpaceNeeded>> {
        self.check_usable()?;
        if self.memory.is_some() || self.log.active.is_none() {
            return Ok(None);
        }
        if let Some(needed) = self.log.space_needed(MARK_BYTES_MAX, self.state.seq() + 1) {
            return Ok(Some(needed));
        }
        self.log.mark(self.state.seq(), self.durable_seq)?;
        self.marked_seq = self.durable_seq;
        Ok(None)
    }

    /// What a store without any segment needs before something can refer to a place in its log.
    pub(crate) fn first_segment_needed(&self) -> Option<SpaceNeeded> {
        if self.memory.is_some() || self.log.previous().is_some() {
            return None;
        }
        self.log.space_needed(MARK_BYTES_MAX, self.state.seq() + 1)
    }

    /// Buffers a mark behind carried records: they count only once the segment's header is valid, and that is written
    /// after they are on stable media. So the mark is true whenever it can be read.
    pub(crate) fn mark_carried(&mut self) -> Result<()> {
        let seq = self.state.seq();
        self.marked_seq = seq;
        self.log.mark(seq, seq)
    }

    /// The log grew to this length.
    pub(crate) fn extended(&mut self, len: u64) {
        self.log.extended(len);
    }

    /// The log goes on in the segment that an earlier opening has ended cleanly, which has this length now.
    pub(crate) fn resumed(&mut self, len: u64) -> Result<()> {
        self.log.resumed(len, self.state.seq())
    }

    /// A new segment was created, with this length.
    pub(crate) fn rotated(&mut self, header: &SegmentHeader, len: u64) {
        self.log.rotated(header, len);
    }

    /// Hands out what is buffered; `None` where nothing is, or where a batch is on its way already.
    pub(crate) fn take_pending(&mut self) -> Option<Batch> {
        if self.memory.is_some() {
            return None;
        }
        let seq = self.logged_seq();
        self.log.active.as_mut()?.take(seq)
    }

    /// The storage has taken a batch.
    pub(crate) fn wrote(&mut self, batch: Batch) {
        if let Some(active) = &mut self.log.active {
            active.written(batch);
        }
    }

    /// Whether a batch is on its way to the storage.
    pub(crate) fn is_writing(&self) -> bool {
        self.log.active.as_ref().is_some_and(Active::is_writing)
    }

    /// What is buffered, with its segment and its place there, for whoever writes it now; `None` where nothing is. Nothing may
    /// be on its way: those bytes come before these.
    pub(crate) fn pending(&self) -> Option<(u64, u64, &[u8])> {
        let active = self.log.active.as_ref().filter(|active| self.memory.is_none() && !active.pending.is_empty())?;
        Some((active.number, active.pending_offset, &active.pending))
    }

    /// The storage has taken what [`Engine::pending`] gave.
    pub(crate) fn wrote_pending(&mut self) {
        if let Some(active) = &mut self.log.active {
            active.wrote_pending();
        }
    }

    /// How far the active segment was handed out: where the batch that is on its way ends.
    pub(crate) fn handed_out(&self) -> u64 {
        self.log.active.as_ref().map_or(0, Active::handed_out)
    }

    /// Everything up to this seq is on stable media, and the active segment up to this offset.
    pub(crate) fn synced(&mut self, seq: u64, end: u64) {
        self.durable_seq = self.durable_seq.max(seq);
        if let Some(active) = &mut self.log.active {
            active.synced = active.synced.max(end);
        }
    }

    /// The active segment and where it ends, if all of it is on stable media and says so itself (rule F-20): what an anchor
    /// can say of it. `None` for the end where something is on its way.
    pub(crate) fn settled_end(&self) -> Option<(u64, Option<LogEnd>)> {
        let active = self.log.active.as_ref().filter(|_| self.memory.is_none())?;
        let end = active.durable_end().filter(|_| self.is_marked() && !self.is_dirty());
        Some((active.number, end))
    }

    /// A write or a sync failed: from now on nothing is accepted. The first cause is kept.
    pub(crate) fn poison(&mut self, cause: &Error) {
        if planted::active(Planted::PoisonForgotten) {
            return;
        }
        self.poisoned.get_or_insert_with(|| cause.clone());
    }

    /// Bytes of the log that the storage does not have yet (or never will, in memory).
    pub(crate) fn read_log(&self, segment: u64, offset: u64, len: usize) -> Option<Vec<u8>> {
        if let Some(memory) = self.memory.as_ref().filter(|_| segment == MEMORY_SEGMENT) {
            let at = memory.partition_point(|(start, _)| *start <= offset).checked_sub(1)?;
            let (start, bytes) = memory.get(at)?;
            let from = usize::try_from(offset - start).ok()?;
            return bytes.get(from..from.checked_add(len)?).map(<[u8]>::to_vec);
        }
        let active = self.log.active.as_ref()?;
        if active.number == segment { active.read(offset, len) } else { None }
    }

    /// The smallest length that the active segment needs: what was reserved beyond can be given back.
    pub(crate) fn active_segment(&self) -> Option<(u64, u64)> {
        let active = self.log.active.as_ref()?;
        Some((active.number, active.end().max(SEGMENT_HEADER_BYTES)))
    }
}

/// Decodes what was just encoded and folds it: live commits go through the same door as recovery.
fn apply_encoded(
    state: &mut State,
    encoded: &[Encoded],
    buffer: &[u8],
    at: LogPosition,
    pages: &dyn PageSource,
    appended: &mut Vec<Appended>,
) -> Result<()> {
    if let [only] = encoded {
        let frames = [only.view(buffer)?];
        return state.apply(&LoggedTransaction { at, frames: &frames }, pages, appended);
    }
    let frames = views(encoded, buffer).collect::<Result<Vec<_>>>()?;
    state.apply(&LoggedTransaction { at, frames: &frames }, pages, appended)
}

fn views<'a>(encoded: &'a [Encoded], buffer: &'a [u8]) -> impl Iterator<Item = Result<RecordView<'a>>> {
    encoded.iter().map(|frame| frame.view(buffer))
}
