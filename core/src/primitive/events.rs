//! Event streams: [`Events`].
//!
//! Invariant: appending reads nothing, so appends never conflict. What an event is, its seq, time and place in the
//! chain, is given by the fold when its transaction is applied, and never changes.

use alloc::{string::String, vec::Vec};
use core::ops::{ControlFlow, RangeBounds};

mod batch;
mod chain;
mod order;
mod walk;

pub(crate) use self::walk::StoredEvent;
use serde::Serialize;

use self::walk::{Commit, StreamState, Wanted, walk};
pub use self::{
    batch::{EventBatch, NewEvent},
    chain::ChainReport,
    order::{EventPlace, StreamEvent},
};
use super::{
    access::{Access, AccessMut, Reads},
    entry::named,
    kv::Version,
    scan::{ScanOptions, scan},
};
use crate::{
    Error, Result,
    log::{OpCode, varint},
    shown::Shown,
    state::{Family, Link, SpaceNumber, StreamInfo},
    tree::Direction,
    value::{Decode, Encode, Value, ValueRef},
};

/// The event streams of a space, reached through a store, a run, a transaction or a view.
///
/// A stream is named by up to [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX) bytes and begins with its first event.
/// Its events have the seqs 1, 2, 3 and so on, in the order of their commits. A transaction sees what it has appended
/// itself behind the committed events; seqs and time of those are provisional (the time reads as 0) until it commits.
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`], [`Error::Corrupt`]), and every write as a commit
/// does. What else can happen stands with each operation.
#[derive(Clone, Copy, Debug)]
pub struct Events<A> {
    access: A,
    space: SpaceNumber,
}

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event<T = Value> {
    /// Its place in the stream; the first event of a stream has 1.
    pub seq: u64,
    /// What sort of event it is.
    pub kind: String,
    /// What happened.
    pub payload: T,
    /// When it was committed, in microseconds since 1970; 0 where it is not committed yet.
    pub time_micros: u64,
    /// Which commit it came with: its place in the order of all commits of the store.
    pub version: Version,
}

/// An event that is borrowed from where it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRef<'a> {
    /// Its place in the stream; the first event of a stream has 1.
    pub seq: u64,
    /// What sort of event it is.
    pub kind: &'a str,
    /// What happened.
    pub payload: ValueRef<'a>,
    /// When it was committed, in microseconds since 1970; 0 where it is not committed yet.
    pub time_micros: u64,
    /// Which commit it came with: its place in the order of all commits of the store.
    pub version: Version,
}

/// What is known of a stream without reading its events.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StreamSummary {
    /// The name.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub stream: Vec<u8>,
    /// Seq of the newest event.
    pub head: u64,
    /// Seq of the oldest event that is kept; `head + 1` where none is.
    pub first: u64,
    /// How many events are kept.
    pub events: u64,
    /// Bytes of all events that were ever appended, as they are in the log.
    pub bytes: u64,
    /// When the stream got its first event, in microseconds since 1970; 0 where that is not committed yet.
    pub created_micros: u64,
    /// When it got its newest committed event, in microseconds since 1970; 0 where there is none.
    pub appended_micros: u64,
    /// The newest link of its chain of hashes: two streams with the same link have the same history.
    #[serde(serialize_with = "crate::shown::serialize_hash")]
    pub link: Link,
}

impl core::fmt::Debug for StreamSummary {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("StreamSummary");
        shown.field("stream", &Shown(&self.stream)).field("head", &self.head).field("first", &self.first);
        shown.field("events", &self.events).field("bytes", &self.bytes).field("created_micros", &self.created_micros);
        shown.field("appended_micros", &self.appended_micros).finish_non_exhaustive()
    }
}

impl StreamSummary {
    fn of(stream: &[u8], state: &StreamState) -> Self {
        let info = state.committed.unwrap_or_else(|| StreamInfo::new(0));
        StreamSummary {
            stream: stream.to_vec(),
            head: state.head(),
            first: state.first(),
            events: state.len(),
            bytes: info.bytes.saturating_add(state.pending.bytes),
            created_micros: info.created_micros,
            appended_micros: info.appended_micros,
            link: info.link,
        }
    }
}

impl<A> Events<A> {
    /// The streams of a space, through an access of one's own: for a host that wraps those of this crate. The handles of
    /// stores, runs, transactions and views give theirs.
    pub fn new(access: A, space: SpaceNumber) -> Self {
        Events { access, space }
    }

    pub(crate) fn access(&self) -> &A {
        &self.access
    }

    pub(crate) fn space(&self) -> SpaceNumber {
        self.space
    }
}

impl<A: Access> Events<A> {
    /// The event of this seq, if the stream has it and keeps it. It is read by one read of about 4 KiB, however large
    /// the batch is that it was appended with.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("door", "opened", "by Ada")?;
    /// let event = db.events().get("door", 1)?.expect("it was just appended");
    /// assert_eq!((event.kind.as_str(), event.payload), ("opened", "by Ada".into()));
    /// assert_eq!(db.events().get("door", 2)?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get(&self, stream: impl AsRef<[u8]>, seq: u64) -> Result<Option<Event>> {
        self.get_as(stream, seq)
    }

    /// As [`Events::get`], with a payload of a known type.
    ///
    /// # Errors
    /// [`Error::Type`] if the payload is not a `T`.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("door", "opened", 7)?;
    /// assert_eq!(db.events().get_as::<u32>("door", 1)?.map(|event| event.payload), Some(7));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_as<T: Decode>(&self, stream: impl AsRef<[u8]>, seq: u64) -> Result<Option<Event<T>>> {
        // Backwards the batch is found by one descent.
        Ok(self.range_as(stream, seq..=seq, None, Direction::Backward)?.pop())
    }

    /// The events of a range of seqs, at most `limit` of them, beginning with the oldest or with the newest.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::Direction;
    /// for number in 1..=5 {
    ///     db.events().append("log", "tick", number)?;
    /// }
    /// assert_eq!(db.events().range("log", 2.., 2, Direction::Forward)?.last().map(|event| event.seq), Some(3));
    /// assert_eq!(db.events().range("log", .., 1, Direction::Backward)?[0].seq, 5);
    /// assert_eq!(db.events().range("log", 2..=4, None, Direction::Forward)?.len(), 3);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn range(
        &self,
        stream: impl AsRef<[u8]>,
        seqs: impl RangeBounds<u64>,
        limit: impl Into<Option<usize>>,
        direction: Direction,
    ) -> Result<Vec<Event>> {
        self.range_as(stream, seqs, limit, direction)
    }

    /// As [`Events::range`], with payloads of one known type.
    ///
    /// # Errors
    /// [`Error::Type`] if one of the payloads is not a `T`.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::Direction;
    /// db.events().append("log", "tick", 7)?;
    /// assert_eq!(db.events().range_as::<i64>("log", .., None, Direction::Forward)?[0].payload, 7);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn range_as<T: Decode>(
        &self,
        stream: impl AsRef<[u8]>,
        seqs: impl RangeBounds<u64>,
        limit: impl Into<Option<usize>>,
        direction: Direction,
    ) -> Result<Vec<Event<T>>> {
        let (stream, limit) = (stream.as_ref(), limit.into());
        let mut events = Vec::new();
        self.walk(stream, &seqs, limit, direction, &mut |event| {
            let payload = T::decode(event.payload).map_err(|error| named(error, stream))?;
            events.push(owned(&event, payload)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(events)
    }

    /// Calls `each` for the events of a range of seqs, in order, until it breaks, without copying them. Memory stays
    /// bounded however many there are.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use core::ops::ControlFlow;
    /// use foldb::Direction;
    /// db.events().append("log", "tick", 7)?;
    /// let mut ticks = 0;
    /// db.events().for_each("log", 1.., Direction::Forward, |event| {
    ///     ticks += u32::from(event.kind == "tick");
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(ticks, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn for_each(
        &self,
        stream: impl AsRef<[u8]>,
        seqs: impl RangeBounds<u64>,
        direction: Direction,
        mut each: impl FnMut(EventRef<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.walk(stream.as_ref(), &seqs, None, direction, &mut |event| {
            let payload = ValueRef::decode(event.payload)?;
            let Commit { version, time_micros } = event.commit;
            Ok(each(EventRef { seq: event.seq, kind: kind(&event)?, payload, time_micros, version }))
        })
    }

    /// As [`Events::for_each`], with everything as it is stored; for digests and comparisons.
    pub(crate) fn for_each_stored(
        &self,
        stream: &[u8],
        each: &mut dyn FnMut(&StoredEvent<'_>) -> Result<()>,
    ) -> Result<()> {
        self.walk(stream, &.., None, Direction::Forward, &mut |event| each(&event).map(|()| ControlFlow::Continue(())))
    }

    fn walk(
        &self,
        stream: &[u8],
        seqs: &impl RangeBounds<u64>,
        limit: Option<usize>,
        direction: Direction,
        each: walk::OnEvent<'_>,
    ) -> Result<()> {
        let bounds = (seqs.start_bound().cloned(), seqs.end_bound().cloned());
        self.access.read(|reads| {
            let state = StreamState::read(reads, self.space, stream)?;
            match Wanted::of(&state, bounds, direction, limit) {
                Some(wanted) => walk(reads, (self.space, stream), &state, wanted, each),
                None => Ok(()),
            }
        })
    }

    /// Seq of the newest event; 0 for a stream that has none.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("log", "tick", 7)?;
    /// assert_eq!(db.events().head("log")?, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn head(&self, stream: impl AsRef<[u8]>) -> Result<u64> {
        self.state_of(stream.as_ref(), StreamState::head)
    }

    /// Seq of the oldest event that is kept, if the stream keeps any.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.events().first("log")?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn first(&self, stream: impl AsRef<[u8]>) -> Result<Option<u64>> {
        self.state_of(stream.as_ref(), |state| (state.len() > 0).then(|| state.first()))
    }

    /// How many events the stream keeps.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("log", "tick", 7)?;
    /// assert_eq!(db.events().len("log")?, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn len(&self, stream: impl AsRef<[u8]>) -> Result<u64> {
        self.state_of(stream.as_ref(), StreamState::len)
    }

    /// Whether the stream keeps no events.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert!(db.events().is_empty("log")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn is_empty(&self, stream: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.len(stream)? == 0)
    }

    /// What is known of a stream, if it exists. A stream whose events were all trimmed still does.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("log", "tick", 7)?;
    /// let info = db.events().info("log")?.expect("it has an event");
    /// assert_eq!((info.first, info.head, info.events), (1, 1, 1));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn info(&self, stream: impl AsRef<[u8]>) -> Result<Option<StreamSummary>> {
        let stream = stream.as_ref();
        self.state_of(stream, |state| state.exists().then(|| StreamSummary::of(stream, state)))
    }

    fn state_of<T>(&self, stream: &[u8], look: impl FnOnce(&StreamState) -> T) -> Result<T> {
        self.access.read(|reads| StreamState::read(reads, self.space, stream).map(|state| look(&state)))
    }

    /// The streams that the options choose by their names.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.events().append("log/1", "tick", 7)?;
    /// assert_eq!(db.events().streams(&ScanOptions::prefix("log/"))?[0].stream, b"log/1");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn streams(&self, options: &ScanOptions) -> Result<Vec<StreamSummary>> {
        self.access.read(|reads| streams(reads, self.space, options))
    }

    /// Reads every kept event of a stream from the log and computes its chain of hashes again. What the calling
    /// transaction has appended itself has no links yet and is left out.
    ///
    /// # Errors
    /// [`Error::Corrupt`], naming file and offset, where bytes were changed, events are missing, or batches are not in
    /// their order.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("log", "tick", 7)?;
    /// let report = db.events().verify_chain("log")?;
    /// assert_eq!((report.events, report.verified_from), (1, Some(1)));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn verify_chain(&self, stream: impl AsRef<[u8]>) -> Result<ChainReport> {
        self.access.read(|reads| chain::verify(reads, self.space, stream.as_ref()))
    }
}

impl<A: AccessMut> Events<A> {
    /// Appends one event and returns its seq; `None` inside a transaction, where it gets its seq at the commit.
    ///
    /// # Errors
    /// [`Error::Limit`] if stream name, kind or payload are too large, [`Error::Invalid`] if the payload cannot be
    /// encoded.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.events().append("door", "opened", "by Ada")?, Some(1));
    /// assert_eq!(db.events().append("door", "closed", "by the wind")?, Some(2));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn append(&self, stream: impl AsRef<[u8]>, kind: &str, payload: impl Encode) -> Result<Option<u64>> {
        let mut batch = EventBatch::new();
        batch.push(kind, payload)?;
        self.append_encoded(stream, &batch)
    }

    /// Appends several events in one commit, next to each other, and returns the seq of the first; `None` inside a
    /// transaction, and where there are none.
    ///
    /// # Errors
    /// As [`Events::append`]; nothing is appended then.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::NewEvent;
    /// let ticks = (0..1000).map(|number| NewEvent::new("tick", number));
    /// assert_eq!(db.events().append_batch("log", ticks)?, Some(1));
    /// assert_eq!(db.events().head("log")?, 1000);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn append_batch<'a, P: Encode>(
        &self,
        stream: impl AsRef<[u8]>,
        events: impl IntoIterator<Item = NewEvent<'a, P>>,
    ) -> Result<Option<u64>> {
        let mut batch = EventBatch::new();
        for event in events {
            batch.push(event.kind, event.payload)?;
        }
        self.append_encoded(stream, &batch)
    }

    /// Appends events that are encoded already, as [`Events::append_batch`] does: the fastest way for many.
    ///
    /// # Errors
    /// As [`Events::append`].
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::EventBatch;
    /// let mut batch = EventBatch::new();
    /// for round in 0..3 {
    ///     batch.clear();
    ///     for number in 0..100 {
    ///         batch.push("tick", round * 100 + number)?;
    ///     }
    ///     db.events().append_encoded("log", &batch)?;
    /// }
    /// assert_eq!(db.events().head("log")?, 300);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn append_encoded(&self, stream: impl AsRef<[u8]>, batch: &EventBatch) -> Result<Option<u64>> {
        if batch.is_empty() {
            return Ok(None);
        }
        self.access.append(self.space, stream.as_ref(), batch)
    }

    /// Forgets the events before `keep_from`; those that a stream does not have yet cannot be forgotten in advance.
    /// Seqs do not change, and what is kept stays verifiable. A stream that does not exist stays so. Reads nothing and
    /// so never conflicts. A transaction that appends to a stream after it has trimmed it keeps all that it appended.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::NewEvent;
    /// db.events().append_batch("log", (1..=10).map(|number| NewEvent::new("tick", number)))?;
    /// db.events().trim("log", 8)?;
    /// assert_eq!(db.events().first("log")?, Some(8));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn trim(&self, stream: impl AsRef<[u8]>, keep_from: u64) -> Result<()> {
        let mut body = Vec::new();
        varint::write(&mut body, keep_from);
        self.access.write(|writes| writes.write(self.space, OpCode::EventTrim, stream.as_ref(), &body))
    }

    /// Deletes a stream with all its events and says whether it existed. Appended to again, it begins again with seq 1.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.events().append("log", "tick", 7)?;
    /// assert!(db.events().delete_stream("log")?);
    /// assert!(!db.events().delete_stream("log")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete_stream(&self, stream: impl AsRef<[u8]>) -> Result<bool> {
        let stream = stream.as_ref();
        self.access.write(|writes| {
            let exists = StreamState::read(writes, self.space, stream)?.exists();
            if exists {
                writes.write(self.space, OpCode::StreamDelete, stream, &[])?;
            }
            Ok(exists)
        })
    }
}

fn owned<T>(event: &StoredEvent<'_>, payload: T) -> Result<Event<T>> {
    let Commit { version, time_micros } = event.commit;
    Ok(Event { seq: event.seq, kind: kind(event)?.into(), payload, time_micros, version })
}

fn kind<'a>(event: &StoredEvent<'a>) -> Result<&'a str> {
    core::str::from_utf8(event.kind).map_err(|error| Error::Invalid {
        what: "event kind",
        why: alloc::format!("event {} has one that is not UTF-8 behind byte {}", event.seq, error.valid_up_to()),
    })
}

/// Committed streams, and among them those that only the reading transaction has.
fn streams(reads: &dyn Reads, space: SpaceNumber, options: &ScanOptions) -> Result<Vec<StreamSummary>> {
    let mut found = Vec::new();
    scan(reads, space, Family::Stream, options, &mut |stream, item| {
        let committed = item.seq.map(|_| StreamInfo::decode(item.raw())).transpose()?;
        let state = StreamState::of(reads, space, stream, committed)?;
        if state.exists() {
            found.push(StreamSummary::of(stream, &state));
        }
        Ok(state.exists())
    })?;
    Ok(found)
}
