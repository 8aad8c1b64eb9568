//! Planted bugs: defects that can be switched on, to see whether the proof notices them.
//!
//! Invariant: without `--cfg foldb_planted` nothing of this is there: [`active`] is a constant `false`, and the compiler
//! removes every defect. With it, at most one defect is active at a time, in the whole process.

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// A defect. The text of each says what the store then does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(foldb_planted), allow(unreachable_pub, reason = "public where it can be switched on"))]
        pub enum Planted {
            $($(#[doc = $what])+ $name,)+
        }

        #[cfg(foldb_planted)]
        impl Planted {
            /// All of them.
            pub const ALL: &[Planted] = &[$(Planted::$name),+];

            /// What the store does wrong.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Planted::$name => concat!($($what),+).trim_ascii(),)+
                }
            }
        }
    };
}

// Not here: no anchor at rotation. A crash alone never shows that (F-28 anchors the segment at the next opening); only a
// newest segment that goes missing at rest does, and the tests of damage cover that.
defects! {
    /// A commit is reported durable without a sync.
    CommitWithoutSync,
    /// A new segment's header is not synced before an anchor names it (rule F-26).
    HeaderWithoutSync,
    /// Anchors are not synced.
    AnchorWithoutSync,
    /// A snapshot's pages are not synced before its header.
    SnapshotBodyWithoutSync,
    /// A snapshot's header is not synced before the anchor names it.
    SnapshotHeaderWithoutSync,
    /// The tail that recovery carries over is not synced before its header.
    CarriedTailWithoutSync,
    /// The header of a carried tail is not synced before the anchor names it.
    CarriedHeaderWithoutSync,
    /// A header that no anchor names is believed, and not synced again (rule F-28).
    UnanchoredHeaderWithoutSync,
    /// A segment whose name may be gone is named by an anchor (rule F-28).
    UnsyncedNameKept,
    /// Checksums of frames are not compared.
    FrameChecksumSkipped,
    /// Every frame says that all before it is durable (rule F-16).
    DurableMarkTooHigh,
    /// Commits are acknowledged before anything is written.
    AcknowledgedEarly,
    /// A failed write or sync does not poison the handle.
    PoisonForgotten,
    /// The unproven tail is served without being written again.
    TailNotCarried,
    /// The header of a carried tail is written before its body.
    CarriedHeaderFirst,
    /// Every anchor goes into the same slot.
    AnchorSlotStuck,
    /// A clean close says that everything is durable without a sync.
    CloseWithoutSync,
    /// A snapshot is written of commits that the log does not have yet.
    SnapshotOfTheFuture,
    /// Deletions of pairs are not folded.
    DeletionForgotten,
    /// What a run's end says is not folded.
    RunEndForgotten,
}

#[cfg(foldb_planted)]
mod switch {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::Planted;

    /// The active defect: its place in the enum, plus one; 0 for none.
    static ACTIVE: AtomicUsize = AtomicUsize::new(0);

    /// Switches a defect on, or all of them off.
    pub fn activate(defect: Option<Planted>) {
        ACTIVE.store(defect.map_or(0, |defect| defect as usize + 1), Ordering::SeqCst);
    }

    /// Whether a defect is switched on.
    pub fn active(defect: Planted) -> bool {
        ACTIVE.load(Ordering::Relaxed) == defect as usize + 1
    }
}

#[cfg(foldb_planted)]
pub use switch::{activate, active};

/// Whether a defect is switched on: never, in this build.
#[cfg(not(foldb_planted))]
pub(crate) const fn active(_: Planted) -> bool {
    false
}
