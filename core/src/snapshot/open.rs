//! Opening a snapshot: without its pages, or with all of them.

use super::{SnapshotMeta, contents::Contents, pages::SequentialPages};
use crate::{
    Result,
    state::{DEFAULT_SPACE, State},
    storage::StorageFile,
    tree::LeafPage,
};

/// Opens a snapshot without reading its pages: all leaves of the state are absent, and a page is read and verified through
/// the caller's [`PageSource`](crate::tree::PageSource) when it is first touched.
///
/// Everything else is read and verified: header, catalog, leaf index, segment table, idempotency window, end, and that
/// these cover the file without gaps. That takes some milliseconds for a snapshot of a million keys. `name` is the file's
/// name for error messages; where it is the name of a snapshot, its generation must be that of the file.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) for bytes that break a rule, [`Error::Newer`](crate::Error::Newer) for a file
/// of a newer program, and what the storage reports. The store id is not compared with anything: the caller knows which
/// store it wants.
///
/// ```
/// use core::ops::ControlFlow;
/// use foldb_core::{StoreId, log::snapshot_name, snapshot::{self, SnapshotMeta}, state::State};
/// use foldb_core::{storage::{MemStorage, Storage}, tree::NoPages};
///
/// let storage = MemStorage::new();
/// let file = storage.create(&snapshot_name(1))?;
/// let store = StoreId::from_bytes([7; 16]);
/// let meta = SnapshotMeta { store, generation: 1, time_micros: 0, seq: 0, log: None, epoch: 1 };
/// snapshot::write(&file, &State::new(), &meta, &NoPages, &mut |_, _| ControlFlow::Continue(()))?;
///
/// let (state, found) = snapshot::open(&file, &snapshot_name(1))?;
/// assert_eq!((state.seq(), found), (0, meta));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn open<F: StorageFile>(file: &F, name: &str) -> Result<(State, SnapshotMeta)> {
    Contents::read(file, name)?.state()
}

/// Opens a snapshot and reads, verifies and keeps every page, in large sequential reads: for a store that should be wholly
/// in memory from the start. The state never asks a page source.
///
/// # Errors
/// As for [`open`], and [`Error::Corrupt`](crate::Error::Corrupt) for a damaged page.
pub fn load_resident<F: StorageFile>(file: &F, name: &str) -> Result<(State, SnapshotMeta)> {
    let contents = Contents::read(file, name)?;
    let (state, meta) = contents.state()?;
    let source = SequentialPages::new(file, name, contents.pages_end());
    let spaces = core::iter::once(DEFAULT_SPACE).chain(state.run_numbers());
    for space in spaces.filter_map(|number| state.space(number)) {
        space.tree.visit_leaves(&mut |leaf| match leaf.page {
            LeafPage::Absent(_) => space.tree.prepare(leaf.fence, &source),
            LeafPage::Resident(_) => Ok(()),
        })?;
    }
    Ok((state, meta))
}
