//! The primitives: what users put into a space, and the operations on it.
//!
//! A primitive turns its operations into reads and writes of tree keys and knows how its values are encoded. It does
//! not know where the data is, how it is committed or whether it is inside a transaction: see [`access`].
#![warn(missing_debug_implementations)]

pub mod access;
mod cells;
mod closures;
mod documents;
mod entry;
mod events;
mod expiry;
mod kv;
mod pages;
mod ranges;
mod scan;
mod trace;
mod verify;

#[cfg(all(test, feature = "std"))]
mod tests;

pub use self::{
    cells::{Cell, CellEntry, Cells},
    documents::{DocumentEntry, Documents},
    events::{ChainReport, Event, EventBatch, EventPlace, EventRef, Events, NewEvent, StreamEvent, StreamSummary},
    kv::{Kv, Pair, Version, Versioned},
    ranges::Deleted,
    scan::ScanOptions,
    trace::{Trace, TraceEntry, TraceId, TraceKind, TraceRecord},
};
pub(crate) use self::{
    trace::{check_trace_index, trace_index},
    verify::{check_entry, judged},
};
