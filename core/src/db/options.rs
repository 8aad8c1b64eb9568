//! How a store is opened: durability, sizes, recovery.

use core::{fmt, ops::ControlFlow, time::Duration};
use std::boxed::Box;

use crate::{
    limits::{OPEN_SEGMENTS_DEFAULT, PART_BYTES_TARGET, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MIN},
    recovery::{Progress, RecoveryMode},
};

/// How long a commit that nobody waits for stays without a sync, unless the program says otherwise.
const SYNC_INTERVAL_DEFAULT: Duration = Duration::from_millis(100);

/// When a commit returns, and what a crash may cost.
///
/// | mode | commit returns when | lost where the process or the tab is killed | lost by power failure |
/// |---|---|---|---|
/// | `InMemory` | applied; nothing is logged | all | all |
/// | `Buffered` | applied, in a buffer of the process | what was not handed to the system yet | at most the last interval |
/// | `Relaxed` | with the operating system | nothing | at most the last interval |
/// | `Strict` | on stable media (group commit) | nothing | nothing |
///
/// `Relaxed` costs one `write(2)` more than `Buffered`, and is the one to take where a sync for each
/// commit is too much. `Buffered` is for what can be done again. Where the system dies and not only the process
/// (a panic of the kernel, a virtual machine that is switched off), that is a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing is logged: no recovery, no replay, and the quickest commits. Large values and events are kept in memory
    /// until the store is dropped, also when they were replaced.
    InMemory,
    /// Commits are buffered, handed to the system when `bytes` of them have come together, and synced every `interval`.
    Buffered {
        /// Longest time until the sync begins that brings a commit to stable media. Every commit looks whether the oldest
        /// one has waited for so long, and syncs then; for the last ones before a pause a timer is needed, which stores on
        /// the file system have (see [`Ticker`](crate::Ticker)).
        interval: Duration,
        /// How many buffered bytes are handed to the system at once.
        bytes: usize,
    },
    /// A commit is with the operating system when it returns, and nobody sees it before: a process that is killed, aborted or
    /// out of memory loses nothing. Synced every `interval`. The word is that of the standard for databases in browsers
    /// (IndexedDB: `relaxed` and `strict`).
    Relaxed {
        /// As that of [`Buffered`](Durability::Buffered).
        interval: Duration,
    },
    /// A commit returns when it is on stable media. Commits of several threads share one sync.
    Strict,
}

impl Durability {
    /// Buffered with an interval of 100 ms and 1 MiB.
    pub const fn buffered() -> Self {
        Durability::Buffered { interval: SYNC_INTERVAL_DEFAULT, bytes: 1 << 20 }
    }

    /// Relaxed with an interval of 100 ms.
    pub const fn relaxed() -> Self {
        Durability::Relaxed { interval: SYNC_INTERVAL_DEFAULT }
    }

    /// Longest time until the sync of a commit begins; `None` where a commit waits for its sync, or there is none.
    pub const fn interval(&self) -> Option<Duration> {
        match self {
            Durability::Buffered { interval, .. } | Durability::Relaxed { interval } => Some(*interval),
            Durability::InMemory | Durability::Strict => None,
        }
    }
}

/// What the progress callback of long work returns: go on, or stop.
pub type OnProgress = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send + Sync>;

/// How to open a store. Every setting has a default that suits a program which wants its data to be there.
pub struct Options {
    pub(crate) create: bool,
    pub(crate) read_only: bool,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    pub(crate) part_bytes: usize,
    pub(crate) open_segments: usize,
    pub(crate) snapshot_log_bytes: Option<u64>,
    pub(crate) snapshot_on_close: bool,
    pub(crate) recovery: RecoveryMode,
    pub(crate) check_snapshots: bool,
    pub(crate) retries: u32,
    pub(crate) hide_expired: bool,
    pub(crate) progress: Option<OnProgress>,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("create", &self.create)
            .field("read_only", &self.read_only)
            .field("durability", &self.durability)
            .field("segment_bytes", &self.segment_bytes)
            .field("open_segments", &self.open_segments)
            .field("snapshot_log_bytes", &self.snapshot_log_bytes)
            .field("snapshot_on_close", &self.snapshot_on_close)
            .field("recovery", &self.recovery)
            .field("retries", &self.retries)
            .field("hide_expired", &self.hide_expired)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults: create what is not there, `Strict`, segments of 64 MiB, a snapshot for every 256 MiB of log and at
    /// a clean close.
    pub fn new() -> Self {
        Options {
            create: true,
            read_only: false,
            durability: Durability::Strict,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            part_bytes: PART_BYTES_TARGET,
            open_segments: OPEN_SEGMENTS_DEFAULT,
            snapshot_log_bytes: Some(256 << 20),
            snapshot_on_close: true,
            recovery: RecoveryMode::Default,
            check_snapshots: false,
            retries: 64,
            hide_expired: true,
            progress: None,
        }
    }

    /// Whether a store that is not there is created (default) or [`NotAStore`](crate::Error::NotAStore).
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether the store is opened for reading only (default no): also while another process writes to it, and on a medium that
    /// cannot be written. No lock is taken, no file is made, and not a byte is written, whatever the store was left in. A store that
    /// is not there is an error. Every write is [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly); the durability says nothing.
    ///
    /// It shows **every commit that is whole in the log** at the moment of opening, and moves on by
    /// [`Db::refresh`](crate::Db::refresh). A commit that a strict writer has acknowledged is there; one of a buffered writer is there as
    /// soon as that has handed it to the system. A power failure, or a failed sync of the writer, can take back what is behind
    /// [`Db::durable_seq`](crate::Db::durable_seq), which here is what the files prove: a little less than what the writer knows. What a
    /// crash has left torn at the end of the log is not there yet, and not damage (but in
    /// [`RecoveryMode::Strict`], where nothing may be wrong).
    ///
    /// A run that the last writer has open shows as active where that process lives, as far as the system says (on Linux, for the
    /// processes that this one sees; elsewhere it is taken to live).
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// When commits return. Default: [`Durability::Strict`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Size in bytes at which the log goes on in a new segment. Default 64 MiB, at least 4 KiB. A transaction that is
    /// larger gets a segment of its own size. Smaller segments mean more files and more syncs.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.max(SEGMENT_BYTES_MIN);
        self
    }

    /// Size in bytes at which a transaction goes on in another part frame (rule F-19). At least 1, at most the default of
    /// [`PART_BYTES_TARGET`]. For tests, which want to see small transactions in parts; nobody else gains by it.
    #[doc(hidden)]
    #[must_use]
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = bytes.clamp(1, PART_BYTES_TARGET);
        self
    }

    /// How many segments of the log are kept open, those that were used last, besides the one that is written to. Default
    /// [`OPEN_SEGMENTS_DEFAULT`], at least 1. Fewer suit a process that has many stores open or may have few files open
    /// (`ulimit -n`); more suit reads of large values all over a long log. Reading from a segment that is not open costs opening it,
    /// about a microsecond.
    #[must_use]
    pub fn open_segments(mut self, segments: usize) -> Self {
        self.open_segments = segments.max(1);
        self
    }

    /// A snapshot is written by the commit that brings the log this many bytes past the last one; `None` for never.
    /// Default 256 MiB. More means fewer snapshots and a longer recovery: for each MiB of
    /// small commits 2 ms where they overwrite, and 10 to 17 ms where their keys are new.
    #[must_use]
    pub fn snapshot_log_bytes(mut self, bytes: Option<u64>) -> Self {
        self.snapshot_log_bytes = bytes;
        self
    }

    /// Whether [`Db::close`](crate::Db::close) writes a snapshot when more than 4 MiB of log have come since the last
    /// one, or a thousand commits of a small store (default), so that the next opening reads little log.
    #[must_use]
    pub fn snapshot_on_close(mut self, snapshot: bool) -> Self {
        self.snapshot_on_close = snapshot;
        self
    }

    /// What recovery accepts. Default: a torn tail, nothing else.
    #[must_use]
    pub fn recovery(mut self, mode: RecoveryMode) -> Self {
        self.recovery = mode;
        self
    }

    /// Whether recovery reads the snapshot from end to end before it uses it. Default no: opening takes milliseconds, and
    /// a damaged page shows as [`Error::Corrupt`](crate::Error::Corrupt) naming a `snap-` file when it is first read. Open
    /// with this then: the older snapshot and the log stand in, and nothing is lost.
    #[must_use]
    pub fn check_snapshots(mut self, check: bool) -> Self {
        self.check_snapshots = check;
        self
    }

    /// How often the closure form of a transaction is run again after a conflict. Default 64.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Whether reads hide what is over by the host's clock (default yes): whoever gives a session or a code a time to live wants it to be
    /// gone then, and not when somebody sweeps. With `false` what is over shows until it is
    /// [swept](crate::Db::sweep_expired): for tools that look at what is there.
    ///
    /// A view and a transaction have one moment, from the first entry on that has a time to live. A replay hides nothing: it is history.
    #[must_use]
    pub fn hide_expired(mut self, hide: bool) -> Self {
        self.hide_expired = hide;
        self
    }

    /// Called while the store is recovered, with what is done and what is to do.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(Progress) -> ControlFlow<()> + Send + Sync + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// What recovery accepts.
    pub fn recovery_mode(&self) -> RecoveryMode {
        self.recovery
    }

    /// Whether a store that is not there is created.
    pub fn creates(&self) -> bool {
        self.create && !self.read_only
    }

    /// Whether the store is opened for reading only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// When commits return.
    pub fn commit_durability(&self) -> Durability {
        self.durability
    }
}
