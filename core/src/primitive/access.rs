//! How a primitive reaches the data: through a store, a transaction or a view, without knowing which.
//!
//! Every operation of a primitive is written once, against [`Reads`] and [`Writes`]. The handles that users hold
//! ([`Kv`](super::Kv) and the others) carry an [`Access`], which runs such an operation where the handle came from: a
//! handle of a store reads the newest version and commits each write on its own, a handle of a transaction records what
//! is read and buffers what is written, a handle of a view only reads.
//!
//! Invariant: an operation may be run more than once (a conflict is retried), so it has no effects of its own.

use alloc::borrow::Cow;
use core::{fmt, ops::ControlFlow};

use super::EventBatch;
use crate::{
    Result,
    host::Host,
    log::OpCode,
    state::{Family, Source, SpaceNumber, entry_bytes, split},
    tree::{Direction, EntryRef, KeyRange},
};

/// One entry that a read found.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// Seq of the commit that wrote it; `None` for a write of the reading transaction itself, which has none yet.
    pub seq: Option<u64>,
    entry: EntryRef<'a>,
    /// When it is over.
    expires: Option<u64>,
    /// What of it may be logged in its place, where the reading transaction has changed a document.
    edit: Option<DocumentEdit<'a>>,
    source: &'a dyn Source,
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item").field("seq", &self.seq).field("bytes", &self.entry.value.len()).finish_non_exhaustive()
    }
}

impl<'a> Item<'a> {
    /// An entry of a committed state.
    pub(crate) fn committed(entry: EntryRef<'a>, source: &'a dyn Source) -> Self {
        let (entry, expires) = split(entry);
        Item { seq: Some(entry.seq), entry, expires, edit: None, source }
    }

    /// A buffered write of the reading transaction.
    pub(crate) fn pending(kind: u8, value: &'a [u8], source: &'a dyn Source) -> Self {
        Item { seq: None, entry: EntryRef { kind, seq: 0, value }, expires: None, edit: None, source }
    }

    /// What is committed, as the reading transaction has it: over at another time.
    pub(crate) fn expiring_anew(self, expires: Option<u64>) -> Self {
        Item { seq: None, expires, ..self }
    }

    /// The same item, over at this time.
    pub(crate) fn until(self, expires: Option<u64>) -> Self {
        Item { expires, ..self }
    }

    /// When the entry is over, in microseconds since 1970; `None` where it never is.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires
    }

    /// The same item, with what may be logged in its place.
    pub(crate) fn edited_by(self, edit: Option<DocumentEdit<'a>>) -> Self {
        Item { edit, ..self }
    }

    /// The entry as it is in the tree, or as it will be.
    pub(crate) fn entry(&self) -> &EntryRef<'a> {
        &self.entry
    }

    pub(crate) fn edit(&self) -> Option<DocumentEdit<'a>> {
        self.edit
    }

    /// The value's bytes: borrowed from the tree, or read from the log (and checked) where the value is large.
    pub fn bytes(&self) -> Result<Cow<'a, [u8]>> {
        entry_bytes(&self.entry, self.source)
    }

    /// The entry's bytes as they are in the tree, without following a pointer.
    pub fn raw(&self) -> &'a [u8] {
        self.entry.value
    }

    /// Where values and events that are in the log can be read.
    pub fn source(&self) -> &'a dyn Source {
        self.source
    }
}

/// How a document that a transaction has changed differs from the committed one: what is logged in its place. Made by
/// [`Documents`](super::Documents) alone; a host that wraps [`Writes`] hands it on.
#[derive(Clone, Copy, Debug)]
pub struct DocumentEdit<'a> {
    /// The body of the operation.
    pub(crate) body: &'a [u8],
    /// How many bytes a reader of the document reads beside the splices of this one.
    pub(crate) behind: u64,
    /// When the document is over, which the edit leaves as it is.
    pub(crate) expires: Option<u64>,
}

/// What a transaction has buffered for one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingStream {
    /// The stream is deleted before anything is appended.
    pub deleted: bool,
    /// The oldest seq to keep, where the stream is trimmed.
    pub trimmed: Option<u64>,
    /// It was trimmed before anything was appended, so that nothing of what is appended is trimmed.
    pub trimmed_first: bool,
    /// How many events are appended.
    pub count: u64,
    /// How many bytes they have, encoded one behind the other.
    pub bytes: u64,
}

/// Neighbouring events that a transaction has buffered for a stream.
#[derive(Clone, Copy, Debug)]
pub struct PendingEvents<'a> {
    /// How many of the buffered events are before them.
    pub first: u64,
    /// How many they are.
    pub count: u64,
    /// The events, encoded one behind the other (rule F-33).
    pub bytes: &'a [u8],
}

/// What [`Reads::get_with`] calls with the entry.
pub type OnItem<'f> = &'f mut dyn FnMut(Option<Item<'_>>) -> Result<()>;
/// What [`Reads::visit`] calls for each entry, with the user's key.
pub type OnPair<'f> = &'f mut dyn FnMut(&[u8], &Item<'_>) -> Result<ControlFlow<()>>;
/// What [`Reads::visit_pending`] calls for neighbouring events.
pub type OnPendingEvents<'f> = &'f mut dyn FnMut(PendingEvents<'_>) -> Result<ControlFlow<()>>;

/// Reads of one consistent version, including what the reading transaction itself has written.
pub trait Reads {
    /// Calls `found` once, with the entry of a key or with `None`. No copy is made of a value that is in the tree.
    fn get_with(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()>;

    /// Calls `each` for the entries of a range of user keys, in order, until it breaks. A transaction records the range
    /// as far as it was visited, so stopping early also keeps conflicts few. Among streams it shows those too to which it
    /// has appended itself and that are not committed, as empty items without a seq.
    fn visit(
        &self,
        space: SpaceNumber,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        each: OnPair<'_>,
    ) -> Result<()>;

    /// What the reading transaction has buffered for a stream. Costs the same however much that is.
    fn pending_stream(&self, space: SpaceNumber, stream: &[u8]) -> Result<PendingStream>;

    /// Calls `each` for the events that the reading transaction has buffered for a stream, from number `range.0` to number
    /// `range.1`, counted from 0, in order, until it breaks. They come in pieces, the first and the last of which may have
    /// events before and behind the range.
    fn visit_pending(
        &self,
        space: SpaceNumber,
        stream: &[u8],
        range: (u64, u64),
        direction: Direction,
        each: OnPendingEvents<'_>,
    ) -> Result<()>;

    /// Where values and events that are in the log can be read.
    fn source(&self) -> &dyn Source;

    /// The moment that the reader goes by, in microseconds since 1970: what is over by then it may hide. The same each time.
    fn now_micros(&self) -> u64;
}

/// Reads and buffered writes.
pub trait Writes: Reads {
    /// Buffers one operation: its code, the user's key and the operation's body (`docs/format.md`, rule F-39). A later
    /// put or delete of the same key replaces an earlier one; additions to a counter are summed.
    ///
    /// Fails with [`Error::Limit`](crate::Error::Limit) where key, body or transaction are too large, with
    /// [`Error::Invalid`](crate::Error::Invalid) or [`Error::Type`](crate::Error::Type) for a body that cannot be applied, and
    /// with [`Error::Invalid`](crate::Error::Invalid) for the beginning of a run, which is not written like this.
    fn write(&self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()>;

    /// Buffers a changed document, as [`OpCode::JsonPut`] does, of which only the change has to be logged. Whoever only wraps
    /// other writes should hand this on: without it the whole document is logged.
    ///
    /// Fails as [`Writes::write`].
    fn write_edited(&self, space: SpaceNumber, key: &[u8], document: &[u8], edit: DocumentEdit<'_>) -> Result<()> {
        let _ = edit;
        self.write(space, OpCode::JsonPut, key, document)
    }

    /// Does something that reads, and does not hide from it what is over: whoever deletes deletes that as well.
    ///
    /// Fails as `work` does.
    fn with_hidden(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// Buffers events for the end of a stream.
    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<()>;

    /// Time and entropy for what is to be written.
    fn host(&self) -> &dyn Host;
}

/// Runs reads where a handle came from.
pub trait Access {
    /// Runs `operation` on one consistent version.
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T>;
}

/// Runs writes where a handle came from.
pub trait AccessMut: Access {
    /// Runs `operation` in a transaction: the one that the handle belongs to, or one of its own, which is committed
    /// before this returns and run again after a conflict.
    fn write<T>(&self, operation: impl FnMut(&dyn Writes) -> Result<T>) -> Result<T>;

    /// Appends events and, where the handle commits by itself, returns the seq that the first of them got; `None`
    /// inside a transaction, where the seqs are given at its commit.
    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<Option<u64>>;
}

/// Reads that are at hand already: for work on a version that is made of the primitives' own operations.
#[derive(Clone, Copy)]
pub(crate) struct Through<'a>(pub(crate) &'a dyn Reads);

impl Access for Through<'_> {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        operation(self.0)
    }
}
