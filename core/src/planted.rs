//! Planted bugs: defects that can be switched on, to see whether the proof notices them.
//!
//! Those that show in a single thread are looked for by crashes and damage (`cargo xtask mutants`), those of
//! synchronization by schedules (`cargo xtask schedules --defects`).
//!
//! Invariant: without `--cfg foldb_planted`, `foldb_shuttle` or `foldb_loom` nothing of this is there: [`active`] is a
//! constant `false`, and the compiler removes every defect. With one of them, at most one defect is active at a time. With
//! the first that is so on each thread, and the threads know nothing of each other's: a store under crashes does all its
//! work on one.

macro_rules! defects {
    (@list $group:ident, $what_for:literal, $($name:ident,)+) => {
        #[cfg(any(foldb_planted, foldb_shuttle, foldb_loom))]
        impl Planted {
            #[doc = $what_for]
            pub const $group: &[Planted] = &[$(Planted::$name),+];
        }
    };
    (single_threaded { $($(#[doc = $what:literal])+ $name:ident,)+ } scheduled { $($(#[doc = $late:literal])+ $other:ident,)+ }) => {
        /// A defect. The text of each says what the store then does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(
            not(any(foldb_planted, foldb_shuttle, foldb_loom)),
            allow(unreachable_pub, dead_code, reason = "public where it can be switched on")
        )]
        pub enum Planted {
            $($(#[doc = $what])+ $name,)+
            $($(#[doc = $late])+ $other,)+
        }

        defects! { @list SINGLE_THREADED, "Those that show in a single thread.", $($name,)+ }
        defects! { @list SCHEDULED, "Those that need the turns of several threads to show.", $($other,)+ }

        #[cfg(any(foldb_planted, foldb_shuttle, foldb_loom))]
        impl Planted {
            /// What the store does wrong.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Planted::$name => concat!($($what),+).trim_ascii(),)+
                    $(Planted::$other => concat!($($late),+).trim_ascii(),)+
                }
            }
        }
    };
}

defects! {
    single_threaded {
        /// A commit is reported durable without a sync.
        CommitWithoutSync,
        /// A relaxed commit returns before the system has its bytes.
        RelaxedStaysBuffered,
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
        /// A put with a time to live makes one that lives for ever.
        ExpiryForgotten,
        /// A sweep removes nothing.
        SweepForgotten,
        /// What a run's end says is not folded.
        RunEndForgotten,
        /// What an addition adds to is forgotten.
        AdditionReplaces,
        /// A change of a document is made in the document as it was last logged whole (rule F-39).
        EditOfWrongBase,
        /// A change of a document is not folded by a replay.
        EditForgottenInReplay,
        /// A trim is not folded.
        TrimForgotten,
        /// The chain of a stream's batches does not go on from the last link (rule F-35).
        EventLinkForgotten,
        /// Keys that a transaction has read are not compared when it commits.
        PointReadsIgnored,
        /// Ranges that a transaction has read are not compared when it commits.
        RangeReadsIgnored,
        /// Going back to a savepoint keeps what was written since.
        RollbackForgotten,
        /// A savepoint that was taken elsewhere is gone back to.
        ForeignSavepointTaken,
        /// The beginning of a run is encoded and not checked.
        BeginningUnchecked,
        /// Idempotency keys do not get into the window.
        IdempotencyKeyForgotten,
        /// The window of idempotency keys is left out of snapshots.
        IdempotencyWindowNotSaved,
        /// A window that was given an age forgets nothing for it.
        KeysKeptForEver,
        /// The result of a commit with a key is not what was stored with it.
        ResultForgotten,
        /// A full window forgets the newest key instead of the oldest.
        NewestKeyEvicted,
        /// A strict commit shows before it is durable.
        ShownBeforeDurable,
        /// Large strict transactions, which are applied after their sync, are not synced.
        ManyWithoutSync,
        /// Bytes that were handed over to the system count as durable.
        HandedOverCountsAsDurable,
        /// A sync that failed is tried again, and believed when it succeeds.
        SyncTriedAgain,
        /// What a write of the log reports is ignored.
        FailedWriteIgnored,
        /// A full disk poisons the handle.
        FullDiskPoisons,
        /// A segment is left before it is synced (rule F-26).
        RotationWithoutSync,
        /// No anchor names a new segment (rule F-26).
        RotationWithoutAnchor,
        /// A complete segment is cut before its last bytes.
        SegmentTrimmedTooShort,
        /// An opening has the epoch of the one before (rule F-6).
        EpochNotRaised,
        /// The number of the newest segment is given again (rule F-26).
        SegmentNumberUsedAgain,
        /// An opening appends to a segment that was not ended cleanly (rule F-25).
        AppendedToRecovered,
        /// The first anchor of an opening goes over the older one (rule F-9).
        OlderAnchorOverwritten,
        /// An anchor's file is not emptied before it is made anew (rule F-9).
        AnchorNotEmptied,
        /// An anchor's file is written over in place by an opening that did not make it (rule F-9).
        AnchorNotRenewed,
        /// The only anchor of a store without commits is taken for one that the disk has (rule F-9).
        FirstAnchorTrusted,
        /// A segment that no anchor names is made anew before the slot that may hold one is emptied (rule F-28).
        UnseenAnchorLeft,
        /// A barrier returns without a sync.
        BarrierWithoutSync,
        /// The timer hands over what is buffered, and does not sync it.
        TimerWithoutSync,
        /// Nothing says how far the log goes at a clean close: neither a mark (rule F-20) nor the anchors (rule F-9), of which
        /// each alone would do.
        CloseWithoutWitness,
        /// At a clean close, and when the store is idle, no anchor says how far the log is durable (rule F-9).
        IdleWithoutAnchor,
        /// A mark in the page cache counts as a part of the segment that it is in (rule F-25).
        MarkCountedInSeal,
        /// Checksums of segment headers are not compared.
        SegmentChecksumSkipped,
        /// Checksums of anchors are not compared.
        AnchorChecksumSkipped,
        /// Checksums of snapshots are not compared, but for those of pages.
        SnapshotChecksumsSkipped,
        /// Checksums of pages are not compared.
        PageChecksumSkipped,
        /// Checksums of values in the log are not compared.
        ValueChecksumSkipped,
        /// Salt and segment number are not in the checksums of frames (rule F-11).
        SaltForgotten,
        /// The log is cut at any damage, whatever was promised (rule F-22).
        CutAtAnyDamage,
        /// Good frames behind a bad one are taken for corruption, whatever was promised (rule F-22).
        FramesBehindRefused,
        /// Zeros end the log, whatever is behind them (rule F-12).
        ZerosEndTheLog,
        /// The first part of a transaction in parts is not folded.
        PartSkipped,
        /// Parts without their commit count (rule F-19).
        OpenPartsCounted,
        /// A segment that is missing in the middle ends the chain (rule F-7).
        GapInChainAccepted,
        /// A second segment behind the same one is ignored (rule F-7).
        ForkAccepted,
        /// Files of another store are accepted (rule F-6).
        ForeignFileAccepted,
        /// A snapshot is not read back before it counts (rule F-51).
        SnapshotNotReadBack,
        /// No anchor names a new snapshot.
        SnapshotWithoutAnchor,
        /// One snapshot is kept instead of two (rule F-54).
        OneSnapshotKept,
        /// Snapshots are removed newest first.
        NewestSnapshotRemoved,
        /// Where the newest snapshot is damaged, the older one is not looked at.
        OlderSnapshotIgnored,
        /// The log is removed that the newest snapshot does not need, without a thought for the older one (rule F-54).
        LogKeptFromNewerSnapshot,
    }
    scheduled {
        /// Who has flushed wakes nobody.
        WakeForgotten,
        /// Subscribers are not woken when there is something for them.
        DeliveryForgotten,
        /// A task is not woken when its commit is answered.
        AnswerWithoutWaking,
        /// Who has flushed wakes one of those who wait, not all.
        OneWoken,
        /// Who waited for somebody else's sync takes it for its own.
        ForeignSyncTrusted,
        /// A sync is taken to cover what was committed while it ran.
        SyncCoversTooMuch,
        /// A failed sync lets go of the lock before it poisons the handle.
        PoisonedTooLate,
        /// A strict commit shows before it is durable.
        ShownEarly,
        /// A reader takes whatever state was published last.
        StaleStateServed,
        /// Others commit between the encoding and the application of a large strict transaction.
        NotExclusive,
        /// What a closure answers when it runs again is given back before what it has seen is durable.
        AnsweredBeforeItShows,
        /// Two snapshots are written at once.
        TwoSnapshots,
        /// A snapshot that has waited for a flush does not look whether it failed.
        FailureNotSeenBySnapshot,
        /// The snapshot that absent leaves are read from is removed with the old ones.
        LoadedSnapshotRemoved,
        /// A close does not wait for the sync that is under way.
        CloseDoesNotWait,
        /// A relaxed commit is written while bytes that come before it are on their way.
        WrittenBeforeThoseBefore,
        /// The log goes on in a new segment while somebody writes to the old one.
        RotationDoesNotWait,
    }
}

/// The switch of a store that does all its work on one thread.
#[cfg(all(foldb_planted, not(any(foldb_shuttle, foldb_loom))))]
mod switch {
    extern crate std;

    use core::cell::Cell;

    use super::Planted;

    std::thread_local! {
        static ACTIVE: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// Switches a defect on for this thread, or all of them off.
    pub fn activate(defect: Option<Planted>) {
        ACTIVE.set(defect);
    }

    /// Whether a defect is switched on.
    pub fn active(defect: Planted) -> bool {
        ACTIVE.get() == Some(defect)
    }
}

/// The switch of a store whose threads take turns as a test decides: it is the same for all of them.
#[cfg(any(foldb_shuttle, foldb_loom))]
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

#[cfg(any(foldb_planted, foldb_shuttle, foldb_loom))]
pub use switch::{activate, active};

/// Whether a defect is switched on: never, in this build.
#[cfg(not(any(foldb_planted, foldb_shuttle, foldb_loom)))]
pub(crate) const fn active(_: Planted) -> bool {
    false
}
