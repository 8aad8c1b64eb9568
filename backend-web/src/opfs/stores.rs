//! The stores of an origin: opening, listing, destroying.
//!
//! Invariant: a store is the directory `foldb/<encoded name>` of OPFS, and nothing outside `foldb/` is touched.

use foldb_core::{Error, Result, storage::StorageError};
use wasm_bindgen::JsCast;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemGetDirectoryOptions, FileSystemRemoveOptions, StorageManager,
    WorkerGlobalScope,
};

use super::{
    asked::Asked,
    directory::{OpfsDirectory, names},
};
use crate::{
    name::{check_store_name, decode, encode},
    pool::{self, Failure, OpenOptions, PoolFile, PoolStorage},
};

/// The directory of all stores.
const ROOT: &str = "foldb";

/// How long [`destroy`] waits for the lock of a worker that has just ended, in milliseconds.
const DESTROY_WAIT_MILLIS: u32 = 2000;

/// The files of a store in OPFS.
pub type OpfsStorage = PoolStorage<OpfsDirectory>;

/// An open file of an [`OpfsStorage`].
pub type OpfsFile = PoolFile<OpfsDirectory>;

impl OpfsStorage {
    /// Opens the store of this name, or creates it. Only from a dedicated worker: browsers open files synchronously
    /// nowhere else.
    ///
    /// # Errors
    ///
    /// - [`Error::Invalid`], [`Error::Limit`]: the name; see [`check_store_name`].
    /// - [`Error::Unsupported`]: not in a dedicated worker, not on a secure page, or a browser without OPFS.
    /// - [`StorageError::Missing`]: there is no such store and `options` say not to create one. None is made.
    /// - [`StorageError::Locked`]: another tab or worker has it open.
    /// - [`StorageError::Full`]: over quota. [`StorageError::Denied`]: the browser refuses, as in some private windows.
    /// - [`StorageError::Io`]: anything else, in the browser's words.
    pub async fn open(name: &str, options: &OpenOptions) -> Result<Self> {
        check_store_name(name)?;
        let stores = stores(options.create).await?;
        let missing = || Error::from(StorageError::Missing { name: name.into() });
        let Some(stores) = stores else { return Err(missing()) };
        let Some(directory) = directory(&stores, &encode(name), options.create, name).await? else {
            return Err(missing());
        };
        PoolStorage::open_in(OpfsDirectory::new(directory), name, options).await
    }
}

/// The names of the stores of this origin, sorted.
///
/// # Errors
///
/// [`Error::Unsupported`] where there is no OPFS, and what the browser reports.
pub async fn list() -> Result<Vec<String>> {
    let Some(stores) = stores(false).await? else { return Ok(Vec::new()) };
    let directories = names(&stores).await.map_err(|failure| failure.into_error(ROOT, "listing"))?;
    let mut found: Vec<String> = directories.iter().filter_map(|directory| decode(directory)).collect();
    found.sort();
    Ok(found)
}

/// Removes the store of this name with everything in it, if nobody has it open. Returns whether there was one.
///
/// A crash in between leaves a store that is destroyed by its next opening, never half a store.
///
/// # Errors
///
/// [`StorageError::Locked`] where another tab or worker, or this one, has it open; else as [`OpfsStorage::open`].
pub async fn destroy(name: &str) -> Result<bool> {
    check_store_name(name)?;
    let encoded = encode(name);
    let Some(stores) = stores(false).await? else { return Ok(false) };
    let Some(directory) = directory(&stores, &encoded, false, name).await? else { return Ok(false) };
    pool::destroy(&OpfsDirectory::new(directory), name, DESTROY_WAIT_MILLIS).await?;
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    match Asked::of(&stores, |stores| stores.remove_entry_with_options(&encoded, &options)).answer().await {
        // Somebody makes a new store of this name at this moment.
        Ok(_) | Err(Failure::Locked | Failure::Missing) => Ok(true),
        Err(failure) => Err(failure.into_error(name, "destroying").into()),
    }
}

/// The directory of all stores; `None` where there is none and none is to be made.
async fn stores(create: bool) -> Result<Option<FileSystemDirectoryHandle>> {
    let unsupported = |why: &str| Error::Unsupported { what: "a store in this browser", why: why.into() };
    let Ok(scope) = js_sys::global().dyn_into::<WorkerGlobalScope>() else {
        return Err(unsupported("files are opened in a dedicated worker only; open the store there"));
    };
    if !scope.is_secure_context() {
        return Err(unsupported("the page is not secure; serve it by https, or from localhost"));
    }
    let storage = scope.navigator().storage();
    if storage.is_undefined() {
        return Err(unsupported("it has no origin private file system; use a newer one"));
    }
    let root = Asked::of(&storage, StorageManager::get_directory).answer().await;
    let root = root.map_err(|failure| failure.into_error(ROOT, "opening"))?;
    directory(&root.unchecked_into(), ROOT, create, ROOT).await
}

async fn directory(
    parent: &FileSystemDirectoryHandle,
    encoded: &str,
    create: bool,
    name: &str,
) -> Result<Option<FileSystemDirectoryHandle>> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(create);
    match Asked::of(parent, |parent| parent.get_directory_handle_with_options(encoded, &options)).answer().await {
        Ok(handle) => Ok(Some(handle.unchecked_into())),
        Err(Failure::Missing) if !create => Ok(None),
        Err(failure) => Err(failure.into_error(name, "opening").into()),
    }
}
