//! Changing a leaf page: insertion, replacement, removal, in place wherever nobody else owns the page.
//!
//! Invariant: after every call the page is a valid one, and whoever else shared the old bytes still sees them unchanged.

use alloc::{sync::Arc, vec::Vec};

use super::{
    Shape,
    leaf::{ENTRY_HEADER_BYTES, HEAD_BYTES, Leaf, Page, SLOT_BYTES, Suffix, at, narrow, read_u16, touch_all},
    leaf_build::{
        Item, NewEntry, PAGE_BYTES_MAX, assemble, common_len, entry_bytes, entry_header, items_of, page_bytes,
        shared_prefix, shares_first_byte, write_at, zeroed_page,
    },
};

/// As many insertions in a row, each right behind the one before, are taken for ascending keys.
const RUN_MIN: u8 = 4;
/// Steps by which a page grows in the midst of such a run, beyond the ordinary one.
const RUN_GAP_STEPS: usize = 4;
/// A prefix is lengthened at a growth only if it frees this many bytes: it means to write all entries anew.
const PREFIX_GAIN_BYTES_MIN: usize = 64;

/// What became of the page.
pub(super) enum Edited {
    /// The entry is in it.
    Fits,
    /// It was split: this page holds the upper entries, and the key separates both.
    Split(Vec<u8>, Page),
}

/// A page with a single entry.
pub(super) fn first_page(new: &NewEntry<'_>, shape: &Shape) -> Page {
    let mut scratch = Vec::new();
    let item = Item::fresh(new, 0, &mut scratch);
    assemble(&[], &[item], shape.gap_for(page_bytes(&[item], 0)))
}

/// Puts `new` where [`Leaf::search`] said: `Ok` replaces that entry, `Err` inserts before that index. `rightmost` says that
/// the page is the last of its tree, so that a key behind its last one is taken for an append.
pub(super) fn put(
    page: &mut Page,
    found: Result<usize, usize>,
    new: &NewEntry<'_>,
    rightmost: bool,
    shape: &Shape,
) -> Edited {
    let leaf = Leaf::new(page);
    let Some(suffix) = new.key.strip_prefix(leaf.prefix()) else {
        return rebuild(page, found, new, rightmost, shape);
    };
    let suffix = Suffix::new(suffix);
    let size = entry_bytes(suffix.len, new.entry.value.len());
    let room = match found {
        Ok(index) if leaf.entry(index).bytes.len() >= size => 0,
        Ok(_) => size,
        Err(_) => size + SLOT_BYTES,
    };
    if room > leaf.gap() {
        let used = leaf.used_bytes() + room;
        if used > shape.leaf_bytes() || gain(&leaf) > 0 {
            return rebuild(page, found, new, rightmost, shape);
        }
        let gap = match found {
            // More of the same is about to come, and the gap is cut off when the page is full.
            Err(index) if run_after_insert(page, index) >= RUN_MIN => {
                RUN_GAP_STEPS * shape.leaf_step_bytes() + shape.gap_for(used)
            }
            _ => shape.gap_for(used),
        };
        *page = enlarged(&leaf, (used + gap).min(shape.leaf_bytes()));
    }
    match found {
        Ok(index) => replace_in_place(page, index, &suffix, size, new),
        Err(index) => insert_in_place(page, index, &suffix, size, new),
    }
    Edited::Fits
}

/// Bytes that writing the page anew would free, if that is worth the work.
fn gain(leaf: &Leaf<'_>) -> usize {
    let dead = leaf.dead_bytes();
    let longer_prefix = match leaf.count() {
        0 | 1 => 0,
        count if shares_first_byte(&leaf.entry(0), &leaf.entry(count - 1)) => count,
        _ => 0,
    };
    let gain = dead + longer_prefix;
    if gain >= PREFIX_GAIN_BYTES_MIN { gain } else { 0 }
}

/// A copy of the page that is `len` bytes long, the gap grown.
fn enlarged(leaf: &Leaf<'_>, len: usize) -> Page {
    let mut page = zeroed_page(len);
    let old = leaf.page();
    let bytes = Arc::make_mut(&mut page);
    // `len` exceeds what the old page uses, so that both parts fit without meeting.
    let slots_end = leaf.slots_end();
    bytes[..slots_end].copy_from_slice(&old[..slots_end]);
    bytes[len - leaf.heap_bytes()..].copy_from_slice(&old[old.len() - leaf.heap_bytes()..]);
    page
}

/// Writes an entry's bytes at `start`.
#[inline]
fn write_entry(page: &mut [u8], start: usize, suffix: &Suffix<'_>, new: &NewEntry<'_>) {
    let value_at = start + ENTRY_HEADER_BYTES + suffix.rest.len();
    write_at(page, start, entry_header(suffix.len, &new.entry));
    page[start + ENTRY_HEADER_BYTES..value_at].copy_from_slice(suffix.rest);
    page[value_at..value_at + new.entry.value.len()].copy_from_slice(new.entry.value);
}

/// Overwrites the entry at `index`; a larger one goes to the gap, which has room for it.
fn replace_in_place(page: &mut Page, index: usize, suffix: &Suffix<'_>, size: usize, new: &NewEntry<'_>) {
    let leaf = Leaf::new(page);
    let old_size = leaf.entry(index).bytes.len();
    let (heap, dead, offset_at) = (leaf.heap_bytes(), leaf.dead_bytes(), leaf.offsets_at() + index * 2);
    let old_offset = leaf.offset(index);
    let bytes = Arc::make_mut(page);
    if size <= old_size {
        write_entry(bytes, bytes.len() - old_offset, suffix, new);
        write_at(bytes, at::DEAD_BYTES, narrow(dead + old_size - size).to_le_bytes());
    } else {
        let offset = heap + size;
        write_entry(bytes, bytes.len() - offset, suffix, new);
        write_at(bytes, offset_at, narrow(offset).to_le_bytes());
        write_at(bytes, at::HEAP_BYTES, narrow(offset).to_le_bytes());
        write_at(bytes, at::DEAD_BYTES, narrow(dead + old_size).to_le_bytes());
        bytes[at::FLAGS] = 0;
    }
}

/// Inserts an entry before `index` into the gap, which has room for it.
fn insert_in_place(page: &mut Page, index: usize, suffix: &Suffix<'_>, size: usize, new: &NewEntry<'_>) {
    let leaf = Leaf::new(page);
    let (count, heads_at, offsets_at, slots_end) = (leaf.count(), leaf.heads_at(), leaf.offsets_at(), leaf.slots_end());
    let offset = leaf.heap_bytes() + size;
    let run = run_after_insert(page, index);
    let bytes = Arc::make_mut(page);
    // The two arrays lie behind each other: first the upper offsets move by a whole slot, then the lower ones and the upper
    // heads by one head.
    bytes.copy_within(offsets_at + index * 2..slots_end, offsets_at + index * 2 + SLOT_BYTES);
    bytes.copy_within(offsets_at..offsets_at + index * 2, offsets_at + HEAD_BYTES);
    bytes.copy_within(heads_at + index * HEAD_BYTES..offsets_at, heads_at + (index + 1) * HEAD_BYTES);
    write_at(bytes, heads_at + index * HEAD_BYTES, suffix.head.to_le_bytes());
    write_at(bytes, offsets_at + HEAD_BYTES + index * 2, narrow(offset).to_le_bytes());
    write_entry(bytes, bytes.len() - offset, suffix, new);
    write_at(bytes, at::COUNT, narrow(count + 1).to_le_bytes());
    write_at(bytes, at::HEAP_BYTES, narrow(offset).to_le_bytes());
    write_at(bytes, at::LAST_INSERT, narrow(index + 1).to_le_bytes());
    bytes[at::RUN] = run;
    if index != count {
        bytes[at::FLAGS] = 0;
    }
}

/// The length of the run of ascending insertions once one goes to `index`.
fn run_after_insert(page: &[u8], index: usize) -> u8 {
    let follows = index > 0 && usize::from(read_u16(page, at::LAST_INSERT)) == index;
    if follows { page.get(at::RUN).copied().unwrap_or(0).saturating_add(1) } else { 0 }
}

/// Writes the page anew with `new` in it, as one page or two.
fn rebuild(page: &mut Page, found: Result<usize, usize>, new: &NewEntry<'_>, rightmost: bool, shape: &Shape) -> Edited {
    let old = Arc::clone(page);
    touch_all(&old);
    let leaf = Leaf::new(&old);
    let follows_prefix = new.key.starts_with(leaf.prefix());
    let mut scratch = Vec::new();
    let fresh = Item::fresh(new, if follows_prefix { leaf.prefix().len() } else { 0 }, &mut scratch);
    let mut items: Vec<Item<'_>> = items_of(&leaf).collect();
    let index = match found {
        Ok(index) => {
            items.splice(index..=index, [fresh]);
            index
        }
        Err(index) => {
            items.insert(index, fresh);
            index
        }
    };
    let prefix = shared_prefix(&items);
    let used = page_bytes(&items, prefix.len());
    if used <= shape.leaf_bytes() || items.len() == 1 {
        *page = assemble(&prefix, &items, shape.gap_for(used).min(shape.leaf_bytes().saturating_sub(used)));
        return Edited::Fits;
    }
    let run = if found.is_err() { run_after_insert(&old, index) } else { 0 };
    let appends = found.is_err() && index + 1 == items.len() && (rightmost || run >= RUN_MIN);
    let middle = if !follows_prefix {
        // It lies before or behind all others. Without their prefix they might need many times the room, so it goes alone.
        if index == 0 { 1 } else { index }
    } else if appends {
        index
    } else {
        split_index(&items, index, run, shape)
    };
    let mut upper = Page::default();
    let separator = split(page, &mut upper, &items, middle, appends, shape);
    if run >= RUN_MIN || appends {
        // The next key of the run goes right behind this one: to the end of the page that this one is in.
        let (last_page, inserted) = if index < middle { (page, index + 1) } else { (&mut upper, index + 1 - middle) };
        let bytes = Arc::make_mut(last_page);
        write_at(bytes, at::LAST_INSERT, narrow(inserted).to_le_bytes());
        bytes[at::RUN] = run;
    }
    Edited::Split(separator, upper)
}

/// Where to split `items`: the first index of the upper page. Neither page is empty.
fn split_index(items: &[Item<'_>], inserted: usize, run: u8, shape: &Shape) -> usize {
    let prefix_len = items.first().map_or(0, |item| item.prefix.len());
    let fits = |part: &[Item<'_>]| page_bytes(part, prefix_len) <= shape.leaf_bytes();
    let behind = inserted + 1;
    // Ascending keys in the middle of others (the events of one stream, say): what is below them is complete.
    if run >= RUN_MIN
        && behind < items.len()
        && items.split_at_checked(behind).is_some_and(|(low, high)| fits(low) && fits(high))
    {
        return behind;
    }
    let half = page_bytes(items, prefix_len) / 2;
    let mut bytes = 0;
    let middle = items.iter().position(|item| {
        bytes += item.stored_bytes(prefix_len);
        bytes >= half
    });
    middle.map_or(1, |index| index + 1).clamp(1, items.len() - 1)
}

/// Writes the items below `middle` to `low_page`, the others to `high_page`, and returns the separator.
fn split(
    low_page: &mut Page,
    high_page: &mut Page,
    items: &[Item<'_>],
    middle: usize,
    appends: bool,
    shape: &Shape,
) -> Vec<u8> {
    let (low, high) = items.split_at(middle);
    let low_prefix = shared_prefix(low);
    let high_prefix = if appends && high.len() == 1 {
        // The keys to come will resemble this one and the one before.
        shared_prefix(items.get(middle.saturating_sub(1)..).unwrap_or_default())
    } else {
        shared_prefix(high)
    };
    let write = |part: &[Item<'_>], prefix: &[u8]| {
        let used = page_bytes(part, prefix.len());
        assemble(prefix, part, shape.gap_for(used).min(shape.leaf_bytes().saturating_sub(used)))
    };
    // A page that ascending keys have left behind is complete and needs no gap.
    *low_page = if appends { assemble(&low_prefix, low, 0) } else { write(low, &low_prefix) };
    *high_page = write(high, &high_prefix);
    separator(low, high)
}

/// The shortest key above all of `low` and not above any of `high`.
fn separator(low: &[Item<'_>], high: &[Item<'_>]) -> Vec<u8> {
    let (mut below, mut above) = (Vec::new(), Vec::new());
    if let (Some(last), Some(first)) = (low.last(), high.first()) {
        last.key_into(&mut below);
        first.key_into(&mut above);
    }
    above.truncate(common_len(&below, &above) + 1);
    above
}

/// Removes the entry at `index`. Gives memory back when much of the page is unused.
pub(super) fn remove(page: &mut Page, index: usize, shape: &Shape) {
    let leaf = Leaf::new(page);
    let (count, heads_at, offsets_at, slots_end) = (leaf.count(), leaf.heads_at(), leaf.offsets_at(), leaf.slots_end());
    let (heap, dead, offset, size) =
        (leaf.heap_bytes(), leaf.dead_bytes(), leaf.offset(index), leaf.entry(index).bytes.len());
    let waste = leaf.gap() + dead + size + SLOT_BYTES;
    if waste > shape.waste_bytes_max(leaf.page().len()) {
        let old = Arc::clone(page);
        touch_all(&old);
        let mut items: Vec<Item<'_>> = items_of(&Leaf::new(&old)).collect();
        items.remove(index);
        let prefix = shared_prefix(&items);
        *page = assemble(&prefix, &items, 0);
        return;
    }
    let bytes = Arc::make_mut(page);
    bytes.copy_within(heads_at + (index + 1) * HEAD_BYTES..offsets_at, heads_at + index * HEAD_BYTES);
    bytes.copy_within(offsets_at..offsets_at + index * 2, offsets_at - HEAD_BYTES);
    bytes.copy_within(offsets_at + (index + 1) * 2..slots_end, offsets_at + index * 2 - HEAD_BYTES);
    write_at(bytes, at::COUNT, narrow(count - 1).to_le_bytes());
    write_at(bytes, at::LAST_INSERT, [0, 0]);
    bytes[at::RUN] = 0;
    if offset == heap {
        write_at(bytes, at::HEAP_BYTES, narrow(heap - size).to_le_bytes());
    } else {
        write_at(bytes, at::DEAD_BYTES, narrow(dead + size).to_le_bytes());
    }
}

/// Removes the entries from `start` on up to before `end`. Something is left.
pub(super) fn remove_span(page: &mut Page, start: usize, end: usize, shape: &Shape) {
    if end == start + 1 {
        return remove(page, start, shape);
    }
    let old = Arc::clone(page);
    touch_all(&old);
    let left = items_of(&Leaf::new(&old)).enumerate().filter(|(index, _)| !(start..end).contains(index));
    let items: Vec<Item<'_>> = left.map(|(_, item)| item).collect();
    *page = assemble(&shared_prefix(&items), &items, 0);
}

/// The entries of two neighbouring pages in one, if they fill at most `bytes_max`.
pub(super) fn merged(low: &[u8], high: &[u8], bytes_max: usize, shape: &Shape) -> Option<Page> {
    touch_all(low);
    touch_all(high);
    let items: Vec<Item<'_>> = items_of(&Leaf::new(low)).chain(items_of(&Leaf::new(high))).collect();
    let prefix = shared_prefix(&items);
    let used = page_bytes(&items, prefix.len());
    (used <= bytes_max.min(PAGE_BYTES_MAX)).then(|| assemble(&prefix, &items, shape.gap_for(used)))
}
