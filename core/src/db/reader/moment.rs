//! [`Moment`]: the names and anchors of a store that somebody else writes to, as of one moment.
//!
//! Invariants:
//! - No anchor was written between the first look at the names and the last: what the anchors name was among the names, and what
//!   is there is not older than what they say.
//! - Nothing can be changed through it, and nothing is synced: whether the bytes are durable is their writer's affair.

use alloc::{string::String, sync::Arc, vec, vec::Vec};

use super::super::still::{StillFile, refused};
use crate::{
    Error, Result,
    log::{ANCHOR_BYTES, ANCHOR_NAMES},
    storage::{Storage, StorageError, StorageFile},
};

/// How often the anchors may change while the names are listed.
const LISTINGS_MAX: usize = 64;

/// Names, and the bytes of the anchors.
pub(super) struct Seen {
    /// Of all files but the anchors, in order.
    pub(super) names: Vec<String>,
    pub(super) anchors: Vec<(String, Vec<u8>)>,
}

/// What was seen, and the storage to look further into.
pub(super) struct Moment<'a, S> {
    storage: &'a S,
    pub(super) seen: Seen,
}

impl<'a, S: Storage> Moment<'a, S> {
    pub(super) fn take(storage: &'a S) -> Result<Self> {
        let mut anchors = read_anchors(storage)?;
        for _ in 0..LISTINGS_MAX {
            let mut names = storage.list()?;
            let after = read_anchors(storage)?;
            if after == anchors {
                names.retain(|name| !ANCHOR_NAMES.contains(&name.as_str()));
                crate::order::sort_by(&mut names, Ord::cmp);
                return Ok(Moment { storage, seen: Seen { names, anchors } });
            }
            anchors = after;
        }
        Err(never_at_rest())
    }
}

/// The error where a writer leaves no moment to look.
pub(in crate::db) fn never_at_rest() -> Error {
    StorageError::Io {
        name: "the store".into(),
        action: "looking at",
        message: "its files changed under every attempt, because another process writes to it; try again".into(),
    }
    .into()
}

fn read_anchors<S: Storage>(storage: &S) -> Result<Vec<(String, Vec<u8>)>> {
    let mut anchors = Vec::new();
    for name in ANCHOR_NAMES {
        let file = match storage.open(name) {
            Err(StorageError::Missing { .. }) => continue,
            opened => opened?,
        };
        let mut bytes = vec![0; ANCHOR_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        anchors.push((name.into(), bytes));
    }
    Ok(anchors)
}

impl<S: Storage> Storage for Moment<'_, S> {
    type File = StillFile<S::File>;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.seen.names.iter().chain(self.seen.anchors.iter().map(|(name, _)| name)).cloned().collect())
    }

    fn create(&self, name: &str) -> Result<Self::File, StorageError> {
        Err(refused(name, "creating"))
    }

    fn open(&self, name: &str) -> Result<Self::File, StorageError> {
        if let Some((_, bytes)) = self.seen.anchors.iter().find(|(anchor, _)| anchor == name) {
            return Ok(StillFile::Anchor(bytes.clone()));
        }
        Ok(StillFile::Segment(Arc::new(self.storage.open(name)?), None))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        Err(refused(name, "removing"))
    }
}
