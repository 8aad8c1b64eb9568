//! [`Still`]: the log of an open store as it was at one moment, for reading it from end to end while commits go on.
//!
//! Without it the reader would see names of one moment and anchors of another, a segment that grows or is trimmed between
//! two looks, or the first half of a write: each of that looks exactly like damage.
//!
//! Invariants:
//! - Names, anchors and the end of the log are taken together, under the lock of the store: so they fit together.
//! - What is behind that end does not exist here. Everything before it was written once and never changes.
//! - Nothing can be changed through it.

use alloc::{borrow::ToOwned, string::String, sync::Arc, vec, vec::Vec};

use super::shared::Shared;
use crate::{
    Result,
    log::{ANCHOR_BYTES, ANCHOR_NAMES, parse_segment_name},
    storage::{Storage, StorageError, StorageFile},
};

/// Names, anchors and segments as of one moment.
pub(crate) struct Still<'a, S: Storage> {
    shared: &'a Shared<S>,
    names: Vec<String>,
    anchors: Vec<(String, Vec<u8>)>,
    /// Where segments end: the one that is written to, as far as the storage has it; of a store that only reads, all of them.
    ends: Vec<(u64, u64)>,
}

/// A file of a [`Still`].
pub(crate) enum StillFile<F> {
    /// An anchor: its bytes.
    Anchor(Vec<u8>),
    /// A segment, up to an end where it has one.
    Segment(Arc<F>, Option<u64>),
}

impl<S: Storage> Shared<S> {
    /// The log as it is now. Costs a listing and two small reads under the lock.
    pub(crate) fn still(&self) -> Result<Still<'_, S>> {
        if let Some(reader) = &self.reader {
            return Ok(reader.stand().still(self));
        }
        // Anchors are written and segments created and trimmed under this lock.
        let core = self.lock();
        let mut names = self.storage.list()?;
        // What nothing needs may be removed at any time.
        names.retain(|name| !core.garbage.contains(name));
        let mut anchors = Vec::new();
        for name in names.iter().filter(|name| ANCHOR_NAMES.contains(&name.as_str())) {
            let mut bytes = vec![0; ANCHOR_BYTES];
            let read = self.storage.open(name)?.read_at(0, &mut bytes)?;
            bytes.truncate(read);
            anchors.push((name.clone(), bytes));
        }
        let newest = names.iter().filter_map(|name| parse_segment_name(name)).max();
        let newest = newest.and_then(|number| self.files.handed_over.end(number).map(|end| (number, end)));
        Ok(Still { shared: self, names, anchors, ends: newest.into_iter().collect() })
    }
}

impl<'a, S: Storage> Still<'a, S> {
    /// The log as somebody has seen it before.
    pub(crate) fn of(
        shared: &'a Shared<S>,
        names: Vec<String>,
        anchors: Vec<(String, Vec<u8>)>,
        ends: Vec<(u64, u64)>,
    ) -> Self {
        Still { shared, names, anchors, ends }
    }
}

pub(super) fn refused(name: &str, action: &'static str) -> StorageError {
    let message = "this is a view of the log that cannot be written to".to_owned();
    StorageError::Io { name: name.into(), action, message }
}

impl<S: Storage> Storage for Still<'_, S> {
    type File = StillFile<S::File>;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.names.clone())
    }

    fn create(&self, name: &str) -> Result<Self::File, StorageError> {
        Err(refused(name, "creating"))
    }

    fn open(&self, name: &str) -> Result<Self::File, StorageError> {
        if let Some((_, bytes)) = self.anchors.iter().find(|(anchor, _)| anchor == name) {
            return Ok(StillFile::Anchor(bytes.clone()));
        }
        match parse_segment_name(name) {
            Some(number) => {
                let file = self.shared.files.segment_file(&self.shared.storage, number)?;
                let end = self.ends.iter().find(|(segment, _)| *segment == number).map(|(_, end)| *end);
                Ok(StillFile::Segment(file, end))
            }
            None => Err(StorageError::Missing { name: name.into() }),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        Err(refused(name, "removing"))
    }
}

impl<F: StorageFile> StorageFile for StillFile<F> {
    fn len(&self) -> Result<u64, StorageError> {
        match self {
            StillFile::Anchor(bytes) => Ok(bytes.len() as u64),
            StillFile::Segment(_, Some(end)) => Ok(*end),
            StillFile::Segment(file, None) => file.len(),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let available = usize::try_from(self.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buffer.len().min(available);
        let buffer = buffer.get_mut(..count).unwrap_or_default();
        match self {
            StillFile::Anchor(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let found = bytes.get(start..).unwrap_or_default();
                buffer.copy_from_slice(found.get(..count).unwrap_or_default());
                Ok(count)
            }
            StillFile::Segment(file, _) => file.read_at(offset, buffer),
        }
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
        Err(refused("the log", "writing"))
    }

    fn set_len(&self, _: u64) -> Result<(), StorageError> {
        Err(refused("the log", "extending"))
    }

    /// What is read here was handed over, and whether it is durable is asked before.
    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
