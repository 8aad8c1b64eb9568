//! Writing whole leaf pages: after a split, a merge or a compaction, for a builder, and in canonical form.
//!
//! Invariant: a page written here holds its heap in key order, without gap in between and without dead bytes.

use alloc::{sync::Arc, vec, vec::Vec};

use super::{
    EntryRef,
    leaf::{
        ENTRY_HEADER_BYTES, Entry, HEAD_BYTES, HEAP_ORDERED, Leaf, Page, SLOT_BYTES, SUFFIX_LEN_MASK, Suffix, at,
        narrow,
    },
};
use crate::work;

/// No page is longer: its offsets are 16 bits wide.
pub(super) const PAGE_BYTES_MAX: usize = 65_535;

/// Zeros to make pages of: one copy of them is the cheapest way to get an initialised allocation without `unsafe`.
static ZEROS: [u8; 8192] = [0; 8192];

/// An entry on its way into a page.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    /// The prefix under which `entry` is stored now.
    pub(super) prefix: &'a [u8],
    /// The entry under that prefix.
    pub(super) entry: Entry<'a>,
}

/// An entry to be stored.
#[derive(Clone, Copy)]
pub(super) struct NewEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) entry: EntryRef<'a>,
}

/// The ten bytes before an entry's key and value.
#[inline]
pub(super) fn entry_header(suffix_len: usize, entry: &EntryRef<'_>) -> [u8; ENTRY_HEADER_BYTES] {
    let [s0, s1] = ((narrow(suffix_len) & SUFFIX_LEN_MASK) | u16::from(entry.kind) << 12).to_le_bytes();
    let [v0, v1] = narrow(entry.value.len()).to_le_bytes();
    let [q0, q1, q2, q3, q4, q5, ..] = entry.seq.to_le_bytes();
    [s0, s1, v0, v1, q0, q1, q2, q3, q4, q5]
}

/// Bytes in the heap of an entry with a suffix and a value of these lengths.
#[inline]
pub(super) fn entry_bytes(suffix_len: usize, value_len: usize) -> usize {
    ENTRY_HEADER_BYTES + suffix_len.saturating_sub(HEAD_BYTES) + value_len
}

/// How many bytes two slices have in common at their beginning.
pub(super) fn common_len(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}

/// A page of `len` zero bytes.
pub(super) fn zeroed_page(len: usize) -> Page {
    match ZEROS.get(..len) {
        Some(zeros) => Arc::from(zeros),
        None => Arc::from(vec![0; len]),
    }
}

impl<'a> Item<'a> {
    /// The item for a new entry whose key is stored behind its first `prefix_len` bytes; `scratch` receives its bytes.
    pub(super) fn fresh(new: &NewEntry<'a>, prefix_len: usize, scratch: &'a mut Vec<u8>) -> Self {
        let (prefix, suffix) = new.key.split_at_checked(prefix_len).unwrap_or((&[], new.key));
        let suffix = Suffix::new(suffix);
        scratch.clear();
        scratch.extend_from_slice(&entry_header(suffix.len, &new.entry));
        scratch.extend_from_slice(suffix.rest);
        scratch.extend_from_slice(new.entry.value);
        let entry =
            Entry { head: suffix.head, suffix_len: suffix.len, rest: suffix.rest, bytes: scratch, entry: new.entry };
        Self { prefix, entry }
    }

    /// Length of the whole key.
    pub(super) fn key_len(&self) -> usize {
        self.prefix.len() + self.entry.suffix_len
    }

    /// Writes the whole key into `key`, replacing what was there.
    pub(super) fn key_into(&self, key: &mut Vec<u8>) {
        key.clear();
        key.extend_from_slice(self.prefix);
        self.entry.push_suffix(key);
    }

    /// Bytes of slot and heap that the entry takes in a page with a prefix of `prefix_len` bytes of its key.
    pub(super) fn stored_bytes(&self, prefix_len: usize) -> usize {
        SLOT_BYTES + entry_bytes(self.key_len().saturating_sub(prefix_len), self.entry.entry.value.len())
    }
}

/// The entries of a page.
pub(super) fn items_of<'a>(leaf: &Leaf<'a>) -> impl Iterator<Item = Item<'a>> + use<'a> {
    work::count(16);
    let leaf = *leaf;
    (0..leaf.count()).map(move |index| Item { prefix: leaf.prefix(), entry: leaf.uncounted_entry(index) })
}

/// The prefix that a page of `items` (in key order) gets: what first and last have in common. A single entry gets none,
/// so that the bytes of a page depend on nothing but its entries.
pub(super) fn shared_prefix(items: &[Item<'_>]) -> Vec<u8> {
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return Vec::new() };
    if items.len() == 1 {
        return Vec::new();
    }
    let (mut prefix, mut last_key) = (Vec::new(), Vec::new());
    first.key_into(&mut prefix);
    last.key_into(&mut last_key);
    prefix.truncate(common_len(&prefix, &last_key));
    prefix
}

/// Length of a page of `items` with a prefix of `prefix_len` bytes, without a gap.
pub(super) fn page_bytes(items: &[Item<'_>], prefix_len: usize) -> usize {
    let entries: usize = items.iter().map(|item| item.stored_bytes(prefix_len)).sum();
    at::HEADER_END + prefix_len + entries
}

/// Writes `items`, which are in key order and all begin with `prefix`, into a page with `gap` free bytes.
///
/// The caller has seen to it that they fit into [`PAGE_BYTES_MAX`]; the gap shrinks if it would not.
pub(super) fn assemble(prefix: &[u8], items: &[Item<'_>], gap: usize) -> Page {
    let used = page_bytes(items, prefix.len());
    let mut page = zeroed_page(used.saturating_add(gap).min(PAGE_BYTES_MAX).max(used));
    write_page(Arc::make_mut(&mut page), prefix, items);
    page
}

/// Writes header, prefix, slots and entries into `page`, which is zero and at least [`page_bytes`] long.
fn write_page(page: &mut [u8], prefix: &[u8], items: &[Item<'_>]) {
    let heads_at = at::HEADER_END + prefix.len();
    let offsets_at = heads_at + items.len() * HEAD_BYTES;
    let mut key = Vec::new();
    let mut heap = 0;
    // Ranges cannot leave the page: `page_bytes` has added up exactly what is written here.
    for (index, item) in items.iter().enumerate() {
        let size = item.stored_bytes(prefix.len()) - SLOT_BYTES;
        heap += size;
        let start = page.len() - heap;
        let head = if item.prefix.len() == prefix.len() {
            page[start..start + size].copy_from_slice(item.entry.bytes.get(..size).unwrap_or_default());
            item.entry.head
        } else {
            item.key_into(&mut key);
            let suffix = Suffix::new(key.get(prefix.len()..).unwrap_or_default());
            let value_at = start + ENTRY_HEADER_BYTES + suffix.rest.len();
            page[start..start + ENTRY_HEADER_BYTES].copy_from_slice(&entry_header(suffix.len, &item.entry.entry));
            page[start + ENTRY_HEADER_BYTES..value_at].copy_from_slice(suffix.rest);
            page[value_at..start + size].copy_from_slice(item.entry.entry.value);
            suffix.head
        };
        write_at(page, heads_at + index * HEAD_BYTES, head.to_le_bytes());
        write_at(page, offsets_at + index * 2, narrow(heap).to_le_bytes());
    }
    page[at::HEADER_END..heads_at].copy_from_slice(prefix);
    write_at(page, at::COUNT, narrow(items.len()).to_le_bytes());
    write_at(page, at::PREFIX_LEN, narrow(prefix.len()).to_le_bytes());
    write_at(page, at::HEAP_BYTES, narrow(heap).to_le_bytes());
    write_at(page, at::FLAGS, [HEAP_ORDERED]);
}

/// Writes `bytes` at `at`, inside the page by the caller's arithmetic.
#[inline]
pub(super) fn write_at<const N: usize>(page: &mut [u8], at: usize, bytes: [u8; N]) {
    page[at..at + N].copy_from_slice(&bytes);
}

/// Writes the canonical form of `page` into `out`, replacing what was there: no gap, no dead bytes, heap in key order, the
/// longest possible prefix. Equal entries give equal bytes.
pub(super) fn canonical_into(page: &[u8], out: &mut Vec<u8>) {
    let leaf = Leaf::new(page);
    out.clear();
    if heap_is_ordered(&leaf) && prefix_is_longest(&leaf) {
        let heap_at = page.len().saturating_sub(leaf.heap_bytes());
        out.extend_from_slice(page.get(..leaf.slots_end()).unwrap_or_default());
        out.extend_from_slice(page.get(heap_at..).unwrap_or_default());
        if let Some(run) = out.get_mut(at::LAST_INSERT..=at::RUN) {
            run.fill(0);
        }
    } else {
        let items: Vec<Item<'_>> = items_of(&leaf).collect();
        let prefix = shared_prefix(&items);
        out.resize(page_bytes(&items, prefix.len()), 0);
        write_page(out, &prefix, &items);
    }
}

/// Whether the heap is as [`write_page`] writes it.
pub(super) fn heap_is_ordered(leaf: &Leaf<'_>) -> bool {
    leaf.dead_bytes() == 0 && leaf.page().get(at::FLAGS) == Some(&HEAP_ORDERED)
}

/// Whether the prefix is the one of [`shared_prefix`].
pub(super) fn prefix_is_longest(leaf: &Leaf<'_>) -> bool {
    match leaf.count() {
        0 | 1 => leaf.prefix().is_empty(),
        count => !shares_first_byte(&leaf.entry(0), &leaf.entry(count - 1)),
    }
}

/// Whether two entries of a page begin with the same byte behind its prefix, so that the prefix could be longer.
pub(super) fn shares_first_byte(first: &Entry<'_>, last: &Entry<'_>) -> bool {
    first.suffix_len > 0 && last.suffix_len > 0 && first.head >> 24 == last.head >> 24
}
