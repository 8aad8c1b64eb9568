//! Work, counted: what the tests of growth look at instead of time.
//!
//! Invariant: nothing is counted outside of this crate's own tests, and nothing decides by a count. Whoever adds a loop over
//! something that can become many (entries, writes, events, runs, bytes) counts each turn here, so that an operation that walks
//! over all of them shows in the table of `growth_tests`.

/// Something was looked at, or copied, so many times.
#[inline(always)]
pub(crate) fn count(amount: usize) {
    #[cfg(all(test, feature = "std"))]
    counter::DONE.set(counter::DONE.get() + amount as u64);
    #[cfg(not(all(test, feature = "std")))]
    let _ = amount;
}

/// So many bytes were copied. A cache line is as much as one look at something.
#[inline(always)]
pub(crate) fn count_bytes(bytes: usize) {
    count(bytes / 64);
}

#[cfg(all(test, feature = "std"))]
mod counter {
    std::thread_local! {
        pub(super) static DONE: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
    }
}

/// How much was counted on this thread so far.
#[cfg(all(test, feature = "std"))]
pub(crate) fn done() -> u64 {
    counter::DONE.get()
}
