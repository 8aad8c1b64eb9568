//! Which items of two sequences stand for each other: by a longest common subsequence, in bounded time and memory.
//!
//! Invariants:
//! - What comes out leads through both sequences from their beginnings to their ends, and takes every item once.
//! - At most [`DISTANCE_MAX`] insertions and deletions are looked for. Sequences that are further apart are paired place by
//!   place between what they have in common at both ends: the cost is linear then, and what comes out is still true.

use alloc::{collections::BTreeMap, vec, vec::Vec};

/// How many insertions and deletions are looked for: the work is at most that times the length, and the memory 4 MiB.
pub(super) const DISTANCE_MAX: usize = 1000;

/// A step through both sequences, with the places of what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Both(usize, usize),
    Older(usize),
    Newer(usize),
}

/// Numbers for contents: equal ones have equal numbers, so that a comparison costs nothing.
pub(super) struct Classes<K>(BTreeMap<K, u32>);

impl<K: Ord> Classes<K> {
    pub(super) fn new() -> Self {
        Classes(BTreeMap::new())
    }

    pub(super) fn of(&mut self, content: K) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(content).or_insert(next)
    }
}

/// Aligns two sequences. `exact` are the classes of their items by all that counts, `alike` by what makes them the same step of
/// a program: between items that are equal, those that are alike stand for each other.
pub(super) fn align(exact: (&[u32], &[u32]), alike: (&[u32], &[u32])) -> Vec<Step> {
    let (mut steps, mut from) = (Vec::new(), (0, 0));
    for pair in common(exact.0, exact.1).into_iter().map(Some).chain([None]) {
        let (older, newer) = pair.unwrap_or((exact.0.len(), exact.1.len()));
        let gap = (alike.0.get(from.0..older).unwrap_or_default(), alike.1.get(from.1..newer).unwrap_or_default());
        fill(gap, from, &mut steps);
        if pair.is_some() {
            steps.push(Step::Both(older, newer));
        }
        from = (older + 1, newer + 1);
    }
    steps
}

/// The steps between two pairs of equal items.
fn fill((older, newer): (&[u32], &[u32]), from: (usize, usize), steps: &mut Vec<Step>) {
    let mut at = (0, 0);
    let pairs = common(older, newer);
    for pair in pairs.into_iter().map(Some).chain([None]) {
        let (until_older, until_newer) = pair.unwrap_or((older.len(), newer.len()));
        steps.extend((at.0..until_older).map(|place| Step::Older(from.0 + place)));
        steps.extend((at.1..until_newer).map(|place| Step::Newer(from.1 + place)));
        if let Some((older, newer)) = pair {
            steps.push(Step::Both(from.0 + older, from.1 + newer));
            at = (older + 1, newer + 1);
        }
    }
}

/// Pairs of equal items, as many as there can be, in order.
fn common(older: &[u32], newer: &[u32]) -> Vec<(usize, usize)> {
    let before = older.iter().zip(newer).take_while(|(older, newer)| older == newer).count();
    let (left, right) = (older.get(before..).unwrap_or_default(), newer.get(before..).unwrap_or_default());
    let behind = left.iter().rev().zip(right.iter().rev()).take_while(|(older, newer)| older == newer).count();
    let left = left.get(..left.len() - behind).unwrap_or_default();
    let right = right.get(..right.len() - behind).unwrap_or_default();
    let mut pairs: Vec<(usize, usize)> = (0..before).map(|place| (place, place)).collect();
    pairs.extend(between(left, right).into_iter().map(|(older, newer)| (before + older, before + newer)));
    let ends = (before + left.len(), before + right.len());
    pairs.extend((0..behind).map(|place| (ends.0 + place, ends.1 + place)));
    pairs
}

/// The same for what differs at both ends: the greedy algorithm of Myers ("An O(ND) Difference Algorithm and Its Variations",
/// 1986), which keeps how far each diagonal was reached with each number of edits.
fn between(older: &[u32], newer: &[u32]) -> Vec<(usize, usize)> {
    let most = (older.len() + newer.len()).min(DISTANCE_MAX);
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=most {
        // The diagonals -edits, 2 - edits, ..., edits: how much of the older sequence was taken.
        let mut reached = vec![0; edits + 1];
        for (at, reached) in reached.iter_mut().enumerate() {
            let (mut x, mut y) = match step_to(rounds.last(), edits, at) {
                Some((x, y, _)) => (x, y),
                None => (0, 0),
            };
            while x < older.len() && y < newer.len() && older.get(x) == newer.get(y) {
                (x, y) = (x + 1, y + 1);
            }
            *reached = x;
            if x >= older.len() && y >= newer.len() {
                return led_back(&rounds, edits, at, (older.len(), newer.len()));
            }
        }
        rounds.push(reached);
    }
    older.iter().zip(newer).enumerate().filter(|(_, (older, newer))| older == newer).map(|(at, _)| (at, at)).collect()
}

/// Where the diagonal `at` of a round begins, and which diagonal of the round before it comes from.
fn step_to(before: Option<&Vec<usize>>, edits: usize, at: usize) -> Option<(usize, usize, usize)> {
    let before = before?;
    // On diagonal k = 2 * at - edits is y = x - k.
    let y = |x: usize| (x + edits).saturating_sub(2 * at);
    let inserted = before.get(at).map(|x| (*x, y(*x), at));
    let deleted = at.checked_sub(1).and_then(|at| before.get(at).map(|x| (*x + 1, at)));
    let deleted = deleted.map(|(x, from)| (x, y(x), from));
    match (inserted, deleted) {
        (Some(inserted), Some(deleted)) => Some(if deleted.0 > inserted.0 { deleted } else { inserted }),
        (inserted, deleted) => inserted.or(deleted),
    }
}

/// The pairs on the way that led to an end in the round behind these.
fn led_back(rounds: &[Vec<usize>], edits: usize, at: usize, end: (usize, usize)) -> Vec<(usize, usize)> {
    let (mut pairs, mut at, mut end) = (Vec::new(), at, end);
    for edits in (0..=edits).rev() {
        let before = edits.checked_sub(1).and_then(|before| rounds.get(before));
        let (x, y, from) = step_to(before, edits, at).unwrap_or((0, 0, 0));
        while end.0 > x && end.1 > y {
            end = (end.0 - 1, end.1 - 1);
            pairs.push(end);
        }
        if let Some(before) = before.and_then(|before| before.get(from)) {
            // Round before: diagonal 2 * from - (edits - 1).
            end = (*before, (*before + edits).saturating_sub(1 + 2 * from));
        }
        at = from;
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many pairs as there can be, the slow way.
    fn longest(older: &[u32], newer: &[u32]) -> usize {
        let mut best = vec![vec![0; newer.len() + 1]; older.len() + 1];
        for (x, left) in older.iter().enumerate() {
            for (y, right) in newer.iter().enumerate() {
                best[x + 1][y + 1] = if left == right { best[x][y] + 1 } else { best[x][y + 1].max(best[x + 1][y]) };
            }
        }
        best[older.len()][newer.len()]
    }

    fn dice(seed: &mut u64, below: u64) -> u32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((*seed >> 33) % below).unwrap()
    }

    #[test]
    fn as_many_items_as_possible_stand_for_equal_ones_and_each_is_taken_once() {
        let mut seed = 7;
        for round in 0..3000 {
            let letters = 1 + u64::from(dice(&mut seed, 5));
            let mut sequence = || -> Vec<u32> {
                let len = dice(&mut seed, 12);
                (0..len).map(|_| dice(&mut seed, letters)).collect()
            };
            let (older, newer) = (sequence(), sequence());
            let pairs = common(&older, &newer);
            assert!(pairs.iter().all(|(x, y)| older[*x] == newer[*y]), "{round}");
            assert!(pairs.is_sorted_by(|left, right| left.0 < right.0 && left.1 < right.1), "{round}");
            assert_eq!(pairs.len(), longest(&older, &newer), "{round}: {older:?} {newer:?}");
            let alike = |items: &[u32]| items.iter().map(|item| item % 2).collect::<Vec<_>>();
            let steps = align((&older, &newer), (&alike(&older), &alike(&newer)));
            let (mut x, mut y) = (0, 0);
            for step in steps {
                let (expected, next) = match step {
                    Step::Both(..) => (Step::Both(x, y), (x + 1, y + 1)),
                    Step::Older(_) => (Step::Older(x), (x + 1, y)),
                    Step::Newer(_) => (Step::Newer(y), (x, y + 1)),
                };
                assert_eq!(step, expected, "{round}");
                (x, y) = next;
            }
            assert_eq!((x, y), (older.len(), newer.len()), "{round}");
        }
    }

    #[test]
    fn sequences_that_are_far_apart_are_paired_by_place_between_their_ends() {
        let older: Vec<u32> = (0..100_000).collect();
        let mut newer: Vec<u32> = older.iter().map(|item| item + 1_000_000).collect();
        newer[..10].copy_from_slice(&older[..10]);
        newer[50_000] = older[50_000];
        newer[99_990..].copy_from_slice(&older[99_990..]);
        assert_eq!(common(&older, &newer).len(), 21);
    }
}
