//! [`HandedOver`]: how far the storage has the log, for readers that do not take the lock of the store.
//!
//! A value that lives in the log is either with the storage or still in a buffer under the lock. Whoever reads must know
//! which before looking, and bytes of a file that nobody has written yet read as zeros.
//!
//! Invariants:
//! - Whatever [`HandedOver::has`] says to be with the storage was written before that could be said.
//! - Segments are complete when they are left, so all of an older segment is with the storage.

use crate::sync::{AtomicU64, Ordering};

/// Everything of older segments, and of this one up to an offset, is with the storage.
pub(crate) struct HandedOver {
    segment: AtomicU64,
    offset: AtomicU64,
}

impl HandedOver {
    /// Before this process has written anything: whatever there is, is with the storage.
    pub(crate) fn everything() -> Self {
        HandedOver { segment: AtomicU64::new(u64::MAX), offset: AtomicU64::new(0) }
    }

    /// Says how far the storage has the active segment. Called by the one who writes, after the write; another segment than
    /// before, only under the lock of the store.
    pub(crate) fn advance(&self, segment: u64, offset: u64) {
        if self.segment.load(Ordering::Acquire) != segment {
            // The offset goes back first: a reader that sees the new segment must not see the old segment's offset with it.
            // One that sees the old segment with the new offset takes bytes for missing that are there, and asks under the
            // lock.
            self.offset.store(0, Ordering::Release);
            self.segment.store(segment, Ordering::Release);
        }
        self.offset.store(offset, Ordering::Release);
    }

    /// Whether the storage has a segment up to `end`. May say no, where another thread is about to say so; never a false
    /// yes.
    pub(crate) fn has(&self, segment: u64, end: u64) -> bool {
        let newest = self.segment.load(Ordering::Acquire);
        segment < newest || (segment == newest && end <= self.offset.load(Ordering::Acquire))
    }

    /// Whether a segment is the one that is written to, or about to be. False before this process has written anything.
    pub(crate) fn is_active(&self, segment: u64) -> bool {
        segment >= self.segment.load(Ordering::Acquire)
    }

    /// How far the storage has a segment; `None` where it has all of it. To be asked under the lock of the store: elsewhere
    /// the log could go on in a new segment between the two looks, and the offset would be that of the new one.
    pub(crate) fn end(&self, segment: u64) -> Option<u64> {
        let newest = self.segment.load(Ordering::Acquire);
        (segment >= newest).then(|| self.offset.load(Ordering::Acquire))
    }
}
