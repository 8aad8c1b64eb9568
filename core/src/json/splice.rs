//! Splices: what one document's bytes have to become another's. Rule F-37.
//!
//! Bytes are spliced and not members or items, so that what a log means depends on no code that knows JSON: whoever folds
//! or reads it copies bytes.
//!
//! Invariants:
//! - Splices that [`between`] makes turn the one into the other, bit for bit; [`composed`] ones do what both do, one after
//!   the other.
//! - Nothing here allocates by a number that it reads: a result is as long as the bytes that went in.

use alloc::vec::Vec;
use core::fmt;

use crate::log::{
    varint::{self, Malformed, Reader},
    wide,
};

/// How far behind a difference the same bytes are looked for, in both.
const SHIFT_BYTES_MAX: usize = 64;
/// So many equal bytes are the same place. A chance hit costs bytes and nothing else.
const ANCHOR_BYTES: usize = 16;
/// From so many splices on the rest is one: each is looked for among the bytes around it, which takes its time.
const SPLICES_MAX: usize = 64;

/// One step: so many bytes stay, so many go, and these come in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice<'a> {
    /// How many bytes stay, behind those that the splice before left or put there.
    pub kept: u64,
    /// How many bytes behind them go.
    pub removed: u64,
    /// What comes in their place.
    pub added: &'a [u8],
}

/// Why splices could not be read or applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSplices {
    /// The bytes are no numbers, or end too early.
    Malformed(Malformed),
    /// There is none, one of them changes nothing, or one should have been one with that before it.
    NotCanonical,
    /// They keep or remove more bytes than there are.
    OutOfRange,
}

impl From<Malformed> for BadSplices {
    fn from(malformed: Malformed) -> Self {
        BadSplices::Malformed(malformed)
    }
}

impl fmt::Display for BadSplices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadSplices::Malformed(malformed) => malformed.fmt(f),
            BadSplices::NotCanonical => f.write_str("a splice changes nothing, or should be part of the one before it"),
            BadSplices::OutOfRange => f.write_str("the splices keep or remove more bytes than there are"),
        }
    }
}

/// Reads splices one by one. Nothing here panics, whatever the bytes are.
#[derive(Clone, Debug)]
pub struct Splices<'a> {
    reader: Reader<'a>,
    is_first: bool,
}

impl<'a> Splices<'a> {
    /// The splices in these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Splices { reader: Reader::new(bytes), is_first: true }
    }

    fn read(&mut self) -> Result<Splice<'a>, BadSplices> {
        let (kept, removed) = (self.reader.varint()?, self.reader.varint()?);
        let added = self.reader.length_and_bytes()?;
        let is_first = core::mem::take(&mut self.is_first);
        if (kept == 0 && !is_first) || (removed == 0 && added.is_empty()) {
            return Err(BadSplices::NotCanonical);
        }
        Ok(Splice { kept, removed, added })
    }
}

impl<'a> Iterator for Splices<'a> {
    type Item = Result<Splice<'a>, BadSplices>;

    /// The next splice; none behind an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let splice = self.read();
        if splice.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(splice)
    }
}

/// Fails where the bytes are no splices, whatever they would be applied to.
pub(crate) fn check(splices: &[u8]) -> Result<(), BadSplices> {
    if splices.is_empty() {
        return Err(BadSplices::NotCanonical);
    }
    Splices::new(splices).try_for_each(|splice| splice.map(|_| ()))
}

/// What the splices make of `old`.
pub(crate) fn apply(old: &[u8], splices: &[u8]) -> Result<Vec<u8>, BadSplices> {
    let mut new = Vec::with_capacity(old.len().saturating_add(splices.len()));
    let mut rest = old;
    let take = |rest: &mut &[u8], count: u64| -> Result<usize, BadSplices> {
        usize::try_from(count).ok().filter(|count| *count <= rest.len()).ok_or(BadSplices::OutOfRange)
    };
    for splice in Splices::new(splices) {
        let splice = splice?;
        let kept = take(&mut rest, splice.kept)?;
        let (stays, behind) = rest.split_at(kept);
        new.extend_from_slice(stays);
        rest = behind;
        let removed = take(&mut rest, splice.removed)?;
        rest = rest.get(removed..).unwrap_or_default();
        new.extend_from_slice(splice.added);
    }
    new.extend_from_slice(rest);
    Ok(new)
}

/// The splices that make `new` of `old`; `None` where they are equal, or where this would take more than `bytes_max`.
///
/// Cost: one pass over both. Small differences are found one by one, and everything from a large one up to what both end
/// with is one splice: that is what becomes of an item that is appended to a list, of a member that is set, of a number
/// that is counted up.
pub(crate) fn between(old: &[u8], new: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let suffix = common_suffix(old, new);
    let (mut old, mut new) = (old.get(..old.len() - suffix)?, new.get(..new.len() - suffix)?);
    let (mut writer, mut count) = (SpliceWriter::default(), 0);
    loop {
        let prefix = common_prefix(old, new);
        writer.keep(wide(prefix));
        (old, new) = (old.get(prefix..)?, new.get(prefix..)?);
        if old.is_empty() && new.is_empty() {
            break;
        }
        let (removed, added) = match resume(old, new) {
            Some(shift) if count + 1 < SPLICES_MAX => shift,
            _ => (old.len(), new.len()),
        };
        writer.remove(wide(removed));
        writer.add(new.get(..added)?);
        (old, new) = (old.get(removed..)?, new.get(added..)?);
        count += 1;
        if writer.len() > bytes_max {
            return None;
        }
    }
    Some(writer.finish()).filter(|splices| !splices.is_empty())
}

/// How many bytes of each lie before the next place that both have; `None` where there is none nearby.
fn resume(old: &[u8], new: &[u8]) -> Option<(usize, usize)> {
    fn anchor(bytes: &[u8], at: usize) -> Option<&[u8]> {
        bytes.get(at..at + ANCHOR_BYTES)
    }
    (1..=2 * SHIFT_BYTES_MAX).find_map(|total| {
        let mut shifts = total.saturating_sub(SHIFT_BYTES_MAX)..=total.min(SHIFT_BYTES_MAX);
        let removed = shifts.find(|removed| {
            let there = anchor(old, *removed);
            there.is_some() && there == anchor(new, total - removed)
        });
        removed.map(|removed| (removed, total - removed))
    })
}

/// One sequence of splices that does what `first` and then `second` do. Cost: the bytes of both.
pub(crate) fn composed(first: &[u8], second: &[u8]) -> Result<Vec<u8>, BadSplices> {
    let (mut first, mut second) = (Steps::new(first)?, Steps::new(second)?);
    let mut writer = SpliceWriter::default();
    loop {
        match (first.step, second.step) {
            (Some(Step::Remove(count)), _) => {
                writer.remove(count);
                first.advance(count)?;
            }
            (_, Some(Step::Add(bytes))) => {
                writer.add(bytes);
                second.advance(wide(bytes.len()))?;
            }
            // Behind its last splice each keeps whatever there is.
            (None, None) => return Ok(writer.finish()),
            (Some(step), None) => {
                writer.step(step);
                first.advance(step.len())?;
            }
            (None, Some(step)) => {
                writer.step(step);
                second.advance(step.len())?;
            }
            (Some(made), Some(taken)) => {
                let count = made.len().min(taken.len());
                match (made, taken) {
                    (Step::Add(bytes), Step::Keep(_)) => writer.add(front(bytes, count)),
                    (Step::Add(_), _) => {}
                    (_, Step::Keep(_)) => writer.keep(count),
                    _ => writer.remove(count),
                }
                first.advance(count)?;
                second.advance(count)?;
            }
        }
    }
}

/// A third of a splice.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Keep(u64),
    Remove(u64),
    Add(&'a [u8]),
}

impl<'a> Step<'a> {
    fn len(self) -> u64 {
        match self {
            Step::Keep(count) | Step::Remove(count) => count,
            Step::Add(bytes) => wide(bytes.len()),
        }
    }

    /// What is left of it behind `count`; `None` for nothing.
    fn behind(self, count: u64) -> Option<Self> {
        let left = self.len().checked_sub(count).filter(|left| *left > 0)?;
        Some(match self {
            Step::Keep(_) => Step::Keep(left),
            Step::Remove(_) => Step::Remove(left),
            Step::Add(bytes) => Step::Add(bytes.get(front(bytes, count).len()..).unwrap_or_default()),
        })
    }
}

/// Splices step by step, of which parts can be taken.
struct Steps<'a> {
    splices: Splices<'a>,
    step: Option<Step<'a>>,
    /// What comes behind it in the same splice.
    later: [Option<Step<'a>>; 2],
}

impl<'a> Steps<'a> {
    fn new(splices: &'a [u8]) -> Result<Self, BadSplices> {
        let mut steps = Steps { splices: Splices::new(splices), step: None, later: [None, None] };
        steps.advance(0)?;
        Ok(steps)
    }

    /// Goes past `count` bytes of the step.
    fn advance(&mut self, count: u64) -> Result<(), BadSplices> {
        self.step = self.step.and_then(|step| step.behind(count));
        while self.step.is_none() {
            let [next, last] = core::mem::take(&mut self.later);
            if next.is_some() || last.is_some() {
                self.step = next;
                self.later = [last, None];
                continue;
            }
            let Some(splice) = self.splices.next() else { return Ok(()) };
            let Splice { kept, removed, added } = splice?;
            let present = |step: Step<'a>| Some(step).filter(|step| step.len() > 0);
            self.step = present(Step::Keep(kept));
            self.later = [present(Step::Remove(removed)), present(Step::Add(added))];
        }
        Ok(())
    }
}

/// Writes splices in their only form: what goes and what comes between two bytes that stay is one splice.
#[derive(Default)]
struct SpliceWriter {
    out: Vec<u8>,
    kept: u64,
    removed: u64,
    added: Vec<u8>,
}

impl SpliceWriter {
    fn keep(&mut self, count: u64) {
        if count == 0 {
            return;
        }
        self.flush();
        self.kept = self.kept.saturating_add(count);
    }

    fn remove(&mut self, count: u64) {
        self.removed = self.removed.saturating_add(count);
    }

    fn add(&mut self, bytes: &[u8]) {
        self.added.extend_from_slice(bytes);
    }

    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Keep(count) => self.keep(count),
            Step::Remove(count) => self.remove(count),
            Step::Add(bytes) => self.add(bytes),
        }
    }

    /// How many bytes there are so far, about.
    fn len(&self) -> usize {
        self.out.len() + self.added.len()
    }

    fn flush(&mut self) {
        if self.removed == 0 && self.added.is_empty() {
            return;
        }
        varint::write(&mut self.out, core::mem::take(&mut self.kept));
        varint::write(&mut self.out, core::mem::take(&mut self.removed));
        varint::write(&mut self.out, wide(self.added.len()));
        self.out.append(&mut self.added);
    }

    fn finish(mut self) -> Vec<u8> {
        self.flush();
        self.out
    }
}

fn front(bytes: &[u8], count: u64) -> &[u8] {
    usize::try_from(count).ok().and_then(|count| bytes.get(..count)).unwrap_or(bytes)
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    // Blocks first: comparing them is several times as quick as comparing bytes.
    const BLOCK: usize = 64;
    let blocks = one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK)).take_while(|(one, other)| one == other).count();
    let at = blocks * BLOCK;
    let rest = one.iter().skip(at).zip(other.iter().skip(at));
    at + rest.take_while(|(one, other)| one == other).count()
}

fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks =
        one.rchunks_exact(BLOCK).zip(other.rchunks_exact(BLOCK)).take_while(|(one, other)| one == other).count();
    let at = blocks * BLOCK;
    let rest = one.iter().rev().skip(at).zip(other.iter().rev().skip(at));
    at + rest.take_while(|(one, other)| one == other).count()
}
