//! Every limit of the store, in one place.
//!
//! A limit is enforced where data enters (the API) and checked again where bytes are read, with
//! [`Error::Limit`](crate::Error::Limit) naming the limit and the size that broke it. Sizes are in bytes.

/// Longest key of a pair, document, cell or stream name. Long enough for paths and composite keys, short enough that a
/// leaf page always holds several.
pub const KEY_BYTES_MAX: usize = 1024;

/// Largest value that is kept inside the tree. A larger one stays in the log and the tree keeps a pointer to it: such a
/// value is read by one positioned read, and costs recovery its checksum instead of a copy.
pub const INLINE_VALUE_BYTES_MAX: usize = 512;

/// Largest value of a tree entry: an inline value, the places of an edited document, or the index of a batch of events.
pub const ENTRY_VALUE_BYTES_MAX: usize = 1024;

/// Largest single value, document, event payload or trace entry (encoded): 16 MiB.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// Deepest nesting of a value or document. Decoders recurse, and a stack is finite.
pub const VALUE_DEPTH_MAX: usize = 128;

/// Largest payload of one frame: a transaction of more is written as part frames. One operation of
/// [`VALUE_BYTES_MAX`] always fits behind a part that is almost full.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 48 << 20;

/// A part frame is closed once its payload has reached this size.
pub const PART_BYTES_TARGET: usize = 8 << 20;

/// How many keys one call of `delete_range` deletes.
pub const DELETED_KEYS_MAX: usize = 10_000;

/// The latest time at which an entry can be over, in microseconds since 1970: 2^62, in the year 148,108.
pub const EXPIRY_MICROS_MAX: u64 = 1 << 62;

/// How many entries one sweep removes, so that others commit between two of them.
pub const SWEPT_ENTRIES_MAX: u64 = 4_096;

/// Largest transaction, encoded: 1 GiB. It is held in memory while it commits.
pub const TRANSACTION_BYTES_MAX: usize = 1 << 30;

/// Most edits that a document has behind the last place where it is whole: a tree entry has room for that many places, and a
/// reader reads each.
pub const DOCUMENT_EDITS_MAX: usize = 32;

/// Smallest document of which a change is logged by itself. A smaller one is logged whole: it is read from one place then,
/// and costs the log little more. With planted bugs all that can be edited are, so that a small workload has some.
pub const EDITED_DOCUMENT_BYTES_MIN: usize = if cfg!(foldb_planted) { 0 } else { 4096 };

/// Longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// Bytes of the text that says why a transaction was made. Rule F-14.
pub const CAUSE_BYTES_MAX: usize = 256;

/// Longest fingerprint of what is committed under an idempotency key: that of a hash.
pub const FINGERPRINT_BYTES_MAX: usize = 64;

/// Largest result that is remembered with an idempotency key, encoded: 4 KiB. All of them are held in memory and are in every
/// snapshot.
pub const RESULT_BYTES_MAX: usize = 4096;

/// Most idempotency keys that a store can be made to remember.
pub const IDEMPOTENCY_WINDOW_MAX: u64 = 1 << 20;

/// How many of the newest idempotency keys are remembered unless a store was told otherwise. With planted bugs few, so that a
/// small workload fills it.
pub const IDEMPOTENCY_WINDOW: usize = if cfg!(foldb_planted) { 8 } else { 65_536 };

/// Longest run name, label key or label value.
pub const LABEL_BYTES_MAX: usize = 1024;

/// Most labels of one run.
pub const LABELS_MAX: usize = 256;

/// Highest commit sequence number: 2^48 - 1. Entries keep it in six bytes; at a million commits a second it lasts nine years.
pub const SEQ_MAX: u64 = (1 << 48) - 1;

/// Smallest and default size of a log segment. The smallest exists for tests that want many rotations.
pub const SEGMENT_BYTES_MIN: u64 = 4096;
/// Default size at which the log rotates to a new segment: 64 MiB.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// How many segments of the log a store keeps open, unless [`Options::open_segments`](crate::Options::open_segments) says
/// otherwise. A process may have 256 files open on some systems, and a store is not all that it opens; opening one takes a
/// microsecond.
pub const OPEN_SEGMENTS_DEFAULT: usize = 32;

/// How many snapshots a store keeps open: the one that it was opened from, those that are kept, and one that is copied.
pub(crate) const OPEN_SNAPSHOTS: usize = 4;

/// The highest epoch, number of a segment, generation of a snapshot and counter of an anchor with which a store is opened
/// for writing (rule F-2).
pub const NUMBER_MAX: u64 = 1 << 63;
