//! [`OpfsDirectory`]: a directory of OPFS.
//!
//! Invariant: files are opened with `createSyncAccessHandle()` alone, which is exclusive. The mode `readwrite-unsafe`,
//! which is not, is never asked for.

use js_sys::{AsyncIterator, IteratorNext, Promise};
use wasm_bindgen::JsCast;
use web_sys::{FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions};

use super::{
    asked::{Asked, pause},
    handle::OpfsHandle,
};
use crate::pool::{Directory, Failure};

/// A directory of OPFS, of a dedicated worker.
#[derive(Clone, Debug)]
pub struct OpfsDirectory {
    handle: FileSystemDirectoryHandle,
}

impl OpfsDirectory {
    pub(super) fn new(handle: FileSystemDirectoryHandle) -> Self {
        OpfsDirectory { handle }
    }
}

impl Directory for OpfsDirectory {
    type Handle = OpfsHandle;

    async fn list(&self) -> Result<Vec<String>, Failure> {
        names(&self.handle).await
    }

    async fn open(&self, names: &[String], create: bool) -> Vec<Result<OpfsHandle, Failure>> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        // All are asked for before the first is waited for, so that the browser works on them at the same time.
        let file =
            |name: &String| Asked::of(&self.handle, |directory| directory.get_file_handle_with_options(name, &options));
        let files: Vec<Asked> = names.iter().map(file).collect();
        let mut opening = Vec::with_capacity(names.len());
        for file in files {
            let file = file.answer().await.map(|file| file.unchecked_into::<FileSystemFileHandle>());
            opening.push(file.map(|file| Asked::of(&file, FileSystemFileHandle::create_sync_access_handle)));
        }
        let mut opened = Vec::with_capacity(names.len());
        for handle in opening {
            let handle = match handle {
                Ok(handle) => handle.answer().await,
                Err(failure) => Err(failure),
            };
            opened.push(handle.map(|handle| OpfsHandle::new(handle.unchecked_into())));
        }
        opened
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        Asked::of(&self.handle, |directory| directory.remove_entry(name)).answer().await.map(drop)
    }

    async fn pause(&self, millis: u32) {
        pause(millis).await;
    }
}

/// The names in a directory.
pub(super) async fn names(directory: &FileSystemDirectoryHandle) -> Result<Vec<String>, Failure> {
    let keys: AsyncIterator = directory.keys();
    let next = |keys: &AsyncIterator| keys.next().unwrap_or_else(|thrown| Promise::reject(&thrown));
    let mut names = Vec::new();
    loop {
        let next: IteratorNext = Asked::of(&keys, next).answer().await?.unchecked_into();
        if next.done() {
            return Ok(names);
        }
        // A name that is not text is not ours; there is none.
        names.extend(next.value().as_string());
    }
}
