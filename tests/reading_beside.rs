//! Two real processes on one store: one writes, rotates, snapshots and is killed; this one reads beside it.
//!
//! The child is this test program again, told by its environment what to do.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Lines},
    ops::ControlFlow,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::SystemTime,
};

use foldb::{Durability, ErrorKind, KeyRange, Options, RunOptions, RunStatus, Store};

const STORE: &str = "FOLDB_BESIDE_DIRECTORY";
/// So many commits of a child are enough to see it rotate and to see snapshots come and go.
const COMMITS: i64 = 600;

/// Not a test of its own: what the child does. It returns at once unless it was started as a child.
#[test]
fn the_child_writes_until_it_is_killed() {
    let Ok(directory) = env::var(STORE) else { return };
    let options =
        Options::new().durability(Durability::buffered()).segment_bytes(16 << 10).snapshot_log_bytes(Some(64 << 10));
    let db = foldb::open_with(directory, options).unwrap();
    let run = db.runs().begin(RunOptions::named("working")).unwrap();
    for number in 1.. {
        db.transaction(|tx| {
            let run = tx.run(run.id())?;
            let count = run.kv().get_or("count", 0_i64)? + 1;
            run.kv().put("count", count)?;
            run.kv().put(format!("n/{count}"), "x".repeat(200))?;
            run.events().append("numbers", "n", count).map(drop)
        })
        .unwrap();
        if number % 7 == 0 {
            db.sync().unwrap();
            println!("{number}");
        }
    }
}

struct Writer {
    child: Child,
    words: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_child_writes_until_it_is_killed", "--nocapture"])
            .env(STORE, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let words = BufReader::new(child.stdout.take().unwrap()).lines();
        Writer { child, words }
    }

    /// Waits for the next sync, and says how many commits it has.
    fn synced(&mut self) -> i64 {
        loop {
            let line = self.words.next().expect("the child goes on").unwrap();
            if let Ok(number) = line.trim().parse() {
                return number;
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn reading() -> Options {
    Options::new().read_only(true)
}

/// How many commits a version has, which has to be whole; those of all runs.
fn commits(db: &Store) -> i64 {
    let view = db.view();
    let mut all = 0;
    for run in view.runs() {
        let run = view.run(run.id).unwrap();
        let count = run.kv().get_or("count", 0_i64).unwrap();
        assert_eq!(run.kv().count(KeyRange::prefix(b"n/")).unwrap(), count.unsigned_abs());
        assert_eq!(run.events().len("numbers").unwrap(), count.unsigned_abs());
        all += count;
    }
    all
}

/// Names, lengths, times and bytes of a directory.
fn contents(directory: &Path) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let modified = entry.metadata().unwrap().modified().unwrap();
        (entry.file_name().into_string().unwrap(), (modified, fs::read(entry.path()).unwrap()))
    });
    entries.collect()
}

#[test]
fn a_reader_beside_a_process_that_writes_and_is_killed_sees_every_synced_commit_and_no_damage() {
    let place = tempfile::tempdir().unwrap();
    let (mut seen, mut before) = (0, 0);
    let mut long: Option<Store> = None;
    for round in 0..3 {
        let mut writer = Writer::start(place.path());
        loop {
            let synced = before + writer.synced();
            let opened = foldb::open_with(place.path(), reading()).unwrap();
            assert!(commits(&opened) >= synced, "what was synced is there");
            let reader = long.get_or_insert(opened);
            reader.refresh().unwrap();
            let now = commits(reader);
            assert!(now >= synced && now >= seen, "{now} after {seen}, {synced} of them synced");
            seen = now;
            if synced - before >= COMMITS / 3 {
                break;
            }
        }
        let reader = long.as_ref().unwrap();
        if cfg!(target_os = "linux") {
            let runs = reader.view().runs();
            assert_eq!(runs.last().unwrap().status, RunStatus::Active, "its process lives");
            assert!(runs.iter().rev().skip(1).all(|run| run.status == RunStatus::Orphaned));
        }
        let report = reader.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.is_ok(), "beside the writer: {report:?}");
        writer.kill();
        reader.refresh().unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(reader.view().runs().last().unwrap().status, RunStatus::Orphaned, "round {round}");
        }
        before = commits(reader);
        assert!(before >= seen);
    }
}

#[test]
fn looking_at_a_store_changes_no_byte_no_name_and_no_time_and_needs_no_permission_to_write() {
    let place = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(place.path());
    while writer.synced() < 100 {}
    writer.kill();
    // As a copy on another medium, which has no lock file.
    fs::remove_file(place.path().join("lock")).unwrap();
    let before = contents(place.path());
    let permissions = fs::metadata(place.path()).unwrap().permissions();
    let mut only_reading = permissions.clone();
    only_reading.set_readonly(true);
    fs::set_permissions(place.path(), only_reading).unwrap();
    let reader = foldb::open_with(place.path(), reading()).unwrap();
    assert!(commits(&reader) >= 100);
    reader.refresh().unwrap();
    assert!(reader.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
    assert_eq!(reader.kv().put("key", 1).unwrap_err().kind(), ErrorKind::ReadOnly);
    reader.close().unwrap();
    fs::set_permissions(place.path(), permissions).unwrap();
    assert_eq!(contents(place.path()), before);
}

#[test]
fn a_store_that_is_not_there_is_not_made_to_be_read() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    assert_eq!(foldb::open_with(&missing, reading()).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!missing.exists());
    assert_eq!(foldb::open_with(place.path(), reading()).unwrap_err().kind(), ErrorKind::NotAStore);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
