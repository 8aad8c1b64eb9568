//! The catalog as bytes: what a snapshot is of, its spaces and its runs. Rules F-45 and F-46.
//!
//! Invariant: reading what was written gives the same state, and nothing that was read can make later folding overflow:
//! every count that a commit adds to is checked to leave room. All of it is checked when a snapshot is opened, but runs are
//! built when somebody asks for them, by the same functions from the same bytes (`absent_runs.rs`).

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

use super::{
    SnapshotMeta,
    absent_runs::{AbsentRuns, SharedBytes},
    fields::Fields,
    index::IndexReader,
    layout::wide,
    segment_table::{LiveSums, read_live, write_live},
};
use crate::{
    Result, StoreId,
    limits::SEQ_MAX,
    log::{FRAME_ALIGNMENT, LogPosition, SEGMENT_HEADER_BYTES, varint},
    state::{Ended, Ending, Run, RunBegun, RunRecord, Space, SpaceNumber, State},
    transaction::PROVISIONAL,
    tree::Tree,
    value::Value,
};

/// Writes a catalog, one run after the other.
pub(super) struct CatalogWriter {
    out: Vec<u8>,
    sums: LiveSums,
}

impl CatalogWriter {
    /// Everything up to the first run.
    pub(super) fn begin(state: &State, meta: &SnapshotMeta) -> Self {
        let mut writer = Self { out: Vec::new(), sums: LiveSums::default() };
        let out = &mut writer.out;
        out.extend_from_slice(&meta.store.to_bytes());
        for number in [meta.generation, meta.time_micros, meta.epoch, state.seq, state.time_micros] {
            varint::write(out, number);
        }
        write_position(out, meta.log);
        varint::write(out, u64::from(state.next_number));
        writer.space(&state.default);
        varint::write(&mut writer.out, wide(state.runs.len()));
        writer
    }

    /// The next run by number.
    pub(super) fn run(&mut self, number: SpaceNumber, run: &Run) -> Result<()> {
        varint::write(&mut self.out, u64::from(number));
        write_run(&mut self.out, &run.record)?;
        self.space(&run.space);
        Ok(())
    }

    fn space(&mut self, space: &Space) {
        write_position(&mut self.out, space.last_position);
        varint::write(&mut self.out, space.last_seq);
        varint::write(&mut self.out, space.commits);
        write_live(&mut self.out, &space.live);
        space.live.iter().for_each(|(segment, bytes)| self.sums.add(*segment, *bytes));
    }

    /// The catalog's bytes, and what its spaces keep alive.
    pub(super) fn finish(self) -> (Vec<u8>, LiveSums) {
        (self.out, self.sums)
    }
}

fn write_position(out: &mut Vec<u8>, position: Option<LogPosition>) {
    out.push(u8::from(position.is_some()));
    if let Some(LogPosition { segment, offset }) = position {
        varint::write(out, segment);
        varint::write(out, offset);
    }
}

pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::write(out, wide(bytes.len()));
    out.extend_from_slice(bytes);
}

fn write_run(out: &mut Vec<u8>, record: &RunRecord) -> Result<()> {
    out.extend_from_slice(&record.id);
    let began = &record.began;
    for number in [record.first_seq, record.changed_seq, record.began_micros, began.epoch, u64::from(record.resumed)] {
        varint::write(out, number);
    }
    out.push(u8::from(began.parent.is_some()));
    out.extend_from_slice(began.parent.as_ref().map_or(&[], |parent| parent.as_slice()));
    write_bytes(out, began.name.as_bytes());
    varint::write(out, wide(began.labels.len()));
    for (key, value) in &began.labels {
        write_bytes(out, key.as_bytes());
        write_bytes(out, value.as_bytes());
    }
    let mut metadata = Vec::new();
    began.metadata.encode(&mut metadata)?;
    write_bytes(out, &metadata);
    let Some(ended) = &record.ended else {
        out.push(0);
        return Ok(());
    };
    // The discriminants are bytes by `repr(u8)`.
    out.push(ended.how as u8);
    varint::write(out, ended.micros);
    out.push(u8::from(ended.message.is_some()));
    if let Some(message) = &ended.message {
        write_bytes(out, message.as_bytes());
    }
    Ok(())
}

/// Reads the catalog and the leaf index beside it. `tree` reads that of the default space; the runs' are gone through, and built
/// from `shared`, which are the same bytes of catalog and index, when somebody asks for one.
pub(super) fn decode(
    mut fields: Fields<'_>,
    index: &mut IndexReader<'_>,
    shared: &[SharedBytes; 2],
    tree: impl FnOnce(&mut IndexReader<'_>) -> Result<Tree>,
) -> Result<(State, SnapshotMeta, LiveSums)> {
    let mut state = State::new();
    let store = StoreId::from_bytes(fields.array()?);
    let (generation, time_micros, epoch) = (fields.varint()?, fields.varint()?, fields.varint()?);
    (state.seq, state.time_micros) = (fields.varint()?, fields.varint()?);
    if state.seq > SEQ_MAX || epoch == u64::MAX {
        return Err(fields.corrupt(format!("seq {} or epoch {epoch} is out of range", state.seq)));
    }
    let log = read_position(&mut fields)?;
    state.next_number = fields.varint32()?;
    if !(1..=PROVISIONAL).contains(&state.next_number) {
        return Err(fields.corrupt(format!("the next run cannot have number {}", state.next_number)));
    }
    let mut live = BTreeMap::new();
    let space = SpaceRow::read(&mut fields, state.seq, |segment, bytes| _ = live.insert(segment, bytes))?;
    let mut sums = LiveSums::default();
    live.iter().for_each(|(segment, bytes)| sums.add(*segment, *bytes));
    state.default = space.build(tree(index)?, live);
    state.runs = AbsentRuns::read(&mut fields, index, shared, &state, &mut sums)?;
    fields.finish()?;
    let meta = SnapshotMeta { store, generation, time_micros, seq: state.seq, log, epoch };
    Ok((state, meta, sums))
}

fn read_position(fields: &mut Fields<'_>) -> Result<Option<LogPosition>> {
    if !fields.flag()? {
        return Ok(None);
    }
    let (segment, offset) = (fields.varint()?, fields.varint()?);
    // Records will refer to it, and a place where no frame can be would make them unreadable.
    if segment == 0 || offset < SEGMENT_HEADER_BYTES || !offset.is_multiple_of(FRAME_ALIGNMENT) {
        return Err(fields.corrupt(format!("no frame begins at offset {offset} of segment {segment}")));
    }
    Ok(Some(LogPosition { segment, offset }))
}

/// A space as the catalog describes it.
pub(super) struct SpaceRow {
    last_position: Option<LogPosition>,
    last_seq: u64,
    commits: u64,
}

impl SpaceRow {
    /// Shows `live` each segment that the space keeps alive.
    pub(super) fn read(fields: &mut Fields<'_>, seq: u64, live: impl FnMut(u64, u64)) -> Result<Self> {
        let last_position = read_position(fields)?;
        let (last_seq, commits) = (fields.varint()?, fields.varint()?);
        if last_seq > seq || commits > seq {
            let what = format!("{commits} commits up to seq {last_seq} in a snapshot up to seq {seq}");
            return Err(fields.corrupt(what));
        }
        read_live(fields, live)?;
        Ok(Self { last_position, last_seq, commits })
    }

    pub(super) fn build(self, tree: Tree, live: BTreeMap<u64, u64>) -> Space {
        let SpaceRow { last_position, last_seq, commits } = self;
        Space { tree, last_position, last_seq, commits, live: Arc::new(live), ..Space::default() }
    }
}

/// A run as the catalog describes it, without its labels.
pub(super) struct RunRow<'a> {
    pub(super) id: [u8; 16],
    pub(super) epoch: u64,
    pub(super) ended: Option<EndedRow<'a>>,
    first_seq: u64,
    changed_seq: u64,
    began_micros: u64,
    resumed: u32,
    parent: Option<[u8; 16]>,
    name: &'a str,
    metadata: Value,
}

/// How, when, and what was said.
type EndedRow<'a> = (Ending, u64, Option<&'a str>);

impl<'a> RunRow<'a> {
    /// Shows `label` each label, ascending.
    pub(super) fn read(fields: &mut Fields<'a>, seq: u64, label: impl FnMut(&'a str, &'a str)) -> Result<Self> {
        let id = fields.array()?;
        let (first_seq, changed_seq) = (fields.varint()?, fields.varint()?);
        let (began_micros, epoch) = (fields.varint()?, fields.varint()?);
        let resumed = fields.varint32()?;
        if first_seq > changed_seq || changed_seq > seq || resumed == u32::MAX {
            let what = format!("a run from seq {first_seq}, changed at {changed_seq}, resumed {resumed} times");
            return Err(fields.corrupt(what));
        }
        let parent = if fields.flag()? { Some(fields.array()?) } else { None };
        let name = fields.text()?;
        read_labels(fields, label)?;
        let metadata = fields.length_and_bytes()?;
        let metadata = Value::decode(metadata).map_err(|error| fields.corrupt(format!("a run's metadata: {error}")))?;
        let ended = read_ended(fields)?;
        Ok(Self { id, epoch, ended, first_seq, changed_seq, began_micros, resumed, parent, name, metadata })
    }

    pub(super) fn build(self, labels: BTreeMap<String, String>) -> RunRecord {
        let RunRow { id, epoch, first_seq, changed_seq, began_micros, resumed, parent, metadata, .. } = self;
        let began = RunBegun { name: self.name.into(), parent, labels, metadata, epoch };
        let ended = self.ended.map(|(how, micros, message)| Ended { how, micros, message: message.map(String::from) });
        RunRecord { id, began, began_micros, first_seq, changed_seq, ended, resumed }
    }
}

fn read_labels<'a>(fields: &mut Fields<'a>, mut found: impl FnMut(&'a str, &'a str)) -> Result<()> {
    let mut before = None;
    for _ in 0..fields.varint()? {
        let (key, value) = (fields.text()?, fields.text()?);
        if before.is_some_and(|before| before >= key) {
            return Err(fields.corrupt(format!("label {key:?} is out of order")));
        }
        before = Some(key);
        found(key, value);
    }
    Ok(())
}

fn read_ended<'a>(fields: &mut Fields<'a>) -> Result<Option<EndedRow<'a>>> {
    let how = match fields.u8()? {
        0 => return Ok(None),
        1 => Ending::Completed,
        2 => Ending::Failed,
        3 => Ending::Cancelled,
        other => return Err(fields.corrupt(format!("a run that ended in way {other}"))),
    };
    let micros = fields.varint()?;
    let message = if fields.flag()? { Some(fields.text()?) } else { None };
    Ok(Some((how, micros, message)))
}
