//! [`OpfsDirectory`]: a directory of OPFS.
//!
//! Invariant: files are opened with `createSyncAccessHandle()` alone, which is exclusive. The mode `readwrite-unsafe`,
//! which is not, is never asked for.

use js_sys::{AsyncIterator, Function, IteratorNext, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions};

use super::{failure::failure, handle::OpfsHandle};
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
        let files: Vec<JsFuture> =
            names.iter().map(|name| JsFuture::from(self.handle.get_file_handle_with_options(name, &options))).collect();
        let mut opening = Vec::with_capacity(names.len());
        for file in files {
            let handle = file.await.map(|file| file.unchecked_into::<FileSystemFileHandle>());
            opening.push(handle.map(|file| JsFuture::from(file.create_sync_access_handle())));
        }
        let mut opened = Vec::with_capacity(names.len());
        for handle in opening {
            let handle = match handle {
                Ok(handle) => handle.await,
                Err(thrown) => Err(thrown),
            };
            opened
                .push(handle.map(|handle| OpfsHandle::new(handle.unchecked_into())).map_err(|thrown| failure(&thrown)));
        }
        opened
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        waited(self.handle.remove_entry(name)).await.map(drop)
    }

    async fn pause(&self, millis: u32) {
        pause(millis).await;
    }
}

/// What a promise resolves to.
pub(super) async fn waited(promise: Promise) -> Result<JsValue, Failure> {
    JsFuture::from(promise).await.map_err(|thrown| failure(&thrown))
}

/// The names in a directory.
pub(super) async fn names(directory: &FileSystemDirectoryHandle) -> Result<Vec<String>, Failure> {
    let keys: AsyncIterator = directory.keys();
    let mut names = Vec::new();
    loop {
        let next = keys.next().map_err(|thrown| failure(&thrown))?;
        let next: IteratorNext = waited(next).await?.unchecked_into();
        if next.done() {
            return Ok(names);
        }
        // A name that is not text is not ours; there is none.
        names.extend(next.value().as_string());
    }
}

async fn pause(millis: u32) {
    let promise = Promise::new(&mut |resolve, _| {
        let global = js_sys::global();
        let timer = Reflect::get(&global, &JsValue::from_str("setTimeout")).map(|timer| timer.dyn_into::<Function>());
        if let Ok(Ok(timer)) = timer {
            // Whatever a timer could throw, waiting less is what is left.
            if timer.call2(&global, &resolve, &JsValue::from_f64(f64::from(millis))).is_ok() {
                return;
            }
        }
        let _ = resolve.call0(&JsValue::UNDEFINED);
    });
    // A timer does not fail.
    let _ = JsFuture::from(promise).await;
}
