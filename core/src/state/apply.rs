//! The fold: how one committed transaction changes the state. Normative text: `docs/format.md`, rule F-39.
//!
//! Invariant: the result depends on the state, the record and where the record is in the log, and on nothing else: no
//! clock, no randomness, no I/O but the pages of absent leaves. A record that passed its checksum but breaks a rule is
//! corruption and is reported as such; it is never half applied to a state that anybody sees, because live commits check
//! and fault in everything before they encode, and recovery throws the state away.

use alloc::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};

use litemap::LiteMap;

mod events;
mod expiries;

pub(crate) use self::{events::batches_of, expiries::counted};
use super::{
    BatchIndex, DEFAULT_SPACE, EditBody, EditedDocument, Family, Run, RunBegun, RunRecord, Space, SpaceNumber, State,
    decode_body, entry_kind, expiry, idempotency::decode_bounds,
};
use crate::{
    Error, Result, RunId,
    limits::INLINE_VALUE_BYTES_MAX,
    log::{LogPointer, LogPosition, Op, OpCode, RecordView, segment_name},
    planted::{self, Planted},
    transaction::PROVISIONAL,
    tree::{EntryRef, KeyRange, PageSource, TreeBuilder, TreeConfig},
    value::{Delta, apply_delta},
    work,
};

/// One transaction as it stands in the log: one frame, or several parts that were closed by a commit frame.
#[derive(Clone, Copy)]
pub struct LoggedTransaction<'a> {
    /// Where its first frame begins.
    pub at: LogPosition,
    /// Its frames, in order.
    pub frames: &'a [RecordView<'a>],
}

/// Which seqs the events of an append operation got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) space: SpaceNumber,
    pub(crate) stream: Vec<u8>,
    pub(crate) first_seq: u64,
    pub(crate) count: u64,
}

/// Of which spaces a transaction is folded.
#[derive(Clone, Copy)]
pub(crate) enum Chosen<'a> {
    /// Of all.
    All,
    /// Of one alone, and of nothing else that the transaction brings about.
    One(SpaceNumber),
    /// Of these.
    These(&'a BTreeSet<SpaceNumber>),
}

impl Chosen<'_> {
    #[inline]
    fn has(self, space: SpaceNumber) -> bool {
        match self {
            Chosen::All => true,
            Chosen::One(number) => number == space,
            Chosen::These(numbers) => numbers.contains(&space),
        }
    }

    #[inline]
    fn is_all(self) -> bool {
        matches!(self, Chosen::All)
    }
}

/// From so many operations on a transaction into an empty space is looked at as a bulk load.
const BUILD_OPS_MIN: u64 = 256;

/// The family into which an operation puts a value, if that is all it does.
fn family_of_put(code: OpCode) -> Option<Family> {
    match code {
        OpCode::KvPut => Some(Family::Kv),
        OpCode::JsonPut => Some(Family::Json),
        OpCode::StatePut => Some(Family::State),
        _ => None,
    }
}

/// What every operation of one frame shares.
struct Place<'a> {
    seq: u64,
    time_micros: u64,
    frame: LogPosition,
    pages: &'a dyn PageSource,
}

impl Place<'_> {
    /// How an operation's value is kept: in the tree, or, over the inline limit, where it is, with a pointer in the tree.
    /// The value are the last bytes of its body.
    fn stored<'b>(&self, op: &Op<'_>, value: &'b [u8]) -> Result<(u8, Cow<'b, [u8]>)> {
        if value.len() <= INLINE_VALUE_BYTES_MAX {
            return Ok((entry_kind::INLINE, Cow::Borrowed(value)));
        }
        Ok((entry_kind::POINTER, Cow::Owned(self.pointer(op, value)?.encode().to_vec())))
    }

    /// Where the last bytes of an operation's body are.
    fn pointer(&self, op: &Op<'_>, end_of_body: &[u8]) -> Result<LogPointer> {
        let len = u32::try_from(end_of_body.len())
            .map_err(|_| self.corrupt(op, "F-32", format!("a value of {} bytes", end_of_body.len())))?;
        let before = op.body.len().saturating_sub(end_of_body.len()) as u64;
        Ok(LogPointer {
            segment: self.frame.segment,
            offset: self.offset(op).saturating_add(before),
            len,
            crc: crate::checksum::hash(end_of_body),
        })
    }

    fn offset(&self, op: &Op<'_>) -> u64 {
        self.frame.payload_offset(op.body_at)
    }

    /// A record that passed its checksum and cannot be applied is corruption, with a place, whatever the code that
    /// stumbled over it calls it. An absent leaf that cannot be read is another matter.
    fn located(&self, op: &Op<'_>, error: Error) -> Error {
        match error {
            Error::Invalid { .. } | Error::Type { .. } | Error::CounterOverflow { .. } | Error::Limit { .. } => {
                self.corrupt(op, "F-39", format!("{error}"))
            }
            error => error,
        }
    }

    fn corrupt(&self, op: &Op<'_>, rule: &'static str, what: alloc::string::String) -> Error {
        Error::Corrupt { file: segment_name(self.frame.segment), offset: self.offset(op), rule, what }
    }
}

impl State {
    /// Folds one committed transaction into the state. `appended` receives the seqs that appended events got.
    ///
    /// Fails with [`Error::Corrupt`] where the record breaks a rule, and with the source's error where an absent leaf
    /// cannot be read. After an error the state must not be used.
    pub(crate) fn apply(
        &mut self,
        transaction: &LoggedTransaction<'_>,
        pages: &dyn PageSource,
        appended: &mut Vec<Appended>,
    ) -> Result<()> {
        self.apply_chosen(Chosen::All, transaction, pages, appended)
    }

    /// The same, for the operations of some spaces alone. The runs before them may be missing.
    pub(crate) fn apply_chosen(
        &mut self,
        chosen: Chosen<'_>,
        transaction: &LoggedTransaction<'_>,
        pages: &dyn PageSource,
        appended: &mut Vec<Appended>,
    ) -> Result<()> {
        let Some(last) = transaction.frames.last() else { return Ok(()) };
        let header = *last.header();
        let built = self.build_space(chosen, transaction, pages)?;
        for frame in transaction.frames {
            let place = Place { seq: header.seq, time_micros: header.time_micros, frame: frame.at(), pages };
            for group in frame.groups().filter(|group| chosen.has(group.space)) {
                let ops = group.ops().take(if built == Some(group.space) { 0 } else { usize::MAX });
                for op in ops {
                    work::count(1);
                    if !chosen.is_all() {
                        if op.code == OpCode::JsonEdit && planted::active(Planted::EditForgottenInReplay) {
                            continue;
                        }
                        // Those before it were passed over.
                        self.next_number = self.next_number.max(group.space);
                    }
                    self.apply_op(group.space, &op, &place, appended).map_err(|error| place.located(&op, error))?;
                }
                self.touch(group.space, header.seq, transaction.at);
            }
        }
        let once = header.idempotency_key.filter(|_| chosen.is_all());
        if let Some(once) = once.filter(|_| !planted::active(Planted::IdempotencyKeyForgotten)) {
            self.idempotency.insert(&once, header.seq, header.time_micros);
        }
        self.seq = header.seq;
        self.time_micros = header.time_micros;
        Ok(())
    }

    /// For salvage, where the beginnings of runs may be lost: the numbers up to those that a transaction gives out are taken.
    pub(crate) fn pass_over_lost_runs(&mut self, transaction: &LoggedTransaction<'_>) {
        let groups = transaction.frames.iter().flat_map(|frame| frame.groups());
        let begun = groups.filter(|group| group.ops().any(|op| op.code == OpCode::RunBegin)).map(|group| group.space);
        self.next_number = self.next_number.max(begun.min().unwrap_or(0));
    }

    /// Builds the tree of an empty space from a transaction that does nothing but put many keys into it, in ascending
    /// order, as every bulk load does: leaves are packed full and written once. Returns the space, if there is one.
    fn build_space(
        &mut self,
        chosen: Chosen<'_>,
        transaction: &LoggedTransaction<'_>,
        pages: &dyn PageSource,
    ) -> Result<Option<SpaceNumber>> {
        let Some(first) = transaction.frames.first().and_then(|frame| frame.groups().next()) else { return Ok(None) };
        let number = first.space;
        if first.op_count < BUILD_OPS_MIN || !chosen.has(number) {
            return Ok(None);
        }
        let Some(space) = self.space_mut(number).filter(|space| space.tree.is_empty()) else { return Ok(None) };
        let mut builder = TreeBuilder::new(TreeConfig::default());
        let (mut live, mut key) = (BTreeMap::new(), Vec::new());
        for frame in transaction.frames {
            let header = frame.header();
            let place = Place { seq: header.seq, time_micros: header.time_micros, frame: frame.at(), pages };
            for op in frame.groups().filter(|group| group.space == number).flat_map(|group| group.ops()) {
                let Some(family) = family_of_put(op.code) else { return Ok(None) };
                family.write_key(op.key, &mut key);
                let (kind, value) = place.stored(&op, op.body)?;
                if builder.push(&key, kind, &value, header.seq).is_err() {
                    return Ok(None);
                }
                for (segment, bytes) in log_bytes_of(&EntryRef { kind, seq: header.seq, value: &value }) {
                    *live.entry(segment).or_default() += bytes;
                }
            }
        }
        space.tree = builder.finish();
        space.live = Arc::new(live);
        Ok(Some(number))
    }

    /// Remembers where the newest transaction of a space is. A space may have groups in several parts of one
    /// transaction; it counts once.
    fn touch(&mut self, number: SpaceNumber, seq: u64, at: LogPosition) {
        // The space is gone where the group deleted its run.
        let Some(space) = self.space_mut(number) else { return };
        if space.last_seq != seq {
            space.commits += 1;
        }
        space.last_seq = seq;
        space.last_position = Some(at);
    }

    fn apply_op(
        &mut self,
        number: SpaceNumber,
        op: &Op<'_>,
        place: &Place<'_>,
        appended: &mut Vec<Appended>,
    ) -> Result<()> {
        match op.code {
            OpCode::RunBegin => return self.begin_run(number, op, place),
            OpCode::RunDelete => return self.delete_run(number, op, place),
            OpCode::RunEnd if planted::active(Planted::RunEndForgotten) => return Ok(()),
            OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate => return self.change_run(number, op, place),
            OpCode::KeyWindow => return self.change_window(number, op, place),
            _ => {}
        }
        let Some(space) = self.space_mut(number) else {
            return Err(place.corrupt(op, "F-36", format!("space {number} does not exist")));
        };
        match op.code {
            OpCode::KvPut => space.put(Family::Kv, op, place),
            OpCode::KvDelete if planted::active(Planted::DeletionForgotten) => Ok(()),
            OpCode::KvDelete => space.delete(Family::Kv, op, place),
            OpCode::KvAdd => space.add(op, place),
            OpCode::KvPutExpiring => space.put_expiring(Family::Kv, op, place),
            OpCode::KvExpire => space.expire(Family::Kv, op, place),
            OpCode::JsonPutExpiring => space.put_expiring(Family::Json, op, place),
            OpCode::JsonExpire => space.expire(Family::Json, op, place),
            OpCode::StatePutExpiring => space.put_expiring(Family::State, op, place),
            OpCode::StateExpire => space.expire(Family::State, op, place),
            OpCode::Sweep => space.sweep(op, place),
            OpCode::JsonPut => space.put(Family::Json, op, place),
            OpCode::JsonDelete => space.delete(Family::Json, op, place),
            OpCode::JsonEdit => space.edit(op, place),
            OpCode::StatePut => space.put(Family::State, op, place),
            OpCode::StateDelete => space.delete(Family::State, op, place),
            OpCode::EventAppend => {
                let (first_seq, count) = space.append(op, place)?;
                appended.push(Appended { space: number, stream: op.key.to_vec(), first_seq, count });
                Ok(())
            }
            OpCode::EventTrim => space.trim(op, place),
            OpCode::StreamDelete => space.delete_stream(op, place),
            OpCode::TracePut => space.put_trace(op, place),
            OpCode::RunBegin | OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate | OpCode::RunDelete => Ok(()),
            OpCode::KeyWindow => Ok(()),
        }
    }

    fn change_window(&mut self, number: SpaceNumber, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let bounds = decode_bounds(op.body).filter(|_| number == DEFAULT_SPACE && op.key.is_empty());
        let malformed = || place.corrupt(op, "F-39", format!("bounds of {} bytes in space {number}", op.body.len()));
        self.idempotency.set_bounds(bounds.ok_or_else(malformed)?);
        Ok(())
    }

    fn begin_run(&mut self, number: SpaceNumber, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        if number != self.next_number {
            let what = format!("run {number} begins where run {} is next", self.next_number);
            return Err(place.corrupt(op, "F-36", what));
        }
        let began: RunBegun = decode_body("run", op.body)?;
        let id: [u8; 16] =
            op.key.try_into().map_err(|_| place.corrupt(op, "F-36", format!("a run id of {} bytes", op.key.len())))?;
        if number >= PROVISIONAL || self.runs.find(RunId::from_bytes(id)).is_some() {
            let what = format!("run {number} is over the limit, or there is one with id {}", RunId::from_bytes(id));
            return Err(place.corrupt(op, "F-36", what));
        }
        let record = RunRecord {
            id,
            began,
            began_micros: place.time_micros,
            first_seq: place.seq,
            changed_seq: place.seq,
            ended: None,
            resumed: 0,
        };
        self.runs.insert(number, Run { space: Space::default(), record: Arc::new(record) });
        // A number beyond all runs is refused where a run is begun.
        self.next_number = number.saturating_add(1);
        Ok(())
    }

    fn delete_run(&mut self, number: SpaceNumber, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        if self.run(number).is_none() {
            return Err(place.corrupt(op, "F-36", format!("run {number} does not exist")));
        }
        self.runs.remove(number);
        Ok(())
    }

    fn change_run(&mut self, number: SpaceNumber, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let Some(run) = self.runs.get_mut(number) else {
            return Err(place.corrupt(op, "F-36", format!("run {number} does not exist")));
        };
        Arc::make_mut(&mut run.record).change(op.code, op.body, place.seq, place.time_micros)
    }
}

impl Space {
    /// Sets an entry and keeps the live-byte counts right: what the old value held in the log is dead now.
    fn set(&mut self, key: &[u8], kind: u8, value: &[u8], place: &Place<'_>) -> Result<()> {
        let (mut freed, mut expired) = (Vec::new(), None);
        self.tree.insert(key, kind, value, place.seq, place.pages, &mut |old| {
            (freed, expired) = (log_bytes_of(&old), expiry::split(old).1);
        })?;
        let entry = EntryRef { kind, seq: place.seq, value };
        self.change_live(&freed, &log_bytes_of(&entry));
        let expires = expiry::split(entry).1;
        if expired == expires {
            return Ok(());
        }
        self.follow_expiry(key, (expired, expires), place.seq, place.pages)
    }

    fn unset(&mut self, key: &[u8], place: &Place<'_>) -> Result<bool> {
        let (mut freed, mut expired) = (Vec::new(), None);
        let removed = self.tree.remove(key, place.pages, &mut |old| {
            (freed, expired) = (log_bytes_of(&old), expiry::split(old).1);
        })?;
        self.change_live(&freed, &[]);
        if expired.is_some() {
            self.follow_expiry(key, (expired, None), place.seq, place.pages)?;
        }
        Ok(removed)
    }

    /// Removes the batches of a range, none of which is over at a time. Costs what is removed, and O(log n).
    fn unset_range(&mut self, range: &KeyRange, place: &Place<'_>) -> Result<()> {
        let mut freed: LiteMap<u64, u64> = LiteMap::new();
        self.tree.remove_range(range, place.pages, &mut |old| {
            for (segment, bytes) in log_bytes_of(&old) {
                *freed.entry(segment).or_default() += bytes;
            }
        })?;
        let freed: Vec<(u64, u64)> = freed.into_iter().collect();
        self.change_live(&freed, &[]);
        Ok(())
    }

    fn change_live(&mut self, freed: &[(u64, u64)], used: &[(u64, u64)]) {
        if freed.is_empty() && used.is_empty() {
            return;
        }
        if Arc::strong_count(&self.live) > 1 {
            work::count(self.live.len());
        }
        let live = Arc::make_mut(&mut self.live);
        for (segment, bytes) in used {
            *live.entry(*segment).or_default() += bytes;
        }
        for (segment, bytes) in freed {
            let Some(left) = live.get_mut(segment) else { continue };
            *left = left.saturating_sub(*bytes);
            if *left == 0 {
                live.remove(segment);
            }
        }
    }

    fn put(&mut self, family: Family, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let (kind, value) = place.stored(op, op.body)?;
        self.set(&family.key(op.key), kind, &value, place)
    }

    /// Notes where the change of a document is. Neither the document nor the change is looked at: what comes out has to have
    /// the checksum that the edit says, whenever it is read.
    fn edit(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let key = Family::Json.key(op.key);
        let edit = EditBody::parse(op.body)?;
        let splices = place.pointer(op, edit.splices)?;
        let entry = self.tree.get(&key, place.pages)?;
        let expires = entry.and_then(|entry| expiry::split(entry).1);
        let document = EditedDocument::after(entry.as_ref(), &edit, splices)?;
        self.set_until(&key, entry_kind::EDITED, &document.encode(), expires, place)
    }

    fn delete(&mut self, family: Family, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        self.unset(&family.key(op.key), place).map(|_| ())
    }

    fn add(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let key = Family::Kv.key(op.key);
        let delta = Delta::decode(op.body)?;
        let (existing, expires) = counted(self.tree.get(&key, place.pages)?, place.time_micros);
        let sum = match existing {
            Some(entry) if entry.kind != entry_kind::INLINE => {
                return Err(place.corrupt(op, "F-37", format!("counter {:?} is not a number", op.key)));
            }
            _ if planted::active(Planted::AdditionReplaces) => apply_delta(op.key, None, &delta)?,
            existing => apply_delta(op.key, existing.map(|entry| entry.value), &delta)?,
        };
        self.set_until(&key, entry_kind::INLINE, &sum, expires, place)
    }

    /// A trace entry and its two index entries. Parent and type never change, so an update touches the entry alone.
    fn put_trace(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let index = crate::primitive::trace_index(op.key, op.body)?;
        self.put(Family::Trace, op, place)?;
        for key in index {
            self.set(&key, entry_kind::INLINE, &[], place)?;
        }
        Ok(())
    }
}

/// Segment and number of the bytes that an entry keeps alive in the log. Empty, and without an allocation, for what is in the
/// tree.
fn log_bytes_of(entry: &EntryRef<'_>) -> Vec<(u64, u64)> {
    let place = |pointer: &LogPointer| (pointer.segment, u64::from(pointer.len));
    let (entry, _) = expiry::split(*entry);
    match entry.kind {
        entry_kind::POINTER => LogPointer::decode(entry.value).iter().map(place).collect(),
        entry_kind::BATCH => {
            BatchIndex::decode(entry.value).iter().map(|index| (index.segment, index.bytes())).collect()
        }
        entry_kind::EDITED => {
            let document = EditedDocument::of(&entry).ok().flatten();
            document.iter().flat_map(EditedDocument::places).map(place).collect()
        }
        _ => Vec::new(),
    }
}
