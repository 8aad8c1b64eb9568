//! Verification of leaf pages: of bytes that come from a file, and of the invariants of pages in memory.
//!
//! Invariant: a page that passes [`canonical`] cannot make any code of this module panic, loop or read outside of it, whatever
//! its bytes are. It runs once per page, when the page becomes resident.

use alloc::{format, string::String, vec::Vec};
use core::cmp::Ordering;

use super::{
    KEY_BYTES_MAX, VALUE_BYTES_MAX,
    leaf::{HEAD_BYTES, Leaf, Suffix, at},
    leaf_build::{PAGE_BYTES_MAX, heap_is_ordered, prefix_is_longest},
};

/// Checks that `page` has the canonical form of F-40 with `entries` entries and says what is wrong if not.
pub(super) fn canonical(page: &[u8], entries: u32) -> Result<(), String> {
    if page.len() < at::HEADER_END || page.len() > PAGE_BYTES_MAX {
        return Err(format!("a page has {} to {PAGE_BYTES_MAX} bytes, this one {}", at::HEADER_END, page.len()));
    }
    let leaf = Leaf::new(page);
    let count = leaf.count();
    if count == 0 || u32::try_from(count) != Ok(entries) {
        return Err(format!("the page holds {count} entries, its reference says {entries}"));
    }
    if leaf.used_bytes() != page.len() {
        return Err(format!("prefix, slots and heap take {} bytes, the page has {}", leaf.used_bytes(), page.len()));
    }
    if !heap_is_ordered(&leaf) || page.get(at::LAST_INSERT..=at::RUN) != Some(&[0; 3]) {
        return Err(String::from("the header has values that only a page in memory may have"));
    }
    entries_are_sound(&leaf)?;
    let mut heap = 0;
    for index in 0..count {
        heap += leaf.entry(index).bytes.len();
        if leaf.offset(index) != heap {
            return Err(format!("entry {index} is at distance {} from the end, expected {heap}", leaf.offset(index)));
        }
    }
    if heap != leaf.heap_bytes() {
        return Err(format!("the entries take {heap} bytes of a heap of {}", leaf.heap_bytes()));
    }
    if !prefix_is_longest(&leaf) {
        return Err(format!("the prefix of {} bytes is not what all keys have in common", leaf.prefix().len()));
    }
    Ok(())
}

/// Checks what holds for every page, in memory too: whole entries within limits, in strictly ascending order.
pub(super) fn entries_are_sound(leaf: &Leaf<'_>) -> Result<(), String> {
    let mut before = None;
    for index in 0..leaf.count() {
        let entry = leaf.checked_entry(index).ok_or_else(|| format!("entry {index} lies outside of the page"))?;
        if leaf.offset(index) > leaf.heap_bytes() || entry.bytes.len() > leaf.offset(index) {
            return Err(format!("entry {index} lies outside of the heap"));
        }
        let key_len = leaf.prefix().len() + entry.suffix_len;
        if key_len > KEY_BYTES_MAX || entry.entry.value.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "entry {index} has a key of {key_len} and a value of {} bytes",
                entry.entry.value.len()
            ));
        }
        let padding = entry.suffix_len.min(HEAD_BYTES);
        if entry.head.to_be_bytes().get(padding..).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0)) {
            return Err(format!("the head of entry {index} is longer than its key"));
        }
        let suffix = Suffix { head: entry.head, len: entry.suffix_len, rest: entry.rest };
        if before.is_some_and(|before| suffix.cmp_entry(&before) != Ordering::Greater) {
            return Err(format!("the key of entry {index} is not above the one before it"));
        }
        before = Some(entry);
    }
    Ok(())
}

/// Checks that the keys of a page lie where the separators above it say: at or above `lower`, below `upper`.
pub(super) fn within(leaf: &Leaf<'_>, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Result<(), String> {
    let mut key = Vec::new();
    leaf.key_into(&leaf.entry(0), &mut key);
    if lower.is_some_and(|lower| key.as_slice() < lower) {
        return Err(String::from("the first key lies below the page's lower bound"));
    }
    leaf.key_into(&leaf.entry(leaf.count().saturating_sub(1)), &mut key);
    if upper.is_some_and(|upper| key.as_slice() >= upper) {
        return Err(String::from("the last key lies above the page's upper bound"));
    }
    Ok(())
}
