//! Every schedule, and every order in which memory may show what was written, of the protocols that work without the lock of
//! the store. Built with `--cfg foldb_loom` alone: `cargo xtask schedules` runs them.
//!
//! Invariant: a model uses the store's own types; what it adds is a device, and whoever calls. For each protocol there is also
//! a model that has to fail, with a defect switched on or a rule left out: a model that cannot fail proves nothing.

use alloc::sync::Arc;
use std::vec::Vec;

use loom::{
    model::Builder,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{
    Db, Durability, Options,
    handed_over::HandedOver,
    published::{Published, Version},
};
use crate::{
    host::SteppedHost,
    planted::{Planted, activate},
    storage::MemStorage,
};

/// Something that holds, or must not, in every schedule.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// What holds, as a sentence.
    pub name: &'static str,
    /// Looks at every schedule. It panics where something does not hold.
    pub run: fn(),
    /// Where the model has to fail: what it then says.
    pub fails_with: Option<&'static str>,
}

const fn holds(name: &'static str, run: fn()) -> Model {
    Model { name, run, fails_with: None }
}

const fn fails(name: &'static str, run: fn(), with: &'static str) -> Model {
    Model { name, run, fails_with: Some(with) }
}

/// All of them.
pub const MODELS: &[Model] = &[
    holds("what is said to be with the storage was written before", || ask_while_the_log_goes_on(write_and_rotate)),
    fails(
        "what is said before it is written is noticed",
        || ask_while_the_log_goes_on(say_and_write),
        "segment 1 is said to be written",
    ),
    holds("the end of a segment is its own when asked for under the lock", || ask_for_the_end(true)),
    // What the store did until its schedules were explored: a replay at a rotation could be told the end of another
    // segment, and take the log for damaged.
    fails(
        "the end of a segment can be that of another without the lock",
        || ask_for_the_end(false),
        "segment 1 never ended at",
    ),
    holds("a reader beside strict commits sees durable ones, in order", read_beside_strict_commits),
    holds("a reader beside both sorts of commits misses nothing that it was told", read_beside_both_sorts),
    fails(
        "a reader that takes what was published last is noticed",
        || with_defect(Planted::StaleStateServed, read_beside_both_sorts),
        "whoever committed reads it",
    ),
    holds("of two that fill a cell one wins, and both see the same page", crate::tree::fill_a_page_cell_twice),
    holds("two strict committers of a whole store never miss a wake-up", two_strict_committers),
    fails(
        "a wake-up that is forgotten is noticed",
        || with_defect(Planted::WakeForgotten, two_strict_committers),
        "deadlock",
    ),
];

/// Switches a defect on; it stays on where the model fails, until the next one is switched.
fn with_defect(defect: Planted, run: fn()) {
    activate(Some(defect));
    run();
}

/// Everything with up to so many moments in which a thread is stopped though it could go on. Nearly every bug of this sort
/// that anybody has met needs no more than two.
fn bounded(preemptions: usize) -> Builder {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder
}

/// The files of two segments, by how many bytes were written to each; and what is said about them.
struct Log {
    written: [AtomicU64; 2],
    handed_over: HandedOver,
    lock: Mutex<()>,
}

impl Log {
    /// A log whose first segment has ten bytes.
    fn new() -> Arc<Self> {
        let log = Log {
            written: [AtomicU64::new(10), AtomicU64::new(0)],
            handed_over: HandedOver::everything(),
            lock: Mutex::new(()),
        };
        log.handed_over.advance(1, 10);
        Arc::new(log)
    }

    /// The bytes themselves need no order of their own: saying so publishes them.
    fn write(&self, segment: u64, len: u64) {
        self.written[segment as usize - 1].store(len, Ordering::Relaxed);
    }

    fn has(&self, segment: u64, end: u64) {
        if self.handed_over.has(segment, end) {
            let written = self.written[segment as usize - 1].load(Ordering::Relaxed);
            assert!(written >= end, "segment {segment} is said to be written up to {end}, and is up to {written}");
        }
    }
}

/// Fills the first segment and goes on in the second.
fn write_and_rotate(log: &Log) {
    log.write(1, 20);
    log.handed_over.advance(1, 20);
    {
        let _lock = log.lock.lock().unwrap();
        log.write(2, 4);
        log.handed_over.advance(2, 4);
    }
    log.write(2, 30);
    log.handed_over.advance(2, 30);
}

/// The wrong way round.
fn say_and_write(log: &Log) {
    log.handed_over.advance(1, 20);
    log.write(1, 20);
}

fn ask_while_the_log_goes_on(write: fn(&Log)) {
    loom::model(move || {
        let log = Log::new();
        let writer = thread::spawn({
            let log = Arc::clone(&log);
            move || write(&log)
        });
        log.has(2, 15);
        log.has(1, 20);
        log.has(2, 30);
        writer.join().unwrap();
        log.has(2, 30);
        assert!(log.handed_over.has(1, 20), "in the end everything is there");
    });
}

fn ask_for_the_end(under_the_lock: bool) {
    loom::model(move || {
        let log = Log::new();
        let writer = thread::spawn({
            let log = Arc::clone(&log);
            move || write_and_rotate(&log)
        });
        let lock = under_the_lock.then(|| log.lock.lock().unwrap());
        let end = log.handed_over.end(1);
        drop(lock);
        assert!(matches!(end, None | Some(10 | 20)), "segment 1 never ended at {end:?}");
        writer.join().unwrap();
    });
}

/// A state that is nothing but its seq.
#[derive(Clone, Copy)]
struct Numbered(u64);

impl Version for Numbered {
    fn seq(&self) -> u64 {
        self.0
    }
}

/// What readers see, and what a commit goes through.
struct Store {
    published: Published<Numbered>,
    core: Mutex<Core>,
    /// What the device has.
    device: AtomicU64,
}

struct Core {
    working: Numbered,
    durable: u64,
    strict: u64,
}

impl Store {
    fn new() -> Arc<Self> {
        let core = Core { working: Numbered(0), durable: 0, strict: 0 };
        Arc::new(Store { published: Published::new(0), core: Mutex::new(core), device: AtomicU64::new(0) })
    }

    /// As `Shared::commit` and `Shared::flush` do it, with one leader.
    fn commit_strict(&self) {
        let state = {
            let mut core = self.core.lock().unwrap();
            self.published.before_commit(&core.working, true);
            core.working.0 += 1;
            core.strict = core.working.0;
            core.working
        };
        self.device.store(state.0, Ordering::Relaxed);
        let mut core = self.core.lock().unwrap();
        core.durable = state.0;
        if core.strict > core.durable {
            self.published.show_version(state);
        } else if core.working.0 == core.durable {
            self.published.show_published(&core.working);
        } else {
            self.published.show(&core.working);
        }
    }

    fn commit_buffered(&self) -> Option<u64> {
        let mut core = self.core.lock().unwrap();
        self.published.before_commit(&core.working, false);
        core.working.0 += 1;
        let shows = core.strict <= core.durable;
        if shows {
            self.published.show(&core.working);
        }
        shows.then_some(core.working.0)
    }

    /// As `Shared::with_state` does it.
    fn read(&self) -> u64 {
        let loaded = self.published.load();
        if let Some(state) = self.published.newest(&loaded) {
            return state.0;
        }
        let core = self.core.lock().unwrap();
        self.published.publish(&core.working).0
    }
}

fn read_beside_strict_commits() {
    bounded(4).check(|| {
        let store = Store::new();
        let writer = thread::spawn({
            let store = Arc::clone(&store);
            move || {
                for number in 1..=2 {
                    store.commit_strict();
                    assert!(store.read() >= number, "whoever committed reads it");
                }
            }
        });
        let mut last = 0;
        for _ in 0..2 {
            let seq = store.read();
            assert!(seq >= last, "from {last} back to {seq}");
            assert!(seq <= store.device.load(Ordering::Relaxed), "a reader sees what the device does not have");
            last = seq;
        }
        writer.join().unwrap();
    });
}

fn read_beside_both_sorts() {
    bounded(3).check(|| {
        let store = Store::new();
        let strict = thread::spawn({
            let store = Arc::clone(&store);
            move || {
                store.commit_strict();
                assert!(store.read() >= 1, "whoever committed reads it");
            }
        });
        let buffered = thread::spawn({
            let store = Arc::clone(&store);
            move || {
                if let Some(seq) = store.commit_buffered() {
                    assert!(store.read() >= seq, "what shows can be read");
                }
            }
        });
        let first = store.read();
        let second = store.read();
        assert!(second >= first, "from {first} back to {second}");
        strict.join().unwrap();
        buffered.join().unwrap();
        assert_eq!(store.read(), 2, "in the end everything shows");
    });
}

/// The real thing, as far as it can be exhausted.
fn two_strict_committers() {
    bounded(3).check(|| {
        let options = Options::new().durability(Durability::Strict).segment_bytes(4096);
        let db = Arc::new(Db::open(MemStorage::new(), Arc::new(SteppedHost::new(0)), options).unwrap());
        let threads: Vec<_> = (0..2_u64)
            .map(|number| {
                let db = Arc::clone(&db);
                thread::spawn(move || {
                    db.kv().put([number as u8], number).unwrap();
                    assert_eq!(db.kv().get([number as u8]), Ok(Some(number)));
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(db.durable_seq(), 2);
    });
}
