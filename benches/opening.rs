//! What opening a store takes, by what is in it and by what it has lived through.
//!
//! `cargo bench --bench opening` prints a table for `docs/performance.md`; with a number behind `--`, as in `-- 0.1`, so much of each
//! amount. The stores live below the target directory, or where `FOLDB_BENCH_DIR` says: it must be a real disk.
//!
//! Invariant: what is timed is opening and one read, with the files in the system's cache, as after a restart of the program. The median
//! of the openings counts, and no opening changes what the next one finds but for what every opening leaves behind.

use std::{
    env, fs,
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use foldb::{Durability, Options, RunOptions, Store};
use workload::{Keys, SEED, Values};

#[path = "directory/mod.rs"]
mod directory;
#[allow(dead_code, unreachable_pub, reason = "other programs use the same file, and other parts of it")]
#[path = "workload/mod.rs"]
mod workload;

/// Pairs in a transaction while a store is filled.
const BATCH: usize = 10_000;
/// Openings of which the median is told.
const OPENINGS: usize = 9;

fn main() {
    let share = share();
    let amount = |full: usize| (full * share / 1000).max(2);
    println!("{:<60} {:>10}", "opening after a clean close, with one read", "median");
    for pairs in [100_000, 1_000_000, 5_000_000] {
        let pairs = amount(pairs);
        print(&format!("{pairs} pairs of 20 and 100 bytes"), pairs_in_random_order(pairs));
    }
    for runs in [1_000, 10_000, 100_000] {
        let runs = amount(runs);
        print(&format!("{runs} runs of one pair each, half of them behind the snapshot"), many_runs(runs, runs / 2));
        print(&format!("{runs} runs of one pair each, in a snapshot"), many_runs(runs, runs));
    }
    for openings in [100, 1_000, 2_500] {
        let openings = amount(openings);
        print(&format!("{openings} openings with one commit each before"), many_openings(openings));
    }
    println!(
        "\n{:<60} {:>10} {:>10} {:>12}",
        "opening without a snapshot, of a log of", "median", "MiB", "ms for each"
    );
    let commits = amount(1_000_000);
    print_log(&format!("{commits} puts of new keys"), log_of(commits, commits));
    print_log(&format!("{commits} puts of 1000 keys"), log_of(commits, 1000));
    let events = amount(500_000);
    print_log(&format!("{events} events of 1 KiB"), log_of_events(events));
}

/// Thousandths of every amount. Everything runs on little under `cargo test --all-targets`.
fn share() -> usize {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return 1;
    }
    let wanted = arguments.iter().find_map(|argument| argument.parse::<f64>().ok()).unwrap_or(1.0);
    let thousandths = format!("{:.0}", wanted * 1000.0);
    thousandths.parse().unwrap_or(1000)
}

fn options() -> Options {
    Options::new().durability(Durability::buffered())
}

/// Fills a store and closes it.
fn filled(purpose: &str, options: Options, fill: impl FnOnce(&Store)) -> PathBuf {
    let path = directory::fresh("opening", purpose);
    let store = foldb::open_with(&path, options).expect("the store opens");
    fill(&store);
    store.close().expect("a clean close");
    path
}

/// The median of some openings, each with one read. The store is removed.
fn opened(path: &Path, options: fn() -> Options, read: impl Fn(&Store)) -> Duration {
    let mut times: Vec<Duration> = (0..OPENINGS)
        .map(|_| {
            let begin = Instant::now();
            let store = foldb::open_with(path, options()).expect("the store opens");
            read(&store);
            let time = begin.elapsed();
            drop(store);
            time
        })
        .collect();
    times.sort();
    fs::remove_dir_all(path).expect("the benchmark's own directory can be removed");
    times[OPENINGS / 2]
}

fn pairs_in_random_order(pairs: usize) -> Duration {
    let (keys, values) = (Keys::random(SEED, 1, pairs), Values::new(SEED));
    let path = filled("pairs", options(), |store| {
        for start in (0..pairs).step_by(BATCH) {
            let part: Range<usize> = start..(start + BATCH).min(pairs);
            store.kv().put_many(part.map(|at| (keys.get(at), values.of(keys.get(at))))).expect("a batch");
        }
    });
    opened(&path, options, |store| assert!(store.kv().exists(keys.get(pairs / 2)).expect("a read"), "lost a key"))
}

/// The first ones are in a snapshot, if the log did not ask for a later one by itself.
fn many_runs(runs: usize, in_snapshot: usize) -> Duration {
    let mut last = None;
    let path = filled("runs", options(), |store| {
        for number in 0..runs {
            let run = store.runs().begin(RunOptions::named(format!("run {number}"))).expect("a run");
            run.kv().put("key", "value").expect("a put");
            run.end().expect("an end");
            last = Some(run.id());
            if number + 1 == in_snapshot {
                store.snapshot().expect("a snapshot");
            }
        }
    });
    let last = last.expect("there are runs");
    opened(&path, options, |store| {
        let run = store.runs().get(last).expect("the run is there");
        assert!(run.kv().exists("key").expect("a read"), "lost a key");
    })
}

fn many_openings(openings: usize) -> Duration {
    let path = directory::fresh("opening", "openings");
    for number in 0..openings {
        let store = foldb::open_with(&path, Options::new()).expect("the store opens");
        store.kv().put("key", u64::try_from(number).expect("a usize fits")).expect("a put");
        store.close().expect("a clean close");
    }
    opened(&path, Options::new, |store| assert!(store.kv().exists("key").expect("a read"), "lost a key"))
}

fn without_snapshots() -> Options {
    options().snapshot_log_bytes(None).snapshot_on_close(false)
}

/// What the files of the log are together, in bytes.
fn log_bytes(path: &Path) -> u64 {
    let files = fs::read_dir(path).expect("the store can be listed");
    let files = files.map(|file| file.expect("the store can be listed"));
    let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("log-"));
    logs.map(|file| file.metadata().expect("the file is there").len()).sum()
}

fn log_of(commits: usize, distinct: usize) -> (Duration, u64) {
    let (keys, values) = (Keys::random(SEED, 3, distinct.min(commits)), Values::new(SEED));
    let path = filled("log", without_snapshots(), |store| {
        for number in 0..commits {
            let key = keys.get(number % keys.len());
            store.kv().put(key, values.of(key)).expect("a put");
        }
    });
    let bytes = log_bytes(&path);
    (opened(&path, without_snapshots, |store| assert!(store.kv().exists(keys.get(0)).expect("a read"))), bytes)
}

fn log_of_events(events: usize) -> (Duration, u64) {
    let values = Values::new(SEED);
    let path = filled("events", without_snapshots(), |store| {
        for number in 0..events {
            let payload = values.payload(u64::try_from(number).expect("a usize fits"), 1000);
            store.events().append("bench", "e", payload).expect("an event");
        }
    });
    let bytes = log_bytes(&path);
    let first = |store: &Store| assert!(store.events().get("bench", 1).expect("a read").is_some(), "lost an event");
    (opened(&path, without_snapshots, first), bytes)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn print(what: &str, time: Duration) {
    println!("{what:<60} {:>7.2} ms", milliseconds(time));
}

fn print_log(what: &str, (time, bytes): (Duration, u64)) {
    let mib = f64::from(u32::try_from(bytes >> 10).expect("less than 4 TiB")) / 1024.0;
    println!("{what:<60} {:>7.1} ms {mib:>10.1} {:>12.2}", milliseconds(time), milliseconds(time) / mib);
}
