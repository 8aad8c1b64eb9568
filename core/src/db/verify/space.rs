//! One space: its values and streams as a reader finds them, and its replay beside the live state, piece by piece.
//!
//! Invariant: a piece is done whole, with what it found, or not at all. So a verification that was stopped goes on where it
//! was, and counts nothing twice.

use alloc::{format, string::String, vec::Vec};
use core::ops::{Bound, ControlFlow};

use super::{
    VerifyReport, is_finding,
    watched::{Watch, Watched},
};
use crate::{
    Result,
    db::{
        hiding::{Hider, Moment},
        view::StateReads,
    },
    host::SteppedHost,
    log::wide,
    primitive::{Events, ScanOptions, access::Through, check_entry},
    replay::{Replayed, replay},
    state::{DEFAULT_SPACE, Source, Space, SpaceNumber, State, entry_kind, readable_tree_key, split},
    tree::{Direction, KeyRange},
};

/// A step ends behind so many entries, and behind so many events.
const STEP_ENTRIES: u64 = 16_384;
/// How many streams are asked for at a time.
const STREAMS_AT_ONCE: usize = 256;

/// How far a space was looked at.
pub(super) struct SpaceCheck {
    space: SpaceNumber,
    /// For messages.
    name: String,
    /// What its history came to; `None` before it was followed, and where that failed or was found to differ.
    replayed: Option<Space>,
    next: Piece,
    /// Some of its streams, and how many of them were looked at.
    streams: Vec<Vec<u8>>,
    done: usize,
}

/// What is looked at next.
enum Piece {
    Replay,
    /// The entries from here on.
    Entries(Bound<Vec<u8>>),
    Streams,
    Nothing,
}

impl SpaceCheck {
    /// `replayed` is what its history came to, where it was followed already.
    pub(super) fn new(space: SpaceNumber, replayed: Option<Space>) -> Self {
        let name = match space {
            DEFAULT_SPACE => String::from("default space"),
            number => format!("run {number}"),
        };
        SpaceCheck { space, name, replayed, next: Piece::Replay, streams: Vec::new(), done: 0 }
    }

    /// The number of the run, if it is one.
    fn run(&self) -> Option<SpaceNumber> {
        (self.space != DEFAULT_SPACE).then_some(self.space)
    }

    /// Looks at some more of it. Returns whether that was all.
    ///
    /// Fails with [`Error::Cancelled`], and as the device does: then the piece at hand was not done.
    pub(super) fn go_on(
        &mut self,
        state: &State,
        source: &dyn Source,
        watch: &Watch<'_>,
        report: &mut VerifyReport,
    ) -> Result<bool> {
        let source = Watched { source, watch };
        let Some(live) = state.space(self.space) else { return Ok(true) };
        let mut left = STEP_ENTRIES;
        while left > 0 {
            let mut found = VerifyReport::default();
            self.next = match &self.next {
                Piece::Replay => {
                    self.replay(live, &source, &mut found)?;
                    Piece::Entries(Bound::Unbounded)
                }
                Piece::Entries(from) => {
                    let (next, differs) = self.entries(live, from, &source, &mut found)?;
                    if differs {
                        self.replayed = None;
                    }
                    next.map_or(Piece::Streams, |key| Piece::Entries(Bound::Excluded(key)))
                }
                Piece::Streams => {
                    let (host, moment) = (SteppedHost::new(0), Moment::default());
                    // Streams are never over.
                    let hider = Hider::new(&host, &moment, false);
                    self.stream(&StateReads { state, source: &source, place: None, hider }, &mut found)?
                }
                Piece::Nothing => return Ok(true),
            };
            left = left.saturating_sub(found.entries.saturating_add(found.events).max(1));
            report.add(found, self.run());
        }
        Ok(matches!(self.next, Piece::Nothing))
    }

    /// Follows the history of the space, if that was not done while the log was read.
    fn replay(&mut self, live: &Space, source: &Watched<'_, '_>, found: &mut VerifyReport) -> Result<()> {
        found.spaces = 1;
        if self.replayed.as_ref().is_none_or(|replayed| replayed.last_position != live.last_position) {
            let replayed = replay(self.space, live.last_position, u64::MAX, source);
            let replayed = found.check(&self.name, replayed)?;
            self.replayed = replayed.and_then(|Replayed { state, .. }| state.space(self.space).cloned());
        }
        found.transactions = self.replayed.as_ref().map_or(0, Space::commits);
        Ok(())
    }

    /// Reads entries as their readers do, and compares them with those of the replay. Returns the key of the last one where
    /// there may be more, and whether the two differ.
    fn entries(
        &self,
        live: &Space,
        from: &Bound<Vec<u8>>,
        source: &Watched<'_, '_>,
        found: &mut VerifyReport,
    ) -> Result<(Option<Vec<u8>>, bool)> {
        let mut range = KeyRange::new(from.clone(), Bound::Unbounded);
        let (mut last, mut damaged, mut failed) = (None, Vec::new(), None);
        let visited = live.tree().visit(&range, Direction::Forward, source, &mut |key, entry| {
            found.entries += 1;
            let checked = source.watch.passed(wide(key.len() + entry.value.len()));
            match checked.and_then(|()| check_entry(live.tree(), key, &entry, source)) {
                Ok(()) => {
                    let kind = split(entry).0.kind;
                    found.values += u64::from([entry_kind::POINTER, entry_kind::EDITED].contains(&kind));
                }
                Err(error) if is_finding(&error) => damaged.push(format!("{}: {error}", readable_tree_key(key))),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if found.entries < STEP_ENTRIES {
                return ControlFlow::Continue(());
            }
            last = Some(key.to_vec());
            ControlFlow::Break(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
        found.check(&self.name, visited)?;
        for what in damaged {
            found.note(self.name.clone(), what);
        }
        if let Some(last) = &last {
            range.end = Bound::Included(last.clone());
        }
        let differs = self.compare(live, &range, source, found)?;
        Ok((last, differs))
    }

    /// Compares a range with the replay. Returns whether it differs, or could not be read.
    fn compare(
        &self,
        live: &Space,
        range: &KeyRange,
        source: &Watched<'_, '_>,
        found: &mut VerifyReport,
    ) -> Result<bool> {
        let Some(replayed) = &self.replayed else { return Ok(false) };
        let mut different = None;
        let compared = live.tree().diff(replayed.tree(), range, source, &mut |key, _, _| {
            different = Some(readable_tree_key(key));
            ControlFlow::Break(())
        });
        let compared = found.check(&self.name, compared)?;
        if let Some(key) = &different {
            found.note(self.name.clone(), format!("replay differs from the live state at {key}"));
        }
        Ok(compared.is_none() || different.is_some())
    }

    /// Computes the chain of the next stream, or asks for more streams where there is none.
    fn stream(&mut self, reads: &StateReads<'_>, found: &mut VerifyReport) -> Result<Piece> {
        let events = Events::new(Through(reads), self.space);
        if let Some(stream) = self.streams.get(self.done) {
            if let Some(chain) = found.check(&self.name, events.verify_chain(stream))? {
                found.events = chain.events;
            }
            self.done += 1;
            return Ok(Piece::Streams);
        }
        let mut options = ScanOptions::all().limit(STREAMS_AT_ONCE);
        options.after = self.streams.last().cloned();
        let summaries = found.check(&self.name, events.streams(&options))?.unwrap_or_default();
        self.streams = summaries.into_iter().map(|summary| summary.stream).collect();
        self.done = 0;
        Ok(if self.streams.is_empty() { Piece::Nothing } else { Piece::Streams })
    }
}

impl VerifyReport {
    /// Adds what one piece has found, all of it in the space of this run.
    fn add(&mut self, mut found: VerifyReport, run: Option<SpaceNumber>) {
        self.spaces += found.spaces;
        self.entries += found.entries;
        self.transactions += found.transactions;
        self.values += found.values;
        self.events += found.events;
        found.violations.iter_mut().for_each(|violation| violation.run = run);
        self.violations.append(&mut found.violations);
    }
}
