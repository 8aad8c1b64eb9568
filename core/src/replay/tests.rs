//! What a replay reads, counted: how much, how often, and how much at a time.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use super::{Together, history::for_each_transaction, replay};
use crate::{
    Db, Durability, Error, Options, Result, RunId, RunOptions,
    host::SteppedHost,
    log::{LogPosition, SEGMENT_HEADER_BYTES, segment_name},
    state::{DEFAULT_SPACE, Source, SpaceNumber},
    storage::MemStorage,
    tree::{KeyRange, PageRef, PageSource},
};

/// The segments of a log, and what was asked of them.
#[derive(Default)]
struct Counting {
    segments: BTreeMap<u64, Vec<u8>>,
    /// How often each byte was read that is not of a header, by segment.
    reads: RefCell<BTreeMap<u64, Vec<u8>>>,
    calls: Cell<u64>,
    bytes: Cell<u64>,
    largest: Cell<usize>,
    lengths: Cell<u64>,
    /// Whether nothing is with the storage, as the newest frames of a store that is open.
    knows_no_length: bool,
}

impl PageSource for Counting {
    fn page(&self, _: &PageRef) -> Result<Vec<u8>> {
        Err(Error::NotFound { what: "page", name: String::new() })
    }
}

impl Source for Counting {
    fn log_bytes(&self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        let missing = || Error::NotFound { what: "bytes", name: segment_name(segment) };
        let start = usize::try_from(offset).unwrap();
        let bytes = self.segments.get(&segment).and_then(|bytes| bytes.get(start..start + len)).ok_or_else(missing)?;
        if offset >= SEGMENT_HEADER_BYTES {
            self.calls.set(self.calls.get() + 1);
            self.bytes.set(self.bytes.get() + len as u64);
            self.largest.set(self.largest.get().max(len));
            let mut reads = self.reads.borrow_mut();
            let reads = reads.entry(segment).or_insert_with(|| vec![0; self.segments[&segment].len()]);
            reads[start..start + len].iter_mut().for_each(|count| *count = count.saturating_add(1));
        }
        Ok(bytes.to_vec())
    }

    fn log_len(&self, segment: u64) -> Result<u64> {
        self.lengths.set(self.lengths.get() + 1);
        Ok(if self.knows_no_length { 0 } else { self.segments.get(&segment).map_or(0, |bytes| bytes.len() as u64) })
    }
}

impl Counting {
    /// The log of a store, without the room that is reserved behind it.
    fn of(storage: &MemStorage) -> Self {
        let files = storage.files();
        let number = |name: &str| crate::log::parse_segment_name(name);
        let used = |bytes: Vec<u8>| crate::log::without_zeros_behind(&bytes).to_vec();
        let padded = |mut bytes: Vec<u8>| {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes
        };
        let segments = files.into_iter().filter_map(|(name, bytes)| Some((number(&name)?, padded(used(bytes)))));
        Counting { segments: segments.collect(), ..Counting::default() }
    }

    fn len(&self) -> u64 {
        self.segments.values().map(|bytes| bytes.len() as u64).sum()
    }

    /// The most often that a byte was read.
    fn most_reads(&self) -> u8 {
        self.reads.borrow().values().flatten().copied().max().unwrap_or(0)
    }
}

fn store(options: Options) -> (MemStorage, Db<MemStorage>) {
    let storage = MemStorage::new();
    let options = options.snapshot_log_bytes(None).durability(Durability::buffered());
    let db = Db::open(storage.clone(), Arc::new(SteppedHost::new(3)), options).unwrap();
    (storage, db)
}

/// Number and newest transaction of a run, or of the default space.
fn end_of(db: &Db<MemStorage>, run: Option<RunId>) -> (SpaceNumber, Option<LogPosition>) {
    let view = db.view();
    let number = run.map_or(DEFAULT_SPACE, |run| view.folded().number(run).unwrap());
    (number, view.folded().space(number).unwrap().last_position)
}

/// Whether the replay is what the store has.
fn is_live(db: &Db<MemStorage>, space: SpaceNumber, newest: Option<LogPosition>, source: &dyn Source) {
    let replayed = replay(space, newest, u64::MAX, source).unwrap();
    let view = db.view();
    let live = view.folded().space(space).unwrap();
    assert_eq!(replayed.transactions, live.commits());
    let again = replayed.state.space(space).unwrap();
    let mut differs = false;
    live.tree()
        .diff(again.tree(), &KeyRange::all(), source, &mut |_, _, _| {
            differs = true;
            ControlFlow::Break(())
        })
        .unwrap();
    assert!(!differs && live.tree().len() == again.tree().len());
}

/// Every transaction of a history was in memory before the first was folded: what was larger than memory could not be
/// verified.
#[test]
fn a_long_history_is_read_twice_in_windows_and_never_held() {
    let (storage, db) = store(Options::new().segment_bytes(1 << 20));
    for number in 0..40_000_u32 {
        db.kv().put("key", vec![number.to_le_bytes()[0]; 100]).unwrap();
    }
    db.sync().unwrap();
    let (space, newest) = end_of(&db, None);
    let source = Counting::of(&storage);
    is_live(&db, space, newest, &source);
    assert!(source.len() > 5 << 20, "{}", source.len());
    assert!(source.largest.get() <= (256 << 10) + 4096, "{} bytes in one read", source.largest.get());
    // Back and forth; a frame at the border of two windows once more.
    assert!(source.bytes.get() <= source.len() * 205 / 100, "{} of {}", source.bytes.get(), source.len());
    assert!(source.most_reads() <= 4);
    // The segment's header and length once on each way.
    let segments = source.segments.len() as u64;
    assert!(segments > 5 && source.lengths.get() <= 2 * segments, "{}", source.lengths.get());
    assert!(source.calls.get() <= 2 * (source.len() / (256 << 10) + 12 * segments), "{} reads", source.calls.get());
}

/// 256 KiB were read for each record of a run whose records lie far apart.
#[test]
fn what_is_read_for_a_run_is_in_proportion_to_the_run() {
    let (storage, db) = store(Options::new());
    let run = db.runs().begin(RunOptions::named("scattered")).unwrap();
    for number in 0..100_u8 {
        run.kv().put("key", vec![number; 100]).unwrap();
        for other in 0..4_u8 {
            db.kv().put([other], vec![number; 20_000]).unwrap();
        }
    }
    db.sync().unwrap();
    let (space, newest) = end_of(&db, Some(run.id()));
    let source = Counting::of(&storage);
    is_live(&db, space, newest, &source);
    assert!(source.bytes.get() <= 101 * 2 * 4096, "{} bytes", source.bytes.get());
    assert!(source.calls.get() <= 101 * 2, "{} reads", source.calls.get());
}

#[test]
fn large_transactions_are_read_one_by_one_and_parts_with_them() {
    let (storage, db) = store(Options::new().part_bytes(50_000));
    let run = db.runs().begin(RunOptions::named("large")).unwrap();
    for number in 0..6_u8 {
        run.kv().put("key", vec![number; 300_000]).unwrap();
        // The run comes in the last part only.
        db.transaction(|tx| {
            for other in 0..5_u8 {
                tx.kv().put([other], vec![number; 30_000])?;
            }
            tx.run(run.id())?.kv().put("small", number)
        })
        .unwrap();
    }
    db.sync().unwrap();
    let (space, newest) = end_of(&db, Some(run.id()));
    let source = Counting::of(&storage);
    is_live(&db, space, newest, &source);
    // A part in which the run comes first: on the way back, for the way further back, and forth; each time its length first.
    assert!(source.most_reads() <= 6, "{}", source.most_reads());
    assert!(source.bytes.get() <= source.len() * 3, "{} of {}", source.bytes.get(), source.len());
    assert!(source.largest.get() < 400_000);
}

#[test]
fn frames_that_are_not_with_the_storage_yet_are_found_all_the_same() {
    let (storage, db) = store(Options::new().segment_bytes(64 << 10));
    for number in 0..2000_u32 {
        db.kv().put(number.to_le_bytes(), vec![1; 60]).unwrap();
    }
    db.sync().unwrap();
    let (space, newest) = end_of(&db, None);
    let source = Counting { knows_no_length: true, ..Counting::of(&storage) };
    is_live(&db, space, newest, &source);
}

#[test]
fn a_history_ends_where_it_is_told_to() {
    let (storage, db) = store(Options::new());
    for number in 0..50 {
        db.kv().put("key", number).unwrap();
    }
    db.sync().unwrap();
    let (space, newest) = end_of(&db, None);
    let source = Counting::of(&storage);
    for until in [0, 1, 17, 50, 60] {
        assert_eq!(replay(space, newest, until, &source).unwrap().transactions, until.min(50));
    }
    let mut seqs = Vec::new();
    for_each_transaction(&source, space, newest, &mut |transaction| {
        seqs.extend(transaction.frames.iter().map(|frame| frame.header().seq));
        Ok(if seqs.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .unwrap();
    assert_eq!(seqs, [1, 2, 3]);
}

/// One transaction over 800 runs was read 800 times.
#[test]
fn spaces_that_are_replayed_together_are_what_each_comes_to_alone() {
    let (storage, db) = store(Options::new());
    let runs: Vec<_> = (0..20).map(|_| db.runs().begin(RunOptions::named("run")).unwrap()).collect();
    db.runs().delete(runs[4].id()).unwrap();
    for number in 0..30_u8 {
        db.transaction(|tx| {
            for (at, run) in runs.iter().enumerate().filter(|(at, _)| *at != 4) {
                let run = tx.run(run.id())?;
                run.kv().put([number % 7], vec![number; 40 * (at + 1)])?;
                run.events().append("stream", "kind", number)?;
            }
            tx.kv().put("last", number)
        })
        .unwrap();
    }
    db.sync().unwrap();
    let view = db.view();
    let state = view.folded();
    let spaces: Vec<SpaceNumber> = core::iter::once(DEFAULT_SPACE).chain(state.run_numbers()).collect();
    let mut together = Together::new(spaces.iter().copied().filter(|space| *space != 7).collect(), state.seq());
    let still = MemStorage::from_files(storage.files());
    crate::recovery::verify_log_with(&still, &mut |_| ControlFlow::Continue(()), &mut |transaction| {
        together.fold(transaction).unwrap();
    })
    .unwrap();
    let source = Counting::of(&storage);
    for space in spaces {
        let Some(replayed) = together.take(space) else {
            assert_eq!(space, 7, "that one was left out");
            continue;
        };
        let newest = state.space(space).unwrap().last_position;
        let alone = replay(space, newest, u64::MAX, &source).unwrap();
        let alone = alone.state.space(space).unwrap();
        assert_eq!(replayed.commits(), alone.commits());
        replayed
            .tree()
            .diff(alone.tree(), &KeyRange::all(), &source, &mut |key, _, _| panic!("{key:?} differs in {space}"))
            .unwrap();
        assert!(together.take(space).is_none(), "it is given out once");
    }
}

/// It took a second and a half for 800 runs, because each of them was followed by itself.
#[test]
fn a_transaction_over_many_runs_is_read_once_when_the_store_is_verified() {
    let (_, db) = store(Options::new());
    let runs: Vec<_> = (0..100).map(|_| db.runs().begin(RunOptions::named("run")).unwrap()).collect();
    db.transaction(|tx| {
        for run in &runs {
            for number in 0..100_u8 {
                tx.run(run.id())?.kv().put([number], vec![number; 200])?;
            }
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    let mut asked = BTreeMap::new();
    let report = db
        .verify(&mut |progress| {
            *asked.entry(progress.phase).or_insert(0) += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.spaces, report.entries, report.transactions), (101, 10_000, 200));
    // Whoever waits is asked before each space, and once for each MiB that is read: the transaction has two of them.
    assert!(asked["replaying"] <= 101 + 6, "{asked:?}");
}
