//! The window of idempotency keys: which commits carried one, and what came of them, for as long as the window remembers.
//!
//! Invariant: the window is part of the folded state, so it survives restarts and is the same after every recovery. How far
//! it reaches is decided by what is logged: the number of keys, their times, and the bounds that a store was given. Rule
//! F-39.

use alloc::{sync::Arc, vec::Vec};

use rpds::{QueueSync, RedBlackTreeMapSync};

use crate::{
    Error, Result,
    limits::{IDEMPOTENCY_WINDOW, IDEMPOTENCY_WINDOW_MAX},
    log::{OnceKey, varint},
    planted::{self, Planted},
    state::readable,
};

/// How many keys the window holds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowBounds {
    /// The oldest key goes where there are more.
    pub(crate) keys: u64,
    /// A key goes with the first commit with a key that is so many microseconds younger; `None` where age does not count.
    pub(crate) age_micros: Option<u64>,
}

impl Default for WindowBounds {
    fn default() -> Self {
        WindowBounds { keys: IDEMPOTENCY_WINDOW as u64, age_micros: None }
    }
}

/// What the window remembers of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptKey {
    /// The commit that carried it.
    pub(crate) seq: u64,
    /// When it was committed.
    pub(crate) time_micros: u64,
    /// What the caller gave to tell its contents from others; empty for none.
    pub(crate) fingerprint: Arc<[u8]>,
    /// What the commit came to, one value; empty for none.
    pub(crate) result: Arc<[u8]>,
}

impl KeptKey {
    /// Fails with [`Error::KeyReused`] where what is to be committed under the key is told apart from what was.
    pub(crate) fn check_contents(&self, once: &OnceKey<'_>) -> Result<()> {
        if *self.fingerprint == *once.fingerprint {
            return Ok(());
        }
        Err(Error::KeyReused { key: readable(once.key), seq: self.seq, why: "other contents" })
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct IdempotencyWindow {
    // An ordered map: a hashed one would need entropy, and the fold has none.
    kept: RedBlackTreeMapSync<Arc<[u8]>, Arc<KeptKey>>,
    oldest_first: QueueSync<Arc<[u8]>>,
    pub(crate) bounds: WindowBounds,
    /// Seq of the newest commit whose key was forgotten; 0 where none was.
    pub(crate) forgotten_seq: u64,
}

impl IdempotencyWindow {
    /// What is remembered of this key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Arc<KeptKey>> {
        self.kept.get(key)
    }

    /// Remembers the key of a commit, and forgets what is out of bounds then.
    pub(crate) fn insert(&mut self, once: &OnceKey<'_>, seq: u64, time_micros: u64) {
        let key: Arc<[u8]> = Arc::from(once.key);
        let kept =
            KeptKey { seq, time_micros, fingerprint: Arc::from(once.fingerprint), result: Arc::from(once.result) };
        self.kept.insert_mut(Arc::clone(&key), Arc::new(kept));
        self.oldest_first.enqueue_mut(key);
        self.forget(Some(time_micros));
    }

    /// Sets other bounds, and forgets what is out of them. Age counts from the next key on: it is compared with a commit.
    pub(crate) fn set_bounds(&mut self, bounds: WindowBounds) {
        self.bounds = bounds;
        self.forget(None);
    }

    fn forget(&mut self, now_micros: Option<u64>) {
        while let Some(oldest) = self.oldest_first.peek() {
            let time = self.kept.get(oldest).map_or(0, |kept| kept.time_micros);
            let limit = self.bounds.age_micros.filter(|_| !planted::active(Planted::KeysKeptForEver));
            // A clock that went back makes nothing older.
            let is_old = now_micros.zip(limit).is_some_and(|(now, age)| now.saturating_sub(time) > age);
            if self.oldest_first.len() as u64 <= self.bounds.keys && !is_old {
                return;
            }
            let key = match planted::active(Planted::NewestKeyEvicted) {
                true => self.oldest_first.iter().last().map(Arc::clone),
                false => None,
            };
            let key = key.unwrap_or_else(|| Arc::clone(oldest));
            if let Some(kept) = self.kept.get(&key) {
                self.forgotten_seq = self.forgotten_seq.max(kept.seq);
            }
            self.kept.remove_mut(&key);
            self.oldest_first.dequeue_mut();
        }
    }

    /// The keys and what is remembered of them, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &KeptKey)> {
        self.oldest_first.iter().filter_map(|key| Some((&**key, &**self.kept.get(key)?)))
    }

    pub(crate) fn len(&self) -> usize {
        self.oldest_first.len()
    }
}

/// The body of a [`KeyWindow`](crate::log::OpCode::KeyWindow) operation: how many keys, and their age in microseconds, 0 for
/// any.
pub(crate) fn encode_bounds(bounds: &WindowBounds) -> Vec<u8> {
    let mut body = Vec::new();
    varint::write(&mut body, bounds.keys);
    varint::write(&mut body, bounds.age_micros.unwrap_or(0));
    body
}

/// The reverse of [`encode_bounds`]; `None` for anything else.
pub(crate) fn decode_bounds(body: &[u8]) -> Option<WindowBounds> {
    let mut reader = varint::Reader::new(body);
    let bounds =
        WindowBounds { keys: reader.varint().ok()?, age_micros: Some(reader.varint().ok()?).filter(|age| *age != 0) };
    (reader.is_empty() && (1..=IDEMPOTENCY_WINDOW_MAX).contains(&bounds.keys)).then_some(bounds)
}
