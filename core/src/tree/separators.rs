//! The separators of an inner node: child `i` holds the keys from separator `i - 1` (inclusive) to separator `i` (exclusive).
//!
//! Invariant: strictly ascending; all begin with the node's prefix, which is stored once. The first eight bytes behind it
//! lie together as numbers, so that finding a child seldom looks at the bytes themselves.

use alloc::vec::Vec;

use super::leaf_build::common_len;

/// Bytes of a separator that take part in the first comparison.
const HEAD_BYTES: usize = 8;

/// The separators of one node, packed.
#[derive(Clone, Default)]
pub(super) struct Separators {
    /// Of each separator the first bytes behind the prefix, as a number that orders like them, padded with zeros.
    heads: Vec<u64>,
    /// Where in `bytes` each separator ends.
    ends: Vec<u32>,
    /// The prefix, then each separator without it.
    bytes: Vec<u8>,
    prefix_len: usize,
}

fn head_of(suffix: &[u8]) -> u64 {
    match suffix.first_chunk::<HEAD_BYTES>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            let mut head = [0; HEAD_BYTES];
            for (to, from) in head.iter_mut().zip(suffix) {
                *to = *from;
            }
            u64::from_be_bytes(head)
        }
    }
}

/// A length inside a node as u32. A node has at most some thousand separators of some hundred bytes.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn widen(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

impl Separators {
    /// Packs `keys`, which ascend strictly.
    pub(super) fn build<K: AsRef<[u8]>>(keys: &[K]) -> Self {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Self::default() };
        let prefix_len = common_len(first.as_ref(), last.as_ref());
        let prefix = first.as_ref().get(..prefix_len).unwrap_or_default();
        let suffixes: usize = keys.iter().map(|key| key.as_ref().len().saturating_sub(prefix_len)).sum();
        let mut packed = Self {
            heads: Vec::with_capacity(keys.len()),
            ends: Vec::with_capacity(keys.len()),
            bytes: Vec::with_capacity(prefix_len + suffixes),
            prefix_len,
        };
        packed.bytes.extend_from_slice(prefix);
        for key in keys {
            let suffix = key.as_ref().get(prefix_len..).unwrap_or_default();
            packed.heads.push(head_of(suffix));
            packed.bytes.extend_from_slice(suffix);
            packed.ends.push(narrow(packed.bytes.len()));
        }
        packed
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    #[inline]
    fn prefix(&self) -> &[u8] {
        self.bytes.get(..self.prefix_len).unwrap_or_default()
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(self.prefix_len, |end| widen(*end))
    }

    #[inline]
    fn suffix(&self, index: usize) -> &[u8] {
        let end = self.ends.get(index).map_or(0, |end| widen(*end));
        self.bytes.get(self.start(index)..end).unwrap_or_default()
    }

    /// Separator `index`, whole.
    pub(super) fn key(&self, index: usize) -> Vec<u8> {
        [self.prefix(), self.suffix(index)].concat()
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        (0..self.len()).map(|index| self.key(index)).collect()
    }

    /// The child for `key`: how many separators are not above it.
    #[inline]
    pub(super) fn route(&self, key: &[u8]) -> usize {
        let Some(suffix) = key.strip_prefix(self.prefix()) else {
            return if key < self.prefix() { 0 } else { self.len() };
        };
        let head = head_of(suffix);
        let below = self.heads.partition_point(|other| *other < head);
        match self.heads.get(below) {
            Some(other) if *other == head => self.route_among_equal(below, head, suffix),
            _ => below,
        }
    }

    /// The rest of [`Self::route`] where separators from `below` on have the head of the key.
    #[inline(never)]
    fn route_among_equal(&self, below: usize, head: u64, suffix: &[u8]) -> usize {
        let mut low = below;
        let mut high = low + self.heads.get(below..).unwrap_or_default().partition_point(|other| *other <= head);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.suffix(middle) <= suffix { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Puts `key` before separator `index`.
    pub(super) fn insert(&mut self, index: usize, key: &[u8]) {
        let suffix = match key.strip_prefix(self.prefix()) {
            Some(suffix) if self.len() > 0 => suffix,
            _ => {
                let mut keys = self.keys();
                keys.insert(index, key.to_vec());
                *self = Self::build(&keys);
                return;
            }
        };
        let start = self.start(index);
        self.heads.insert(index, head_of(suffix));
        self.bytes.splice(start..start, suffix.iter().copied());
        self.ends.insert(index, narrow(start));
        for end in self.ends.iter_mut().skip(index) {
            *end = end.saturating_add(narrow(suffix.len()));
        }
    }

    /// Takes separator `index` out.
    pub(super) fn remove(&mut self, index: usize) {
        let (start, len) = (self.start(index), self.suffix(index).len());
        self.heads.remove(index);
        self.ends.remove(index);
        self.bytes.drain(start..start + len);
        for end in self.ends.iter_mut().skip(index) {
            *end = end.saturating_sub(narrow(len));
        }
        if self.len() == 0 {
            *self = Self::default();
        }
    }

    /// Keeps the separators below `index`, returns the one there and those above it.
    pub(super) fn split_off(&mut self, index: usize) -> (Vec<u8>, Self) {
        let keys = self.keys();
        let (low, high) = keys.split_at(index.min(keys.len()));
        let upper = Self::build(high.get(1..).unwrap_or_default());
        *self = Self::build(low);
        (high.first().cloned().unwrap_or_default(), upper)
    }

    /// Adds `key` and then those of `upper`, all of them above what is here.
    pub(super) fn append(&mut self, key: Vec<u8>, upper: &Self) {
        let mut keys = self.keys();
        keys.push(key);
        keys.extend(upper.keys());
        *self = Self::build(&keys);
    }

    /// Bytes of heap memory behind this.
    pub(super) fn memory_bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u64>() + self.ends.capacity() * size_of::<u32>() + self.bytes.capacity()
    }
}
