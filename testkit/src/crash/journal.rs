//! [`Operation`]: one entry of the disk's journal. The journal has everything that can change the medium, in the order
//! in which it was asked for; reads are not in it.

use std::{fmt, sync::Arc};

/// A file in the life of a disk. A name that is created again is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(crate) usize);

/// What was asked of the disk.
#[derive(Clone, PartialEq, Eq)]
pub struct Operation {
    /// The file.
    pub file: FileId,
    /// Its name.
    pub name: Arc<str>,
    /// What to do to it.
    pub action: Action,
}

/// What can be done to a file.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The name was created, for an empty file.
    Create,
    /// The name was removed.
    Remove,
    /// Bytes were written.
    Write {
        /// Where, in bytes.
        offset: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// The length was set.
    SetLen {
        /// To this, in bytes.
        len: u64,
    },
    /// A sync succeeded.
    Sync,
    /// A sync failed: whatever of the file was pending is never covered by a later sync.
    SyncFailed,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.action, self.name)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Create => f.write_str("create"),
            Action::Remove => f.write_str("remove"),
            // The bytes are megabytes sometimes; where and how many is what one looks for.
            Action::Write { offset, bytes } => write!(f, "write {} bytes at {offset} of", bytes.len()),
            Action::SetLen { len } => write!(f, "set length {len} of"),
            Action::Sync => f.write_str("sync"),
            Action::SyncFailed => f.write_str("fail to sync"),
        }
    }
}
