//! How much a space holds, live or replayed.

use foldb::{AnyStorage, KeyRange, SpaceView, primitive::ScanOptions};
use serde::Serialize;

use crate::{failure::Result, text};

/// How much there is in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Contents {
    pub(crate) pairs: u64,
    pub(crate) documents: u64,
    pub(crate) streams: u64,
    pub(crate) events: u64,
    pub(crate) cells: u64,
    pub(crate) trace_entries: u64,
}

impl Contents {
    /// Counts what a space holds.
    pub(crate) fn of(space: &SpaceView<'_, '_, AnyStorage>) -> Result<Self> {
        let streams = space.events().streams(&ScanOptions::all())?;
        Ok(Self {
            pairs: space.kv().count(KeyRange::all())?,
            documents: space.json().count(KeyRange::all())?,
            streams: u64::try_from(streams.len()).unwrap_or(u64::MAX),
            events: streams.iter().map(|stream| stream.events).sum(),
            cells: space.state().count(KeyRange::all())?,
            trace_entries: space.trace().count()?,
        })
    }

    /// For a person.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "{}, {}, {} in {}, {}, {}",
            text::counted(self.pairs, "pair", "pairs"),
            text::counted(self.documents, "document", "documents"),
            text::counted(self.events, "event", "events"),
            text::counted(self.streams, "stream", "streams"),
            text::counted(self.cells, "cell", "cells"),
            text::counted(self.trace_entries, "trace entry", "trace entries"),
        )
    }
}
