//! The separators of an inner node: child `i` holds the keys from separator `i - 1` (inclusive) to separator `i` (exclusive).
//!
//! Invariant: strictly ascending; all begin with the node's prefix, which is stored once. The first eight bytes behind it
//! lie together as numbers inside the node, so that finding a child waits for memory once and seldom looks at the bytes
//! themselves.

use alloc::vec::Vec;

use super::leaf_build::common_len;
use crate::work;

/// Heads in one cache line.
const GROUP: usize = 8;
/// Lines of heads.
const GROUPS: usize = 8;
/// Most separators of a node. The last head of the last line is never used, so that a search always ends inside.
pub(super) const SEPARATORS_MAX: usize = GROUP * GROUPS - 1;
/// Bytes of a separator that take part in the first comparison, and of a prefix that are compared at once.
const HEAD_BYTES: usize = 8;

/// The separators of one node, packed.
#[derive(Clone)]
pub(super) struct Separators {
    /// Of each separator the first bytes behind the prefix, as a number that orders like them, padded with zeros. Behind the
    /// last one follow highest numbers.
    heads: [[u64; GROUP]; GROUPS],
    /// The first bytes of the prefix, as a number; what lies behind a shorter prefix is zero.
    prefix_head: u64,
    /// Which bits of `prefix_head` the prefix covers.
    prefix_mask: u64,
    prefix_len: usize,
    len: usize,
    /// Where in `bytes` each separator ends.
    ends: Vec<u32>,
    /// The prefix, then each separator without it.
    bytes: Vec<u8>,
}

impl Default for Separators {
    fn default() -> Self {
        Self {
            heads: [[u64::MAX; GROUP]; GROUPS],
            prefix_head: 0,
            prefix_mask: 0,
            prefix_len: 0,
            len: 0,
            ends: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

/// The first eight bytes as a number that orders like them, padded with zeros.
#[inline]
fn head_of(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<HEAD_BYTES>() {
        Some(head) => u64::from_be_bytes(*head),
        None => short_head(bytes),
    }
}

#[cold]
fn short_head(bytes: &[u8]) -> u64 {
    let mut head = [0; HEAD_BYTES];
    for (to, from) in head.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_be_bytes(head)
}

/// A length inside a node as u32. A node has 63 separators of at most 1,040 bytes.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn widen(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

impl Separators {
    /// Packs `keys`, which ascend strictly and are at most [`SEPARATORS_MAX`].
    pub(super) fn build<K: AsRef<[u8]>>(keys: &[K]) -> Self {
        let mut packed = Self::default();
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return packed };
        let prefix_len = common_len(first.as_ref(), last.as_ref());
        let prefix = first.as_ref().get(..prefix_len).unwrap_or_default();
        let suffixes: usize = keys.iter().map(|key| key.as_ref().len().saturating_sub(prefix_len)).sum();
        packed.ends.reserve_exact(keys.len());
        packed.bytes.reserve_exact(prefix_len + suffixes);
        packed.bytes.extend_from_slice(prefix);
        packed.prefix_len = prefix_len;
        packed.prefix_head = head_of(prefix);
        let uncovered = u32::try_from(HEAD_BYTES.saturating_sub(prefix_len) * 8).unwrap_or(0);
        packed.prefix_mask = u64::MAX.checked_shl(uncovered).unwrap_or(0);
        for (head, key) in packed.heads.as_flattened_mut().iter_mut().zip(keys) {
            let suffix = key.as_ref().get(prefix_len..).unwrap_or_default();
            *head = head_of(suffix);
            packed.bytes.extend_from_slice(suffix);
            packed.ends.push(narrow(packed.bytes.len()));
        }
        packed.len = packed.ends.len();
        packed
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn prefix(&self) -> &[u8] {
        self.bytes.get(..self.prefix_len).unwrap_or_default()
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(self.prefix_len, |end| widen(*end))
    }

    fn suffix(&self, index: usize) -> &[u8] {
        let end = self.ends.get(index).map_or(0, |end| widen(*end));
        self.bytes.get(self.start(index)..end).unwrap_or_default()
    }

    /// Separator `index`, whole.
    pub(super) fn key(&self, index: usize) -> Vec<u8> {
        [self.prefix(), self.suffix(index)].concat()
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        (0..self.len).map(|index| self.key(index)).collect()
    }

    /// The child for `key`: how many separators are not above it.
    #[inline]
    pub(super) fn route(&self, key: &[u8]) -> usize {
        work::count(1);
        let covered = head_of(key) & self.prefix_mask;
        // The prefix is compared as a number that lies beside the heads; the bytes are in another line.
        let suffix = if covered == self.prefix_head && self.prefix_len <= HEAD_BYTES.min(key.len()) {
            key.get(self.prefix_len..).unwrap_or_default()
        } else {
            match self.strip_prefix(key) {
                Ok(suffix) => suffix,
                Err(index) => return index,
            }
        };
        let head = head_of(suffix);
        let (below, equal) = self.heads_below(head);
        if equal && below < self.len { self.route_among_equal(below, head, suffix) } else { below }
    }

    /// What follows the prefix in `key`, or the child for a key that does not begin with it.
    #[inline(never)]
    fn strip_prefix<'k>(&self, key: &'k [u8]) -> Result<&'k [u8], usize> {
        let prefix = self.prefix();
        key.strip_prefix(prefix).ok_or(if key < prefix { 0 } else { self.len })
    }

    /// How many heads are below `head`, and whether the one behind them equals it.
    #[inline]
    fn heads_below(&self, head: u64) -> (usize, bool) {
        // The last head of each line tells which line it is: eight loads that wait for memory side by side. What is in
        // that line needs no further wait. Nothing here is a branch that could be mispredicted.
        let group: usize = self.heads.iter().map(|group| usize::from(group[GROUP - 1] < head)).sum();
        let line = self.heads.get(group).unwrap_or(&[u64::MAX; GROUP]);
        let inside: usize = line.iter().map(|other| usize::from(*other < head)).sum();
        (group * GROUP + inside, line.get(inside) == Some(&head))
    }

    /// The rest of [`Self::route`] where separators from `below` on have the head of the key.
    #[inline(never)]
    fn route_among_equal(&self, below: usize, head: u64, suffix: &[u8]) -> usize {
        let heads = self.heads.as_flattened().get(below..self.len).unwrap_or_default();
        let mut low = below;
        let mut high = below + heads.partition_point(|other| *other <= head);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.suffix(middle) <= suffix { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Puts `key` before separator `index`. There must be room for it.
    pub(super) fn insert(&mut self, index: usize, key: &[u8]) {
        let suffix = match key.strip_prefix(self.prefix()) {
            Some(suffix) if self.len > 0 => suffix,
            _ => {
                let mut keys = self.keys();
                keys.insert(index, key.to_vec());
                *self = Self::build(&keys);
                return;
            }
        };
        let start = self.start(index);
        let heads = self.heads.as_flattened_mut();
        heads.copy_within(index..self.len, index + 1);
        heads[index] = head_of(suffix);
        self.bytes.splice(start..start, suffix.iter().copied());
        self.ends.insert(index, narrow(start));
        for end in self.ends.iter_mut().skip(index) {
            *end = end.saturating_add(narrow(suffix.len()));
        }
        self.len += 1;
    }

    /// Takes separator `index` out.
    pub(super) fn remove(&mut self, index: usize) {
        let (start, len) = (self.start(index), self.suffix(index).len());
        let heads = self.heads.as_flattened_mut();
        heads.copy_within(index + 1..self.len, index);
        self.len -= 1;
        heads[self.len] = u64::MAX;
        self.ends.remove(index);
        self.bytes.drain(start..start + len);
        for end in self.ends.iter_mut().skip(index) {
            *end = end.saturating_sub(narrow(len));
        }
        if self.len == 0 {
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
        self.ends.capacity() * size_of::<u32>() + self.bytes.capacity()
    }
}
