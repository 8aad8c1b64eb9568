//! [`Published`]: how readers get the newest state that they may see, without the lock of the store.
//!
//! Invariants:
//! - `visible` names a seq only after a state of at least that seq can be had: published already, or the working state
//!   itself, which whoever holds the lock can publish.
//! - What is published is never newer than what readers may see.
//! - Both only ever go forward, so no reader goes back in time.
//!
//! Methods with a `working` argument are called under the lock of the store: `working` is the state that commits change.

use alloc::sync::Arc;

use crate::{
    planted::{self, Planted},
    sync::{AtomicU64, Loaded, Ordering, SharedOption},
};

/// A version of something, by the seq of the last commit in it.
pub(crate) trait Version {
    fn seq(&self) -> u64;
}

/// The newest version that readers may see.
pub(crate) struct Published<T> {
    /// The newest version that readers may see, or an older one, or `None` until one asks for it. Writers take it back
    /// before they change the working state: as long as nobody reads, nothing is shared and every change is made in place.
    state: SharedOption<T>,
    /// Seq of the newest commit that readers may see.
    visible: AtomicU64,
}

impl<T: Version + Clone> Published<T> {
    pub(crate) fn new(visible: u64) -> Self {
        Published { state: SharedOption::empty(), visible: AtomicU64::new(visible) }
    }

    /// Whatever was published last, to be asked for with [`newest`](Self::newest).
    #[inline]
    pub(crate) fn load(&self) -> Loaded<T> {
        self.state.load()
    }

    /// What was loaded, if it is as new as readers may see. Loaded first and compared then: what becomes visible in between
    /// must make the reader ask again.
    #[inline]
    pub(crate) fn newest<'a>(&self, loaded: &'a Loaded<T>) -> Option<&'a Arc<T>> {
        let visible = self.visible.load(Ordering::Acquire);
        loaded.as_ref().filter(|state| state.seq() >= visible || planted::active(Planted::StaleStateServed))
    }

    /// [`load`](Self::load) and [`newest`](Self::newest), to keep.
    pub(crate) fn newest_full(&self) -> Option<Arc<T>> {
        self.state.load_full().filter(|state| {
            state.seq() >= self.visible.load(Ordering::Acquire) || planted::active(Planted::StaleStateServed)
        })
    }

    /// Publishes the working state, unless what readers may see is published already: then that one is kept, because the
    /// working state may be ahead of it. Costs a handful of counters, no copy.
    pub(crate) fn publish(&self, working: &T) -> Arc<T> {
        let visible = self.visible.load(Ordering::Acquire);
        if let Some(state) = self.state.load_full().filter(|state| state.seq() >= visible) {
            return state;
        }
        // Where the working state is ahead of what readers may see, what they may see stays published (see
        // `before_commit`), and this line is not reached.
        debug_assert_eq!(working.seq(), visible, "what is visible can be had");
        let state = Arc::new(working.clone());
        self.state.store(Some(Arc::clone(&state)));
        state
    }

    /// Before the working state changes: keeps what readers may see where the change must stay hidden, and takes it back
    /// where the change shows at once, so that it can be made in place.
    pub(crate) fn before_commit(&self, working: &T, hidden: bool) {
        let visible = self.visible.load(Ordering::Acquire);
        if working.seq() != visible {
            return;
        }
        if !hidden {
            // Looking is much cheaper than storing, and mostly nobody has asked for a state since the last commit.
            if self.state.load().is_some() {
                self.state.store(None);
            }
        } else if self.state.load().as_ref().is_none_or(|state| state.seq() < visible) {
            self.state.store(Some(Arc::new(working.clone())));
        }
    }

    /// Seq of the newest version that readers may see.
    pub(crate) fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// The working state shows now.
    pub(crate) fn show(&self, working: &T) {
        self.visible.store(working.seq(), Ordering::Release);
    }

    /// A version that is older than the working state shows now.
    pub(crate) fn show_version(&self, version: T) {
        let seq = version.seq();
        // Published first: from the moment it is visible on, nobody could publish it any more.
        self.state.store(Some(Arc::new(version)));
        self.visible.store(seq, Ordering::Release);
    }

    /// The working state shows now, and is published at once: somebody is likely to read it.
    pub(crate) fn show_published(&self, working: &T) {
        self.show_version(working.clone());
    }
}
