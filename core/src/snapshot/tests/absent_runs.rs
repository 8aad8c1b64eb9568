//! Runs that a snapshot has and nobody asked for, beside runs that came after it.

use core::ops::{Bound, RangeBounds};

use proptest::prelude::*;

use super::*;

/// What happens to the runs of a store that was opened from a snapshot.
#[derive(Clone, Debug)]
enum Step {
    Begin,
    /// The run at this place of those there are.
    Change(usize),
    Remove(usize),
    /// Builds it, so that it is there twice.
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Begin),
        any::<usize>().prop_map(Step::Change),
        any::<usize>().prop_map(Step::Remove),
        any::<usize>().prop_map(Step::Read),
    ]
}

/// A state with this many runs, every third ended, ids in another order than numbers.
fn with_runs(count: u32) -> State {
    let mut state = State { seq: 9, ..State::new() };
    for number in 1..=count {
        let mut run = run(number, tree("\x10", u64::from(number % 3)));
        let record = Arc::make_mut(&mut run.record);
        record.id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
        record.ended = (number % 3 == 0).then_some(Ended { how: Ending::Completed, micros: 1, message: None });
        add_run(&mut state, run);
    }
    state
}

fn opened(state: &State) -> State {
    let (opened, _) = open(&file_of(&bytes_of(state)), &snapshot_name(1)).unwrap();
    opened
}

/// Compares with the runs as they must be, by number.
fn assert_runs(state: &State, expected: &BTreeMap<u32, Run>) {
    assert_eq!(state.run_count(), expected.len());
    assert!(state.run_numbers().eq(expected.keys().copied()));
    assert!(state.run_numbers().rev().eq(expected.keys().rev().copied()));
    for (start, end) in [(Bound::Included(2), Bound::Excluded(5)), (Bound::Excluded(3), Bound::Unbounded)] {
        let between = expected.keys().copied().filter(|number| (start, end).contains(number));
        assert!(state.run_numbers_between(start, end).eq(between));
    }
    for (number, run) in state.runs.iter() {
        assert_eq!(run.record, expected[&number].record);
        assert_eq!(run.space.tree.len(), expected[&number].space.tree.len());
    }
    let orphans = expected.values().filter(|run| run.record.ended.is_none()).map(|run| run.record.id());
    assert!(state.runs.orphans(10).into_iter().eq(orphans));
    assert_eq!(state.runs.orphans(9), []);
    for run in expected.values() {
        let number = state.number(run.record.id()).unwrap();
        assert_eq!(expected[&number].record.id, run.record.id);
    }
}

proptest! {
    #![proptest_config(crate::value::tests::seeded(60))]

    #[test]
    fn runs_of_a_snapshot_and_runs_since_are_one_list(
        count in 0..8_u32,
        steps in prop::collection::vec(step(), 0..24),
    ) {
        let written = with_runs(count);
        let mut state = opened(&written);
        let mut expected: BTreeMap<u32, Run> =
            written.runs.iter().map(|(number, run)| (number, Run::clone(&run))).collect();
        let mut gone = Vec::new();
        let before = (state.clone(), expected.clone());
        for step in steps {
            let at = |place: usize, runs: &BTreeMap<u32, Run>| runs.keys().nth(place % runs.len().max(1)).copied();
            match step {
                Step::Begin => {
                    let number = state.next_number;
                    expected.insert(number, run(number, Tree::new()));
                    add_run(&mut state, run(number, Tree::new()));
                }
                Step::Change(place) => {
                    let Some(number) = at(place, &expected) else { continue };
                    for run in [state.runs.get_mut(number).unwrap(), expected.get_mut(&number).unwrap()] {
                        Arc::make_mut(&mut run.record).began.name.push('!');
                    }
                }
                Step::Remove(place) => {
                    let Some(number) = at(place, &expected) else { continue };
                    state.runs.remove(number);
                    gone.extend(expected.remove(&number).map(|run| (number, run.record.id())));
                }
                Step::Read(place) => {
                    let Some(number) = at(place, &expected) else { continue };
                    prop_assert_eq!(&state.runs.get(number).unwrap().record, &expected[&number].record);
                }
            }
            assert_runs(&state, &expected);
            for (number, id) in &gone {
                prop_assert!(state.run(*number).is_none() && state.runs.look(*number).is_none());
                prop_assert_eq!(state.number(*id), Err(Error::UnknownRun(*id)));
            }
        }
        assert_runs(&before.0, &before.1);
        let source = Snapshots(MemStorage::from_files([(snapshot_name(1), bytes_of(&written))]));
        let again = MemStorage::new();
        snapshot(&again, &state, 2, &source);
        let (read, _) = open(&again.open(&snapshot_name(2)).unwrap(), &snapshot_name(2)).unwrap();
        assert_same(&state, &source, &read, &Snapshots(again));
    }
}
