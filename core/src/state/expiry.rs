//! Entries that are over at a time: how they say so, and the index that a sweep goes by. Rules F-31, F-32, F-37 and F-39.
//!
//! Invariants:
//! - An entry says itself when it is over, so that a reader who has it at hand looks nothing up. A write looks once more at the entry
//!   that it replaces, in a space that has had such entries since it was opened, and in no other.
//! - The index of a space has exactly the entries that say when they are over, whichever operation made or removed them: both
//!   change in the one place where an entry is set or unset.
//! - No clock is asked. What is over by a time is removed by an operation that says that time; an addition counts what is over at
//!   the time of its own record as not there.

use alloc::{format, vec::Vec};
use core::{
    ops::{Bound, ControlFlow},
    sync::atomic::{AtomicU8, Ordering},
};

use super::{Family, Space, entry_kind};
use crate::{
    Error, Result,
    limits::{EXPIRY_MICROS_MAX, KEY_BYTES_MAX, SWEPT_ENTRIES_MAX},
    log::varint::{self, Reader},
    tree::{Direction, EntryRef, KeyRange, PageSource, Tree},
};

/// When it is over, and the kind of what it otherwise would be.
const HEAD_BYTES: usize = 9;
/// A key of the index before the user's key: time and family.
const INDEX_HEAD_BYTES: usize = 9;

/// The families whose entries may be over at some time.
pub(crate) const EXPIRING: [Family; 3] = [Family::Kv, Family::Json, Family::State];

/// An entry without its expiry, and the expiry, where it has one. What is malformed stays as it is: its reader says so.
#[inline]
pub fn split<'a>(entry: EntryRef<'a>) -> (EntryRef<'a>, Option<u64>) {
    if entry.kind == entry_kind::EXPIRING { split_expiring(entry) } else { (entry, None) }
}

fn split_expiring(entry: EntryRef<'_>) -> (EntryRef<'_>, Option<u64>) {
    let parsed = entry.value.split_first_chunk::<8>().and_then(|(micros, rest)| {
        let (kind, value) = rest.split_first()?;
        let inner = matches!(*kind, entry_kind::INLINE | entry_kind::POINTER | entry_kind::EDITED);
        let micros = check_expiry(u64::from_le_bytes(*micros)).ok().filter(|_| inner)?;
        Some((EntryRef { kind: *kind, seq: entry.seq, value }, micros))
    });
    match parsed {
        Some((inner, micros)) => (inner, Some(micros)),
        None => (entry, None),
    }
}

/// Kind and value of an entry that is over at a time.
pub(super) fn joined(micros: u64, kind: u8, value: &[u8]) -> (u8, Vec<u8>) {
    let mut out = Vec::with_capacity(HEAD_BYTES + value.len());
    out.extend_from_slice(&micros.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(value);
    (entry_kind::EXPIRING, out)
}

/// Fails for a time that no entry can be over at.
pub(crate) fn check_expiry(micros: u64) -> Result<u64> {
    match micros {
        0 => Err(Error::Invalid { what: "expiry", why: "0 is no time that an entry can be over at".into() }),
        1..=EXPIRY_MICROS_MAX => Ok(micros),
        _ => Err(Error::Limit { what: "expiry in microseconds since 1970", size: micros, limit: EXPIRY_MICROS_MAX }),
    }
}

/// The body of a put that says when the entry is over: the time, then what is put.
pub(crate) fn expiring_body(micros: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(varint::VARINT_BYTES_MAX + body.len());
    varint::write(&mut out, micros);
    out.extend_from_slice(body);
    out
}

/// The reverse.
pub fn split_expiring_body(body: &[u8]) -> Result<(u64, &[u8])> {
    let mut reader = Reader::new(body);
    Ok((check_expiry(reader.varint()?)?, reader.rest()))
}

/// The body of an operation that only sets when an entry is over; empty where it never is.
pub(crate) fn expiry_body(micros: Option<u64>) -> Vec<u8> {
    micros.map_or_else(Vec::new, |micros| expiring_body(micros, &[]))
}

/// The reverse.
pub fn parse_expiry_body(body: &[u8]) -> Result<Option<u64>> {
    if body.is_empty() {
        return Ok(None);
    }
    match split_expiring_body(body)? {
        (micros, []) => Ok(Some(micros)),
        (_, rest) => Err(Error::Invalid { what: "expiry", why: format!("{} bytes are left behind it", rest.len()) }),
    }
}

/// What a sweep removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// What is over at this time, in microseconds.
    pub until_micros: u64,
    /// At most so many entries: those that have been over for longest.
    pub limit: u64,
}

impl Sweep {
    /// The body of the operation.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::write(&mut out, self.until_micros);
        varint::write(&mut out, self.limit);
        out
    }

    /// The reverse. Fails with [`Error::Invalid`] where it breaks rule F-37.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let sweep = Sweep { until_micros: reader.varint()?, limit: reader.varint()? };
        if reader.remaining() > 0 || sweep.limit == 0 || sweep.limit > SWEPT_ENTRIES_MAX {
            let why = format!("it removes {} entries, and {} bytes are left", sweep.limit, reader.remaining());
            return Err(Error::Invalid { what: "sweep", why });
        }
        check_expiry(sweep.until_micros)?;
        Ok(sweep)
    }
}

/// The tree key of the index for an entry: `tree_key` is that of the entry.
fn index_key(micros: u64, tree_key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 8 + tree_key.len());
    out.push(Family::Expiry.byte());
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(tree_key);
    out
}

/// When the entry of an index key is over, and its tree key. `key` is without the family of the index.
pub(crate) fn parse_index_key(key: &[u8]) -> Option<(u64, &[u8])> {
    let (micros, tree_key) = key.split_first_chunk::<8>()?;
    let family = Family::from_byte(*tree_key.first()?)?;
    let fits = EXPIRING.contains(&family) && key.len() <= INDEX_HEAD_BYTES + KEY_BYTES_MAX;
    fits.then(|| (u64::from_be_bytes(*micros), tree_key))
}

/// The part of the index, without its family, that has what is over at a time.
pub(crate) fn over_at(micros: u64) -> KeyRange {
    KeyRange::new(Bound::Unbounded, Bound::Excluded(micros.saturating_add(1).to_be_bytes().to_vec()))
}

/// The tree keys of the entries that a sweep of a tree removes, and the index keys that lead to them, in the order of the index.
pub(crate) fn swept(tree: &Tree, sweep: &Sweep, pages: &dyn PageSource) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let (mut found, mut left) = (Vec::new(), sweep.limit);
    let range = Family::Expiry.range(&over_at(sweep.until_micros));
    tree.visit(&range, Direction::Forward, pages, &mut |index_key, _| {
        // An index key that cannot be read leads to no entry.
        let tree_key = index_key.get(1..).and_then(parse_index_key).map_or_else(Vec::new, |(_, key)| key.to_vec());
        found.push((tree_key, index_key.to_vec()));
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The family and the key of each entry that a sweep of a tree removes.
pub(crate) fn swept_keys(tree: &Tree, sweep: &Sweep, pages: &dyn PageSource) -> Result<Vec<(Family, Vec<u8>)>> {
    let named = |(tree_key, _): (Vec<u8>, Vec<u8>)| {
        let (first, key) = tree_key.split_first()?;
        Some((Family::from_byte(*first)?, key.to_vec()))
    };
    Ok(swept(tree, sweep, pages)?.into_iter().filter_map(named).collect())
}

/// Whether a space may have entries that are over at some time, as far as that is known. No part of the state: it only saves those who
/// have none from looking. Readers may find it out at the same time, and find the same; `SOMETHING` is set by whoever changes the space, who
/// has it alone.
#[derive(Debug, Default)]
pub(crate) struct MayExpire(AtomicU8);

const UNKNOWN: u8 = 0;
const NOTHING: u8 = 1;
const SOMETHING: u8 = 2;

impl Clone for MayExpire {
    fn clone(&self) -> Self {
        MayExpire(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Space {
    /// Whether an entry of the space may be over at some time. Looks once, after the store was opened.
    #[inline]
    pub(crate) fn may_expire(&self, pages: &dyn PageSource) -> Result<bool> {
        match self.may_expire.0.load(Ordering::Relaxed) {
            UNKNOWN => self.look_for_expiries(pages),
            known => Ok(known == SOMETHING),
        }
    }

    #[cold]
    fn look_for_expiries(&self, pages: &dyn PageSource) -> Result<bool> {
        let mut any = false;
        self.tree.visit(&Family::Expiry.range(&KeyRange::all()), Direction::Forward, pages, &mut |_, _| {
            any = true;
            ControlFlow::Break(())
        })?;
        self.may_expire.0.store(if any { SOMETHING } else { NOTHING }, Ordering::Relaxed);
        Ok(any)
    }

    pub(super) fn note_expiry(&self) {
        self.may_expire.0.store(SOMETHING, Ordering::Relaxed);
    }

    /// Brings the leaves of the index into memory that change when the entry of a tree key is replaced by one that is over at `micros`.
    pub(crate) fn prepare_expiry(&self, tree_key: &[u8], micros: Option<u64>, pages: &dyn PageSource) -> Result<()> {
        if micros.is_none() && !self.may_expire(pages)? {
            return Ok(());
        }
        let before = self.tree.get(tree_key, pages)?.and_then(|entry| split(entry).1);
        for micros in [before, micros].into_iter().flatten() {
            self.tree.prepare(&index_key(micros, tree_key), pages)?;
        }
        Ok(())
    }

    /// Brings the leaves into memory that a sweep changes.
    pub(crate) fn prepare_sweep(&self, sweep: &Sweep, pages: &dyn PageSource) -> Result<()> {
        swept(&self.tree, sweep, pages)?.iter().try_for_each(|(tree_key, _)| self.tree.prepare(tree_key, pages))
    }

    /// The entry of a key was replaced: the index follows.
    #[cold]
    pub(super) fn follow_expiry(
        &mut self,
        tree_key: &[u8],
        (before, after): (Option<u64>, Option<u64>),
        seq: u64,
        pages: &dyn PageSource,
    ) -> Result<()> {
        if let Some(before) = before {
            self.tree.remove(&index_key(before, tree_key), pages, &mut |_| {})?;
        }
        if let Some(after) = after {
            self.note_expiry();
            self.tree.insert(&index_key(after, tree_key), entry_kind::INLINE, &[], seq, pages, &mut |_| {})?;
        }
        Ok(())
    }

    /// Whether what an index key says of an entry is so.
    pub(super) fn is_over_at(&self, tree_key: &[u8], index_key: &[u8], pages: &dyn PageSource) -> Result<bool> {
        let Some((micros, _)) = index_key.get(1..).and_then(parse_index_key) else { return Ok(false) };
        Ok(self.tree.get(tree_key, pages)?.and_then(|entry| split(entry).1) == Some(micros))
    }
}

/// Checks an entry and the index against one another: what the one says the other has to say. `key` is a tree key.
pub(crate) fn check_expiry_entry(tree: &Tree, key: &[u8], entry: &EntryRef<'_>, pages: &dyn PageSource) -> Result<()> {
    let corrupt = |what| Err(Error::Corrupt { file: "tree".into(), offset: 0, rule: "F-31", what });
    if key.first() == Some(&Family::Expiry.byte()) {
        let parsed = key.get(1..).and_then(parse_index_key).filter(|_| entry.value.is_empty());
        let Some((micros, tree_key)) = parsed else {
            return corrupt(format!("an index entry with a key of {} bytes", key.len()));
        };
        let found = tree.get(tree_key, pages)?.and_then(|entry| split(entry).1);
        if found != Some(micros) {
            return corrupt(format!("the index says that an entry is over at {micros}, and it says {found:?}"));
        }
        return Ok(());
    }
    if entry.kind != entry_kind::EXPIRING {
        return Ok(());
    }
    let family = key.first().and_then(|byte| Family::from_byte(*byte));
    let Some(micros) = split(*entry).1.filter(|_| family.is_some_and(|family| EXPIRING.contains(&family))) else {
        return corrupt(format!("an entry of {} bytes cannot be one that is over at a time", entry.value.len()));
    };
    match tree.get(&index_key(micros, key), pages)? {
        Some(_) => Ok(()),
        None => corrupt(format!("an entry is over at {micros}, and the index does not have it")),
    }
}
