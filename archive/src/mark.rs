//! The mark of an import under way, and clearing away what one has left.
//!
//! Invariant: from before the first file is created until all are checked and on stable media, the mark is on stable media
//! too, so that no crash leaves half of a store which opens. What is removed is emptied first: a removed name may come
//! back, and must not bring back a part of a store that is no longer there. Rules F-3 and F-60.

use foldb_core::{
    Error,
    recovery::{IMPORT_NAME, is_import_unfinished},
    storage::{Storage, StorageError, StorageFile},
};

use crate::{ArchiveError, Result, manifest::rank};

/// What a person finds who looks into the file.
const TEXT: &[u8] = b"An import into this store has not finished. Import again, or remove what is here.\n";

/// Whether an import can go into the storage: it is empty, or holds what an import that failed or did not finish has left.
pub(crate) fn check_empty<S: Storage>(storage: &S) -> Result<()> {
    let names = storage.list()?;
    if is_import_unfinished(storage)? {
        return Ok(());
    }
    let (ours, others): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| rank(name).is_some());
    for name in ours {
        // Empty ones may be what removed ones came back as.
        if !storage.open(name)?.is_empty()? {
            return Err(ArchiveError::NotEmpty { name: name.clone() });
        }
    }
    if let Some(name) = others.into_iter().find(|name| *name != IMPORT_NAME && !name.starts_with('.')) {
        let why = format!("it holds {name} and no file of a store; name an empty or a new directory");
        return Err(Error::NotAStore { path: "the directory".into(), why }.into());
    }
    Ok(())
}

/// Sets the mark, and clears away what an unfinished import has left. [`check_empty`] has been asked before.
pub(crate) fn begin<S: Storage>(storage: &S) -> Result<()> {
    let mark = match storage.create(IMPORT_NAME) {
        Err(StorageError::Exists { .. }) => storage.open(IMPORT_NAME)?,
        created => created?,
    };
    mark.write_at(0, TEXT)?;
    mark.sync()?;
    drop(mark);
    clear(storage)
}

/// Takes the mark away. Emptying it is what counts: a removed name may come back.
pub(crate) fn end<S: Storage>(storage: &S) -> Result<()> {
    let mark = storage.open(IMPORT_NAME)?;
    mark.set_len(0)?;
    mark.sync()?;
    drop(mark);
    // An empty mark means nothing: what cannot be removed may stay.
    let _ = storage.remove(IMPORT_NAME);
    Ok(())
}

/// Removes every file of a store. For an import that failed, while the mark is set.
pub(crate) fn clear<S: Storage>(storage: &S) -> Result<()> {
    for name in storage.list()?.iter().filter(|name| rank(name).is_some()) {
        let file = storage.open(name)?;
        file.set_len(0)?;
        file.sync()?;
        drop(file);
        storage.remove(name)?;
    }
    Ok(())
}
