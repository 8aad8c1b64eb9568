//! The window of idempotency keys: which commits carried one, for as long as the window remembers.
//!
//! Invariant: the window is part of the folded state, so it survives restarts and is the same after every recovery. It
//! holds the newest [`IDEMPOTENCY_WINDOW`] keys, in the order of their commits. Rule F-39.

use alloc::sync::Arc;

use rpds::{QueueSync, RedBlackTreeMapSync};

use crate::{
    limits::IDEMPOTENCY_WINDOW,
    planted::{self, Planted},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct IdempotencyWindow {
    // An ordered map: a hashed one would need entropy, and the fold has none.
    seq_of: RedBlackTreeMapSync<Arc<[u8]>, u64>,
    oldest_first: QueueSync<Arc<[u8]>>,
}

impl IdempotencyWindow {
    /// The seq of the commit that carried this key, if the window remembers it.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u64> {
        self.seq_of.get(key).copied()
    }

    pub(crate) fn insert(&mut self, key: &[u8], seq: u64) {
        let key: Arc<[u8]> = Arc::from(key);
        self.seq_of.insert_mut(Arc::clone(&key), seq);
        let evicted = Arc::clone(&key);
        self.oldest_first.enqueue_mut(key);
        if self.oldest_first.len() > IDEMPOTENCY_WINDOW {
            if let Some(oldest) = self.oldest_first.peek() {
                let newest = planted::active(Planted::NewestKeyEvicted).then_some(&*evicted);
                self.seq_of.remove_mut(newest.unwrap_or(oldest));
            }
            self.oldest_first.dequeue_mut();
        }
    }

    /// Keys and seqs, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.oldest_first.iter().map(|key| (&**key, self.get(key).unwrap_or_default()))
    }

    pub(crate) fn len(&self) -> usize {
        self.oldest_first.len()
    }
}
