//! Counts the live bytes of Rust's global allocator, but only while somebody asks.
//!
//! A block counts what glibc takes for it, not what was asked for: its header, rounded up to sixteen bytes. Small blocks
//! are where the difference is.
//!
//! Two threads that count into one cache line are slower than two threads that allocate; so outside of the memory row
//! the only cost is reading a flag that never changes.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

fn count(bytes: usize, sign: i64) {
    if COUNTS.load(Relaxed) {
        LIVE.fetch_add(sign * chunk_bytes(bytes) as i64, Relaxed);
    }
}

/// What malloc takes for a block of `bytes`.
fn chunk_bytes(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}

// SAFETY: every call goes to the system allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 1);
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Counts from now on, starting at zero. Blocks that are older and freed now count as negative: keep them alive.
pub fn start() {
    LIVE.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
}

/// Bytes that were allocated since [`start`] and are still alive.
pub fn live_bytes() -> u64 {
    u64::try_from(LIVE.load(Relaxed)).unwrap_or(0)
}

/// Stops counting.
pub fn stop() {
    COUNTS.store(false, Relaxed);
}
