//! A store that is opened for reading only, beside whoever writes to it.
//!
//! Invariants:
//! - Nothing is locked, made, changed, removed or synced: whatever was there before is there afterwards, with its times.
//! - What is shown is the fold of a prefix of the log: every commit that was whole in it at one moment, and none in part.
//! - What a writer does meanwhile never looks like damage. Damage is what is found again when nothing has changed.
//! - What readers hold stays readable: a snapshot that a version is made of is kept open until nobody holds such a version.
//!
//! A reader keeps two states. The *proven* one ends where the files prove that everything before was on stable media: no writer and
//! no recovery ever changes what is before that place, so the next look begins there. The other has the tail in it, and is what
//! is shown. A recovery may carry the tail into another segment, or lose it: then the next look finds it elsewhere, or not.

mod anew;
mod moment;
mod refresh;
mod settled;
#[cfg(test)]
mod tests;

use alloc::{
    string::String,
    sync::{Arc, Weak},
    vec::Vec,
};
use std::sync::PoisonError;

pub(super) use self::moment::never_at_rest;
use super::{shared::Shared, still::Still};
use crate::{
    StoreId,
    log::{Anchor, SegmentHeader, parse_snapshot_name, segment_name},
    recovery::log::{LogOutcome, LogStart, Survey},
    state::State,
    storage::Storage,
    sync::{Mutex, MutexGuard},
};

/// Where a handle that only reads stands.
pub(crate) struct Reader {
    /// Held by whoever moves it on, with the versions that were shown before and that somebody may still hold.
    turn: Mutex<Vec<Shown>>,
    stand: Mutex<Arc<Stand>>,
}

/// A version that was shown, and the snapshot that it reads its absent leaves from.
struct Shown {
    generation: Option<u64>,
    state: Weak<State>,
}

/// What was found at one look.
pub(crate) struct Stand {
    store: StoreId,
    epoch: u64,
    /// The fold of everything that is proven.
    proven: State,
    /// Where that ends. `None` where the next look has to begin anew: in salvage.
    from: Option<(LogStart, SegmentHeader)>,
    proven_seq: u64,
    /// Seq of the last transaction that is shown.
    pub(super) seq: u64,
    /// The snapshot that the state was opened from.
    generation: Option<u64>,
    /// All names that there were.
    listed: Vec<String>,
    anchor: Option<Anchor>,
    pub(super) anchors: Vec<(String, Vec<u8>)>,
    /// The segments of the chain, oldest first, and how much of each counts.
    pub(super) ends: Vec<(u64, u64)>,
}

impl Stand {
    fn new(
        seen: moment::Seen,
        proven: State,
        survey: &Survey,
        outcome: &LogOutcome,
        (store, epoch, generation): (StoreId, u64, Option<u64>),
    ) -> Self {
        let from = outcome.continuation.and_then(|end| {
            let header = survey.segments.iter().find(|segment| segment.number == end.segment)?.header.clone();
            Some((LogStart { segment: end.segment, offset: end.valid_len, seq: end.last_seq }, header))
        });
        let newest = if from.is_some() { outcome.end } else { u64::MAX };
        let ends = survey.segments.iter().map(|segment| {
            let end = segment.valid_len().unwrap_or_else(|| newest.min(segment.len));
            (segment.number, end)
        });
        Stand {
            store,
            epoch,
            proven,
            from,
            proven_seq: outcome.proven_seq.max(outcome.last_seq),
            seq: outcome.tail.last().map_or(outcome.last_seq, |last| last.seq),
            generation,
            listed: seen.names,
            anchor: survey.anchor.map(|(_, anchor)| anchor),
            anchors: seen.anchors,
            ends: ends.collect(),
        }
    }

    /// How much of a segment counts, if it was there.
    pub(crate) fn end(&self, segment: u64) -> Option<u64> {
        let at = self.ends.binary_search_by_key(&segment, |(number, _)| *number).ok()?;
        self.ends.get(at).map(|(_, end)| *end)
    }

    pub(super) fn store(&self) -> StoreId {
        self.store
    }

    /// The snapshots that counted, oldest first.
    pub(super) fn snapshots(&self) -> impl Iterator<Item = u64> {
        let newest = self.anchor.and_then(|anchor| anchor.newest_snapshot).unwrap_or(0);
        self.listed.iter().filter_map(|name| parse_snapshot_name(name)).filter(move |generation| *generation <= newest)
    }

    /// The log as it was.
    pub(crate) fn still<'a, S: Storage>(&self, shared: &'a Shared<S>) -> Still<'a, S> {
        let segments = self.ends.iter().map(|(number, _)| segment_name(*number));
        let names = segments.chain(self.anchors.iter().map(|(name, _)| name.clone())).collect();
        Still::of(shared, names, self.anchors.clone(), self.ends.clone())
    }
}

impl Reader {
    fn new(stand: Stand) -> Self {
        Reader { turn: Mutex::new(Vec::new()), stand: Mutex::new(Arc::new(stand)) }
    }

    pub(crate) fn stand(&self) -> Arc<Stand> {
        Arc::clone(&self.stand.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn move_to(&self, stand: Stand) {
        *self.stand.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(stand);
    }

    fn turn(&self) -> MutexGuard<'_, Vec<Shown>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
