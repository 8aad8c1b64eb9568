//! [`Shared`]: a value with several handles, each of which can change it.
//!
//! With `std` it is `Send + Sync` by a lock; without, there are no threads to share with, and a cell does. Access goes
//! through closures, so that no guard outlives a call and the lock can neither dead-lock nor be borrowed twice.

#[cfg(feature = "std")]
mod imp {
    use alloc::sync::Arc;
    use std::sync::{PoisonError, RwLock};

    #[derive(Debug, Default)]
    pub(crate) struct Shared<T>(Arc<RwLock<T>>);

    impl<T> Clone for Shared<T> {
        fn clone(&self) -> Self {
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Shared<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Arc::new(RwLock::new(value)))
        }

        /// The closure must not use the same value again.
        pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
            // A panic of another thread inside a closure is that thread's failure; the bytes are still bytes.
            look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
        }

        /// The closure must not use the same value again.
        pub(crate) fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
            change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
        }
    }
}

#[cfg(not(feature = "std"))]
mod imp {
    use alloc::rc::Rc;
    use core::cell::RefCell;

    #[derive(Debug, Default)]
    pub(crate) struct Shared<T>(Rc<RefCell<T>>);

    impl<T> Clone for Shared<T> {
        fn clone(&self) -> Self {
            Self(Rc::clone(&self.0))
        }
    }

    impl<T> Shared<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Rc::new(RefCell::new(value)))
        }

        /// The closure must not use the same value again.
        pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
            look(&self.0.borrow())
        }

        /// The closure must not use the same value again.
        pub(crate) fn write<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
            change(&mut self.0.borrow_mut())
        }
    }
}

pub(crate) use imp::Shared;
