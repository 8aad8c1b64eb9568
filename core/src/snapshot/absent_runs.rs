//! The runs of a snapshot that was opened: checked at once, built when somebody asks. Rules F-46 and F-47.
//!
//! Invariant: what is kept are the bytes that were checked, and they are read again by the functions that checked them. So
//! building a run cannot fail.

use alloc::{boxed::Box, collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};
use core::ops::Range;

use super::{
    catalog::{RunRow, SpaceRow},
    fields::Fields,
    index::{IndexPlace, IndexReader, IndexedPages},
    layout::part,
    segment_table::LiveSums,
};
use crate::{
    Result, RunId,
    state::{ReadRun, Run, Runs, SpaceNumber, State, StoredRuns, Unended},
};

/// Bytes of a file that several own.
#[derive(Clone)]
pub(super) struct SharedBytes {
    all: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl SharedBytes {
    /// `range` lies inside of `all`.
    pub(super) fn new(all: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self { all, range }
    }

    fn get(&self) -> &[u8] {
        part(&self.all, &self.range)
    }

    /// The last `len` bytes of it.
    fn last(mut self, len: usize) -> Self {
        self.range.start = self.range.end.saturating_sub(len);
        self
    }

    /// The same bytes, owned by nobody else.
    fn copied(&self) -> Self {
        Self { all: Arc::new(self.get().to_vec()), range: 0..self.range.len() }
    }
}

/// Their bytes, and where in them each is.
pub(super) struct AbsentRuns {
    /// Seq of the snapshot, which nothing of a run is above.
    seq: u64,
    /// The rows of catalog and leaf index, without what lies before the first run.
    catalog: SharedBytes,
    index: SharedBytes,
    places: Vec<Place>,
    /// Which pages the index is of.
    pages: IndexedPages,
}

/// Where a run is.
struct Place {
    /// In the catalog's rows, behind its number.
    row: usize,
    /// In the index, and in the pages.
    leaves: IndexPlace,
}

/// Shortest row of a run: its number, its id, and a byte for each of the other fields.
const ROW_BYTES_MIN: usize = 1 + 16 + 15;

/// A checked run's bytes do not change, and were read by the same functions before.
const CHECKED: &str = "the snapshot's runs were checked when it was opened";

impl AbsentRuns {
    /// Reads and checks the runs of a catalog and their leaves, and adds to `sums` what they keep alive. `state` is all
    /// that the catalog says before.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        index: &mut IndexReader<'_>,
        [catalog, leaves]: &[SharedBytes; 2],
        state: &State,
        sums: &mut LiveSums,
    ) -> Result<Runs> {
        let count = fields.varint()?;
        let catalog = catalog.clone().last(fields.remaining());
        let leaves = leaves.clone().last(index.remaining());
        // The count ends with the bytes at the latest.
        let room = usize::try_from(count).unwrap_or(usize::MAX).min(fields.remaining() / ROW_BYTES_MIN);
        let mut numbers: Vec<SpaceNumber> = Vec::with_capacity(room);
        let mut places = Vec::with_capacity(room);
        let (mut unended, mut entries) = (Vec::new(), 0_u64);
        for _ in 0..count {
            let number = fields.varint32()?;
            let before = numbers.last().copied().unwrap_or_default();
            if number <= before || number >= state.next_number {
                let what = format!("run {number} is not between run {before} and the next one, {}", state.next_number);
                return Err(fields.corrupt(what));
            }
            let row = catalog.range.len() - fields.remaining();
            let run = RunRow::read(fields, state.seq, |_, _| {})?;
            SpaceRow::read(fields, state.seq, |segment, bytes| sums.add(segment, bytes))?;
            if run.ended.is_none() {
                unended.push(Unended { at: numbers.len(), epoch: run.epoch });
            }
            numbers.push(number);
            places.push(Place { row, leaves: index.place() });
            entries = entries.saturating_add(index.skip_space()?);
        }
        // Not more than twice the memory for as long as the store is open: the rest of the file's end may be large.
        let kept = catalog.range.len() + leaves.range.len();
        let small = kept < catalog.all.len() / 2;
        let [catalog, index_rows] = [catalog, leaves].map(|bytes| if small { bytes.copied() } else { bytes });
        let reader = AbsentRuns { seq: state.seq, catalog, index: index_rows, places, pages: index.pages() };
        let twice = |number| fields.corrupt(format!("run {number} is there twice"));
        Ok(Runs::stored(StoredRuns::new(numbers, unended, entries, Box::new(reader)).map_err(twice)?))
    }

    /// The row of a run, from its id on.
    fn row(&self, at: usize) -> &[u8] {
        self.places.get(at).and_then(|place| self.catalog.get().get(place.row..)).unwrap_or_default()
    }

    fn build(&self, at: usize) -> Result<Run> {
        let mut fields = Fields::new("a run of the open snapshot", 0, self.row(at), "F-46");
        let (mut labels, mut live) = (BTreeMap::new(), BTreeMap::new());
        let label = |key: &str, value: &str| _ = labels.insert(String::from(key), String::from(value));
        let run = RunRow::read(&mut fields, self.seq, label)?;
        let space = SpaceRow::read(&mut fields, self.seq, |segment, bytes| _ = live.insert(segment, bytes))?;
        let leaves = self.places.get(at).map(|place| place.leaves).unwrap_or_default();
        let tree = IndexReader::resume(self.index.get(), leaves, self.pages).tree()?;
        Ok(Run { space: space.build(tree, live), record: Arc::new(run.build(labels)) })
    }
}

impl ReadRun for AbsentRuns {
    fn id(&self, at: usize) -> RunId {
        RunId::from_bytes(self.row(at).first_chunk().copied().unwrap_or_default())
    }

    fn read(&self, at: usize) -> Run {
        self.build(at).expect(CHECKED)
    }
}
