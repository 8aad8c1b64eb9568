//! The events of all streams of a space, in the order of their commits: [`Events::all`].
//!
//! Invariant: the order is that of the commits; within one, that of the names of the streams; within a stream, that of its
//! events. All of that is in the entries of the tree, so nothing is kept for it, and a place stays where it is whatever is
//! committed later: a page that begins behind one misses nothing and repeats nothing.

use alloc::{collections::BTreeMap, format, vec::Vec};
use core::{cmp::Ordering, ops::ControlFlow};

use serde::Serialize;

use super::{
    Event, Events, owned,
    walk::{StreamState, Wanted, batch_range, first_seq_of, walk},
};
use crate::{
    Error, Result,
    primitive::{
        Version,
        access::{Access, Reads},
        entry::named,
    },
    shown::debug_by_key,
    state::{BatchIndex, Family, SpaceNumber, StreamInfo, readable},
    tree::{Direction, KeyRange},
    value::{Decode, Value},
};

/// The place of an event among those of all streams: the cursor of [`Events::all`].
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct EventPlace {
    /// The commit that it came with.
    pub version: Version,
    /// Its stream.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub stream: Vec<u8>,
    /// Its place in the stream.
    pub seq: u64,
}

debug_by_key!(EventPlace, stream, version, seq);

/// An event, and which stream it is in.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StreamEvent<T = Value> {
    /// The name of the stream.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub stream: Vec<u8>,
    /// The event.
    pub event: Event<T>,
}

debug_by_key!(StreamEvent<T>, stream, event);

impl<T> StreamEvent<T> {
    /// Where it is among the events of all streams.
    pub fn place(&self) -> EventPlace {
        EventPlace { version: self.event.version, stream: self.stream.clone(), seq: self.event.seq }
    }
}

impl<A: Access> Events<A> {
    /// The events of all streams in the order of their commits, at most `limit` of them, beginning with the oldest or with the
    /// newest; or behind `after`, in that direction. What came with one commit is in the order of the streams' names. What the reading
    /// transaction has appended itself comes last.
    ///
    /// Cost: a look-up or two for each stream of the space, about twenty with `after`, and one for each batch that is
    /// read. A transaction that asks conflicts with every append to a stream of this space.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::tree::Direction;
    /// db.events().append("door", "opened", "by Ada")?;
    /// db.events().append("bell", "rung", "by Alan")?;
    /// db.events().append("door", "closed", "by the wind")?;
    /// let page = db.events().all(None, 2, Direction::Forward)?;
    /// assert_eq!(page.iter().map(|found| found.event.kind.as_str()).collect::<Vec<_>>(), ["opened", "rung"]);
    /// let next = db.events().all(page.last().map(|found| found.place()), 2, Direction::Forward)?;
    /// assert_eq!((next.len(), next[0].stream.as_slice(), next[0].event.seq), (1, b"door".as_slice(), 2));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn all(
        &self,
        after: impl Into<Option<EventPlace>>,
        limit: impl Into<Option<usize>>,
        direction: Direction,
    ) -> Result<Vec<StreamEvent>> {
        self.all_as(after, limit, direction)
    }

    /// As [`Events::all`], with payloads of one known type.
    ///
    /// # Errors
    /// [`Error::Type`] if one of the payloads is not a `T`.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::tree::Direction;
    /// db.events().append("door", "opened", 7)?;
    /// assert_eq!(db.events().all_as::<u32>(None, None, Direction::Backward)?[0].event.payload, 7);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn all_as<T: Decode>(
        &self,
        after: impl Into<Option<EventPlace>>,
        limit: impl Into<Option<usize>>,
        direction: Direction,
    ) -> Result<Vec<StreamEvent<T>>> {
        let (after, limit) = (after.into(), limit.into().unwrap_or(usize::MAX));
        let mut found = Vec::new();
        self.access.read(|reads| {
            let mut merge = Merge::new(reads, self.space, direction, after.as_ref())?;
            while let Some(((_, stream), next)) = merge.pop().filter(|_| found.len() < limit) {
                let (stream_state, piece) = next;
                let wanted = piece.at_most(limit - found.len(), direction);
                walk(reads, (self.space, &stream), &stream_state, wanted, &mut |event| {
                    let payload = T::decode(event.payload).map_err(|error| named(error, &stream))?;
                    found.push(StreamEvent { stream: stream.clone(), event: owned(&event, payload)? });
                    Ok(ControlFlow::Continue(()))
                })?;
                merge.go_on(stream, stream_state, piece)?;
            }
            Ok(())
        })?;
        Ok(found)
    }
}

/// The seq of a commit, as places are ordered by it: what is not committed comes last.
fn rank(version: Version) -> u64 {
    version.seq().unwrap_or(u64::MAX)
}

/// Events of one stream that came with one commit, both ends included.
#[derive(Clone, Copy)]
struct Piece {
    rank: u64,
    from: u64,
    to: u64,
}

impl Piece {
    /// The first `limit` of them.
    fn at_most(&self, limit: usize, direction: Direction) -> Wanted {
        let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_sub(1);
        let (from, to) = match direction {
            Direction::Forward => (self.from, self.to.min(self.from.saturating_add(more))),
            Direction::Backward => (self.from.max(self.to.saturating_sub(more)), self.to),
        };
        Wanted { from, to, direction }
    }
}

/// A piece, as the order of pieces is: by its commit and its stream.
type Rank = (u64, Vec<u8>);

/// The streams of a space, each at the next piece of it, in the order of the pieces.
struct Merge<'a> {
    reads: &'a dyn Reads,
    space: SpaceNumber,
    direction: Direction,
    next: BTreeMap<Rank, (StreamState, Piece)>,
}

impl<'a> Merge<'a> {
    fn new(reads: &'a dyn Reads, space: SpaceNumber, direction: Direction, after: Option<&EventPlace>) -> Result<Self> {
        let mut streams = Vec::new();
        reads.visit(space, Family::Stream, &KeyRange::all(), Direction::Forward, &mut |stream, item| {
            let committed = item.seq.map(|_| StreamInfo::decode(item.raw())).transpose()?;
            streams.push((stream.to_vec(), StreamState::of(reads, space, stream, committed)?));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut merge = Merge { reads, space, direction, next: BTreeMap::new() };
        for (stream, state) in streams {
            let seq = match (after, direction) {
                (Some(place), _) => merge.behind(&stream, &state, place)?,
                (None, Direction::Forward) => Some(state.first()),
                (None, Direction::Backward) => Some(state.head()),
            };
            merge.insert(stream, state, seq)?;
        }
        Ok(merge)
    }

    fn pop(&mut self) -> Option<(Rank, (StreamState, Piece))> {
        match self.direction {
            Direction::Forward => self.next.pop_first(),
            Direction::Backward => self.next.pop_last(),
        }
    }

    /// The whole piece was given: the stream is at the one behind it.
    fn go_on(&mut self, stream: Vec<u8>, state: StreamState, given: Piece) -> Result<()> {
        let seq = match self.direction {
            Direction::Forward => given.to.checked_add(1),
            Direction::Backward => given.from.checked_sub(1),
        };
        self.insert(stream, state, seq)
    }

    /// The stream is at this event, if it has it.
    fn insert(&mut self, stream: Vec<u8>, state: StreamState, seq: Option<u64>) -> Result<()> {
        let Some(seq) = seq.filter(|seq| (state.first()..=state.head()).contains(seq)) else { return Ok(()) };
        let whole = self.piece_with(&stream, &state, seq)?;
        let piece = match self.direction {
            Direction::Forward => Piece { from: seq, ..whole },
            Direction::Backward => Piece { to: seq, ..whole },
        };
        self.next.insert((piece.rank, stream), (state, piece));
        Ok(())
    }

    /// The piece that has an event which the stream keeps.
    fn piece_with(&self, stream: &[u8], state: &StreamState, seq: u64) -> Result<Piece> {
        let head = state.committed_head();
        if seq > head {
            return Ok(Piece { rank: u64::MAX, from: state.first().max(head + 1), to: state.head() });
        }
        let mut found = None;
        let range = batch_range(stream, 0, seq);
        self.reads.visit(self.space, Family::Batch, &range, Direction::Backward, &mut |key, item| {
            let first_seq = first_seq_of(stream, key)?;
            let end = first_seq.saturating_add(BatchIndex::decode(item.raw())?.events());
            let from = first_seq.max(state.first());
            found = (seq < end).then_some(Piece { rank: rank(Version::of(item)), from, to: end - 1 });
            Ok(ControlFlow::Break(()))
        })?;
        found.ok_or_else(|| Error::Corrupt {
            file: format!("stream {}", readable(stream)),
            offset: 0,
            rule: "F-31",
            what: format!("no batch has event {seq}, and the stream keeps {} to {head}", state.first()),
        })
    }

    /// The stream's first event behind a place, in the direction of this order. Found by halving, a batch at a time.
    fn behind(&self, stream: &[u8], state: &StreamState, place: &EventPlace) -> Result<Option<u64>> {
        let wanted = (rank(place.version), place.stream.as_slice());
        // All before `low` come before the place; all from `high` on come behind it, or are it, which was given already.
        let (mut low, mut high) = (state.first(), state.head().saturating_add(1));
        let mut given = false;
        while low < high {
            let piece = self.piece_with(stream, state, low + (high - low) / 2)?;
            match (piece.rank, stream).cmp(&wanted) {
                Ordering::Less => low = piece.to + 1,
                Ordering::Greater => high = piece.from,
                Ordering::Equal => {
                    low = place.seq.clamp(piece.from, piece.to + 1);
                    high = low;
                    given = low == place.seq && low <= piece.to;
                }
            }
        }
        match self.direction {
            // The place itself was given already.
            Direction::Forward => Ok(low.checked_add(u64::from(given))),
            Direction::Backward => Ok(low.checked_sub(1)),
        }
    }
}
