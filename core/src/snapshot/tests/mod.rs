//! What the tests of snapshots share: states built by hand, files in memory, and a way to seal forged bytes.

mod absent_runs;
mod copying;
mod failures;
mod golden;
mod hostile;
mod round_trip;

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::ops::ControlFlow;

use super::{
    SnapshotInfo, SnapshotMeta,
    catalog::CatalogWriter,
    index::{IndexReader, IndexedPages},
    layout, open, verify, write,
};
use crate::{
    Error, Result, StoreId,
    log::{LogPosition, OnceKey, snapshot_name},
    state::{DEFAULT_SPACE, Ended, Ending, Run, RunBegun, RunRecord, Space, State},
    storage::{MemFile, MemStorage, Storage, StorageFile},
    tree::{Direction, EntryRef, KeyRange, NoPages, PageRef, PageSource, Tree},
    value::Value,
};

const STORE: StoreId = StoreId::from_bytes(*b"0123456789abcdef");

/// The snapshots in a storage, as the source of the pages of any of them.
struct Snapshots(MemStorage);

impl PageSource for Snapshots {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        let file = self.0.open(&snapshot_name(at.generation))?;
        let mut bytes = vec![0; usize::try_from(at.len).unwrap()];
        let read = file.read_at(at.offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

fn on(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn meta(state: &State, generation: u64) -> SnapshotMeta {
    let log = Some(LogPosition { segment: 3, offset: 4096 });
    SnapshotMeta { store: STORE, generation, time_micros: 1_700_000_000_000_000, seq: state.seq(), log, epoch: 9 }
}

/// Writes `state` as the snapshot of this generation.
fn snapshot(storage: &MemStorage, state: &State, generation: u64, pages: &dyn PageSource) -> SnapshotInfo {
    let file = storage.create(&snapshot_name(generation)).unwrap();
    write(&file, state, &meta(state, generation), pages, &mut on).unwrap()
}

/// A file with these bytes under the name of generation 1.
fn file_of(bytes: &[u8]) -> MemFile {
    MemStorage::from_files([(snapshot_name(1), bytes)]).open(&snapshot_name(1)).unwrap()
}

/// The bytes of the snapshot of `state`, as generation 1.
fn bytes_of(state: &State) -> Vec<u8> {
    let storage = MemStorage::new();
    snapshot(&storage, state, 1, &NoPages);
    storage.files().remove(&snapshot_name(1)).unwrap()
}

fn put(tree: &mut Tree, key: &[u8], value: &[u8], seq: u64, pages: &dyn PageSource) {
    tree.insert(key, 0, value, seq, pages, &mut |_| {}).unwrap();
}

/// A tree of `count` keys that begin with `prefix`.
fn tree(prefix: &str, count: u64) -> Tree {
    let mut tree = Tree::new();
    for number in 0..count {
        // Scattered, so that leaves split everywhere and are not canonical in memory.
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        put(
            &mut tree,
            format!("{prefix}{scattered:016x}").as_bytes(),
            format!("value {number}").as_bytes(),
            number + 1,
            &NoPages,
        );
    }
    tree
}

fn run(number: u32, tree: Tree) -> Run {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let name = format!("run {number}");
    let began = RunBegun { name, parent: None, labels: BTreeMap::new(), metadata: Value::Null, epoch: 9 };
    let record = RunRecord { id, began, began_micros: 5, first_seq: 1, changed_seq: 1, ended: None, resumed: 0 };
    let space = Space { tree, last_seq: 1, commits: 1, ..Space::default() };
    Run { space, record: Arc::new(record) }
}

fn add_run(state: &mut State, run: Run) {
    let number = state.next_number;
    state.runs.insert(number, run);
    state.next_number += 1;
}

/// A state in which every field of the format has a value that is not the default.
fn rich_state(keys: u64) -> State {
    let mut state = State::new();
    state.seq = 1_000_000;
    state.time_micros = 77;
    state.default = Space {
        tree: tree("\x10default ", keys),
        last_position: Some(LogPosition { segment: 2, offset: 128 }),
        last_seq: 999_999,
        commits: 1234,
        live: Arc::new(BTreeMap::from([(1, 10), (2, 5000)])),
        ..Space::default()
    };
    let mut failed = run(1, tree("\x10", 3));
    let record = Arc::make_mut(&mut failed.record);
    record.began.labels =
        BTreeMap::from([("colour".to_string(), "blue".to_string()), ("size".to_string(), String::new())]);
    record.began.metadata = Value::Map(vec![("step".into(), 17.into())]);
    record.began.parent = Some([0xaa; 16]);
    record.ended = Some(Ended { how: Ending::Failed, micros: 99, message: Some("no route".to_string()) });
    record.resumed = 4;
    failed.space.live = Arc::new(BTreeMap::from([(2, 1)]));
    add_run(&mut state, failed);
    // Run 2 was deleted: numbers have gaps.
    state.next_number += 1;
    let mut completed = run(3, Tree::new());
    Arc::make_mut(&mut completed.record).ended = Some(Ended { how: Ending::Completed, micros: 100, message: None });
    add_run(&mut state, completed);
    for number in 0..20_u8 {
        let key = format!("request {}", u32::from(number) * 7 % 20);
        let (fingerprint, result) = (&[7; 3][..usize::from(number % 4)], &[1; 200][..usize::from(number) * 9]);
        let number = u64::from(number);
        state.idempotency.insert(&OnceKey { key: key.as_bytes(), fingerprint, result }, number + 1, number * 1000);
    }
    state
}

type Entries = Vec<(Vec<u8>, u8, u64, Vec<u8>)>;

fn try_entries(tree: &Tree, pages: &dyn PageSource) -> Result<Entries> {
    let mut entries = vec![];
    tree.visit(&KeyRange::all(), Direction::Forward, pages, &mut |key, EntryRef { kind, seq, value }| {
        entries.push((key.to_vec(), kind, seq, value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(entries)
}

fn entries(tree: &Tree, pages: &dyn PageSource) -> Entries {
    try_entries(tree, pages).unwrap()
}

/// All spaces, in the order of the catalog.
fn spaces(state: &State) -> impl Iterator<Item = &Space> {
    core::iter::once(DEFAULT_SPACE).chain(state.run_numbers()).map(|number| state.space(number).unwrap())
}

/// Compares all that a snapshot holds.
fn assert_same(left: &State, left_pages: &dyn PageSource, right: &State, right_pages: &dyn PageSource) {
    assert_eq!((left.seq, left.time_micros, left.next_number), (right.seq, right.time_micros, right.next_number));
    assert!(left.run_numbers().eq(right.run_numbers()));
    for ((number, a), (_, b)) in left.runs.iter().zip(right.runs.iter()) {
        assert_eq!(a.record, b.record);
        assert_eq!(right.number(a.record.id()), Ok(number));
    }
    for (a, b) in spaces(left).zip(spaces(right)) {
        assert_eq!((a.last_position, a.last_seq, a.commits), (b.last_position, b.last_seq, b.commits));
        assert_eq!(a.live, b.live);
        assert_eq!(a.tree.len(), b.tree.len());
        assert_eq!(entries(&a.tree, left_pages), entries(&b.tree, right_pages));
    }
    assert!(left.idempotency.entries().eq(right.idempotency.entries()));
}

/// The parts of a snapshot file, to change one and seal the file again: what somebody who means harm would do.
#[derive(Clone)]
struct Parts {
    front: Vec<u8>,
    pages: Vec<u8>,
    /// Type and data of the sections behind the pages, without checksums, without the end.
    sections: Vec<(u8, Vec<u8>)>,
    generation: u64,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let (front, rest) = bytes.split_at(layout::FRONT_BYTES);
        let length = |header: &[u8]| usize::try_from(u64::from_le_bytes(header[1..9].try_into().unwrap())).unwrap();
        let (pages, mut rest) = rest.split_at(length(&front[layout::HEADER_BYTES..]));
        let mut sections = vec![];
        while rest.len() > 4 {
            let (data, behind) = rest[9..].split_at(length(rest));
            sections.push((rest[0], data[..data.len() - 4].to_vec()));
            rest = behind;
        }
        let end = sections.pop().unwrap().1;
        let generation = u64::from_le_bytes(end[16..24].try_into().unwrap());
        Self { front: front.to_vec(), pages: pages.to_vec(), sections, generation }
    }

    /// The file, with every length and checksum as it must be.
    fn seal(&self) -> Vec<u8> {
        let mut front = self.front.clone();
        front[layout::HEADER_BYTES + 1..].copy_from_slice(&(self.pages.len() as u64).to_le_bytes());
        let mut frame = crc32fast::Hasher::new();
        frame.update(&front);
        let mut bytes = [front, self.pages.clone()].concat();
        for (section, data) in &self.sections {
            push_section(&mut bytes, &mut frame, *section, data);
        }
        frame.update(&[&[6][..], &36_u64.to_le_bytes()].concat());
        let end = layout::End {
            store: STORE,
            generation: self.generation,
            pages_checksum: crc32fast::hash(&self.pages),
            frame_checksum: frame.finalize(),
        };
        push_section(&mut bytes, &mut crc32fast::Hasher::new(), 6, &end.encode());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The data of a section, by its place behind the pages.
    fn data(&mut self, place: usize) -> &mut Vec<u8> {
        &mut self.sections[place].1
    }
}

fn push_section(bytes: &mut Vec<u8>, frame: &mut crc32fast::Hasher, section: u8, data: &[u8]) {
    let header = [&[section][..], &(data.len() as u64 + 4).to_le_bytes()].concat();
    frame.update(&header);
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
}

/// Opens, touches every page and verifies. Everything that comes of it must be a typed error.
fn read_all(bytes: &[u8]) -> Result<()> {
    let file = file_of(bytes);
    let name = snapshot_name(1);
    let (state, meta) = open(&file, &name)?;
    let source = Snapshots(MemStorage::from_files([(snapshot_name(meta.generation), bytes)]));
    for space in spaces(&state) {
        try_entries(&space.tree, &source)?;
    }
    verify(&file, &name).map(|_| ())
}

/// Why these bytes do not open.
fn refusal(bytes: &[u8]) -> Error {
    open(&file_of(bytes), &snapshot_name(1)).err().expect("the snapshot must not open")
}

fn rule_of(error: &Error) -> &'static str {
    match error {
        Error::Corrupt { rule, file, .. } => {
            assert_eq!(*file, snapshot_name(1), "{error}");
            rule
        }
        other => panic!("not a report of corruption: {other}"),
    }
}

#[test]
fn sealing_the_parts_of_a_snapshot_gives_the_same_bytes() {
    let bytes = bytes_of(&rich_state(50));
    assert_eq!(Parts::of(&bytes).seal(), bytes);
    assert_eq!(read_all(&bytes), Ok(()));
}
