//! Defects of synchronization that can be switched on, to see whether the exploration of schedules notices them.
//!
//! Invariant: without `--cfg foldb_shuttle` or `--cfg foldb_loom` nothing of this is there: [`active`] is a constant `false`, and the compiler
//! removes every defect. With it, at most one is active at a time. These are apart from [`crate::planted`], whose defects
//! show in a single thread.

macro_rules! defects {
    ($($(#[doc = $what:literal])+ $name:ident,)+) => {
        /// A defect. The text of each says what the store then does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[cfg_attr(not(any(foldb_shuttle, foldb_loom)), allow(unreachable_pub, dead_code, reason = "public where it can be switched on"))]
        pub enum Defect {
            $($(#[doc = $what])+ $name,)+
        }

        #[cfg(any(foldb_shuttle, foldb_loom))]
        impl Defect {
            /// All of them.
            pub const ALL: &[Defect] = &[$(Defect::$name),+];

            /// What the store does wrong.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Defect::$name => concat!($($what),+).trim_ascii(),)+
                }
            }
        }
    };
}

defects! {
    /// Who has flushed wakes nobody.
    WakeForgotten,
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
    /// Two snapshots are written at once.
    TwoSnapshots,
    /// The snapshot that absent leaves are read from is removed with the old ones.
    LoadedSnapshotRemoved,
    /// A close does not wait for the sync that is under way.
    CloseDoesNotWait,
    /// The log goes on in a new segment while somebody writes to the old one.
    RotationDoesNotWait,
}

#[cfg(any(foldb_shuttle, foldb_loom))]
mod switch {
    use core::sync::atomic::{AtomicUsize, Ordering};

    use super::Defect;

    /// The active defect: its place in the enum, plus one; 0 for none.
    static ACTIVE: AtomicUsize = AtomicUsize::new(0);

    /// Switches a defect on, or all of them off.
    pub fn activate(defect: Option<Defect>) {
        ACTIVE.store(defect.map_or(0, |defect| defect as usize + 1), Ordering::SeqCst);
    }

    /// Whether a defect is switched on.
    pub fn active(defect: Defect) -> bool {
        ACTIVE.load(Ordering::Relaxed) == defect as usize + 1
    }
}

#[cfg(any(foldb_shuttle, foldb_loom))]
pub use switch::{activate, active};

/// Whether a defect is switched on: never, in this build.
#[cfg(not(any(foldb_shuttle, foldb_loom)))]
pub(crate) const fn active(_: Defect) -> bool {
    false
}
