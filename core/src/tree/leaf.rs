//! The layout of a leaf page, and everything that only reads one.
//!
//! A page is one run of bytes, in memory and in a snapshot file alike, little-endian:
//!
//! ```text
//! header 12 | prefix | heads 4 x n | offsets 2 x n | gap | heap
//! ```
//!
//! - *prefix*: bytes that all keys of the page begin with.
//! - *heads*: per key, in key order, the four bytes behind the prefix, as a number that orders like the bytes and padded
//!   with zeros. They are stored here only, not in the entry. They lie together so that a search reads a few neighbouring
//!   cache lines and decides almost always without looking at an entry.
//! - *offsets*: per key, the distance of its entry's first byte from the end of the page. Measured from the end,
//!   they stay right when the gap grows or is squeezed out.
//! - *heap*: the entries, growing downwards: `suffix length and kind u16 | value length u16 | seq 6 bytes | rest of the key
//!   behind prefix and head | value`.
//!
//! Invariant: every page that reaches [`Leaf`] was written by this module's siblings or has passed
//! [`leaf_verify`](super::leaf_verify). The accessors are total all the same: on bytes that break the layout they give
//! empty slices, never a panic.

use alloc::{sync::Arc, vec::Vec};
use core::{cmp::Ordering, hint::black_box};

use super::EntryRef;
use crate::work;

/// A leaf page: one allocation, so that a read costs no more cache misses than it must.
pub(super) type Page = Arc<[u8]>;

/// Offsets of the header's fields. Normative text: docs/format.md, F-40.
pub(super) mod at {
    /// u16: number of entries.
    pub(in crate::tree) const COUNT: usize = 0;
    /// u16: length of the common prefix.
    pub(in crate::tree) const PREFIX_LEN: usize = 2;
    /// u16: bytes of heap in use, dead ones included.
    pub(in crate::tree) const HEAP_BYTES: usize = 4;
    /// u16: bytes of the heap that no entry uses any more.
    pub(in crate::tree) const DEAD_BYTES: usize = 6;
    /// u16: where the last insertion went, plus one; 0 in a file.
    pub(in crate::tree) const LAST_INSERT: usize = 8;
    /// u8: how many insertions in a row went right behind the one before; 0 in a file.
    pub(in crate::tree) const RUN: usize = 10;
    /// u8: [`super::HEAP_ORDERED`] or 0; always set in a file.
    pub(in crate::tree) const FLAGS: usize = 11;
    /// Length of the header.
    pub(in crate::tree) const HEADER_END: usize = 12;
}

/// Flag: the heap holds the entries in key order (the first one last) without dead bytes between them.
pub(super) const HEAP_ORDERED: u8 = 1;
/// Bytes of a key that live in its head.
pub(super) const HEAD_BYTES: usize = 4;
/// Head and offset of one entry.
pub(super) const SLOT_BYTES: usize = 6;
/// Lengths, kind and seq before an entry's bytes.
pub(super) const ENTRY_HEADER_BYTES: usize = 10;
/// Low bits of an entry's first field; the four above them are the kind.
pub(super) const SUFFIX_LEN_MASK: u16 = 0x0fff;
/// Bytes that one load brings in from memory.
const CACHE_LINE_BYTES: usize = 64;
/// Up to this many heads are compared all, without branches; more are halved first.
const LINEAR_HEADS: usize = 64;

/// A page, seen as the entries in it.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'a> {
    page: &'a [u8],
    count: usize,
    prefix_len: usize,
}

/// One entry, with its key in the parts in which it is stored.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The first four bytes behind the prefix.
    pub(super) head: u32,
    /// Length of the key without the prefix.
    pub(super) suffix_len: usize,
    /// The key behind prefix and head.
    pub(super) rest: &'a [u8],
    /// The whole entry as it lies in the heap.
    pub(super) bytes: &'a [u8],
    /// What the caller stored.
    pub(super) entry: EntryRef<'a>,
}

/// The part of a key behind the prefix, ready to be compared with entries.
#[derive(Clone, Copy)]
pub(super) struct Suffix<'a> {
    pub(super) head: u32,
    pub(super) len: usize,
    pub(super) rest: &'a [u8],
}

/// The u16 at `at`, 0 behind the end.
#[inline]
pub(super) fn read_u16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

/// A count of this module as u16. Pages end at 65,535 bytes ([`PAGE_BYTES_MAX`](super::leaf_build::PAGE_BYTES_MAX)), and
/// nothing in them is larger.
#[inline]
pub(super) fn narrow(count: usize) -> u16 {
    debug_assert!(count <= usize::from(u16::MAX), "a page never exceeds 65,535 bytes");
    u16::try_from(count).unwrap_or(u16::MAX)
}

impl<'a> Suffix<'a> {
    /// Splits the part of a key behind the prefix into head and rest.
    #[inline]
    pub(super) fn new(suffix: &'a [u8]) -> Self {
        match suffix.split_first_chunk::<HEAD_BYTES>() {
            Some((head, rest)) => Self { head: u32::from_be_bytes(*head), len: suffix.len(), rest },
            None => {
                let mut head = [0; HEAD_BYTES];
                for (to, from) in head.iter_mut().zip(suffix) {
                    *to = *from;
                }
                Self { head: u32::from_be_bytes(head), len: suffix.len(), rest: &[] }
            }
        }
    }

    /// How this key compares with `entry` of a page of the same prefix.
    #[inline]
    pub(super) fn cmp_entry(&self, entry: &Entry<'_>) -> Ordering {
        // Zero padding makes a key shorter than its head tie with one that really has those zeros; the length decides.
        self.head.cmp(&entry.head).then_with(|| self.rest.cmp(entry.rest)).then_with(|| self.len.cmp(&entry.suffix_len))
    }
}

impl<'a> Entry<'a> {
    const NONE: Entry<'static> =
        Entry { head: 0, suffix_len: 0, rest: &[], bytes: &[], entry: EntryRef { kind: 0, seq: 0, value: &[] } };

    /// Decodes the entry that begins at the first byte of `heap`. `None` if it does not fit in.
    #[inline]
    pub(super) fn decode(head: u32, heap: &'a [u8]) -> Option<Self> {
        let (&[s0, s1, v0, v1, q0, q1, q2, q3, q4, q5], body) = heap.split_first_chunk::<ENTRY_HEADER_BYTES>()?;
        let packed = u16::from_le_bytes([s0, s1]);
        let suffix_len = usize::from(packed & SUFFIX_LEN_MASK);
        let value_len = usize::from(u16::from_le_bytes([v0, v1]));
        let (rest, behind) = body.split_at_checked(suffix_len.saturating_sub(HEAD_BYTES))?;
        let value = behind.get(..value_len)?;
        let bytes = heap.get(..ENTRY_HEADER_BYTES + rest.len() + value_len)?;
        let [kind, _] = (packed >> 12).to_le_bytes();
        let seq = u64::from_le_bytes([q0, q1, q2, q3, q4, q5, 0, 0]);
        Some(Self { head, suffix_len, rest, bytes, entry: EntryRef { kind, seq, value } })
    }

    /// Appends the key without its prefix to `key`.
    #[inline]
    pub(super) fn push_suffix(&self, key: &mut Vec<u8>) {
        let head = self.head.to_be_bytes();
        key.extend_from_slice(head.get(..self.suffix_len).unwrap_or(&head));
        key.extend_from_slice(self.rest);
    }
}

impl<'a> Leaf<'a> {
    /// Reads the header of `page`.
    #[inline]
    pub(super) fn new(page: &'a [u8]) -> Self {
        let header = page.first_chunk::<{ at::HEADER_END }>().copied().unwrap_or_default();
        let [c0, c1, p0, p1, ..] = header;
        Self {
            page,
            count: usize::from(u16::from_le_bytes([c0, c1])),
            prefix_len: usize::from(u16::from_le_bytes([p0, p1])),
        }
    }

    /// The bytes of the page, gap included.
    pub(super) fn page(&self) -> &'a [u8] {
        self.page
    }

    /// Number of entries.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What all keys of the page begin with.
    #[inline]
    pub(super) fn prefix(&self) -> &'a [u8] {
        self.page.get(at::HEADER_END..at::HEADER_END + self.prefix_len).unwrap_or_default()
    }

    /// Where the heads begin.
    #[inline]
    pub(super) fn heads_at(&self) -> usize {
        at::HEADER_END + self.prefix_len
    }

    /// Where the offsets begin.
    #[inline]
    pub(super) fn offsets_at(&self) -> usize {
        self.heads_at() + self.count * HEAD_BYTES
    }

    /// Where the gap begins.
    #[inline]
    pub(super) fn slots_end(&self) -> usize {
        self.heads_at() + self.count * SLOT_BYTES
    }

    /// Bytes of heap in use, dead ones included.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        usize::from(read_u16(self.page, at::HEAP_BYTES))
    }

    /// Bytes of the heap that nothing uses.
    #[inline]
    pub(super) fn dead_bytes(&self) -> usize {
        usize::from(read_u16(self.page, at::DEAD_BYTES))
    }

    /// Free bytes between offsets and heap.
    #[inline]
    pub(super) fn gap(&self) -> usize {
        self.page.len().saturating_sub(self.heap_bytes()).saturating_sub(self.slots_end())
    }

    /// Bytes that the page needs: all but the gap.
    #[inline]
    pub(super) fn used_bytes(&self) -> usize {
        self.slots_end() + self.heap_bytes()
    }

    /// The heads.
    #[inline]
    pub(super) fn heads(&self) -> &'a [[u8; HEAD_BYTES]] {
        let bytes = self.page.get(self.heads_at()..self.offsets_at()).unwrap_or_default();
        bytes.as_chunks().0
    }

    /// The distance of entry `index` from the end of the page.
    #[inline]
    pub(super) fn offset(&self, index: usize) -> usize {
        usize::from(read_u16(self.page, self.offsets_at() + index * 2))
    }

    /// The entry at `index`, which must be below [`Self::count`].
    #[inline]
    pub(super) fn entry(&self, index: usize) -> Entry<'a> {
        work::count(1);
        self.uncounted_entry(index)
    }

    /// The same for whoever goes through a whole page, which is bounded, and counts it as one.
    #[inline]
    pub(super) fn uncounted_entry(&self, index: usize) -> Entry<'a> {
        self.checked_entry(index).unwrap_or(Entry::NONE)
    }

    /// The entry at `index`, or `None` where the page does not hold a whole one.
    #[inline]
    pub(super) fn checked_entry(&self, index: usize) -> Option<Entry<'a>> {
        let head = u32::from_le_bytes(*self.heads().get(index)?);
        let start = self.page.len().checked_sub(self.offset(index))?;
        Entry::decode(head, self.page.get(start..)?)
    }

    /// Finds `key`: `Ok` with its index, or `Err` with the index where it belongs.
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.find(key).map(|(index, _)| index)
    }

    /// The entry of `key`.
    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<EntryRef<'a>> {
        self.find(key).ok().map(|(_, entry)| entry.entry)
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Result<(usize, Entry<'a>), usize> {
        let Some(suffix) = key.strip_prefix(self.prefix()) else {
            return Err(if key < self.prefix() { 0 } else { self.count });
        };
        let suffix = Suffix::new(suffix);
        let heads = self.heads();
        let mut index = heads_below(heads, suffix.head);
        if heads.get(index).is_none_or(|head| u32::from_le_bytes(*head) != suffix.head) {
            return Err(index);
        }
        let mut end = index + 1;
        if heads.get(end).is_some_and(|head| u32::from_le_bytes(*head) == suffix.head) {
            // Several keys share this head: halve, so that keys that agree far behind their prefix stay quick.
            end = suffix.head.checked_add(1).map_or(heads.len(), |above| heads_below(heads, above));
        }
        while index < end {
            let middle = index + (end - index) / 2;
            let entry = self.entry(middle);
            match suffix.cmp_entry(&entry) {
                Ordering::Equal => return Ok((middle, entry)),
                Ordering::Less => end = middle,
                Ordering::Greater => index = middle + 1,
            }
        }
        Err(index)
    }

    /// Writes the whole key of `entry` into `key`, replacing what was there.
    #[inline]
    pub(super) fn key_into(&self, entry: &Entry<'_>, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(self.prefix());
        entry.push_suffix(key);
    }
}

/// How many of the ascending `heads` are below `target`.
#[inline]
fn heads_below(heads: &[[u8; HEAD_BYTES]], target: u32) -> usize {
    let mut window = heads;
    let mut below = 0;
    while window.len() > LINEAR_HEADS {
        let (left, right) = window.split_at(window.len() / 2);
        if left.last().is_some_and(|head| u32::from_le_bytes(*head) < target) {
            below += left.len();
            window = right;
        } else {
            window = left;
        }
    }
    // Counting all of them has no branch to mispredict, and its loads wait for memory side by side.
    let counted: u32 = window.iter().map(|head| u32::from(u32::from_le_bytes(*head) < target)).sum();
    below + usize::try_from(counted).unwrap_or(0)
}

/// Asks for the first lines of a page at once. Their addresses do not depend on the header, so the processor can wait
/// for all of them together instead of one after the other.
#[inline]
pub(super) fn touch_slots(page: &[u8]) {
    let line = |number: usize| page.get(number * CACHE_LINE_BYTES).copied().unwrap_or(0);
    black_box(line(1) ^ line(2) ^ line(3));
}

/// Asks for all lines of a page, in order, because all will be read soon and in an order that no prefetcher foresees.
#[inline]
pub(super) fn touch_all(page: &[u8]) {
    let folded = page.iter().step_by(CACHE_LINE_BYTES).fold(0, |folded, byte| folded ^ byte);
    black_box(folded);
}
