//! [`NodeStorage`]: a directory as a storage, through functions of Node's `fs` that the package passes in.
//!
//! Invariant: the files are those of the native backend, byte for byte and name for name, and so is the contract: short
//! reads inside a file are errors, a failure of the system is never success. The package holds the lock (`ts/node.ts`).

use std::rc::Rc;

use foldb_core::storage::{Storage, StorageError, StorageFile, check_name};
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// The functions of a directory: see `ts/node.ts`. Offsets and lengths are numbers, exact below 2^53.
    #[derive(Debug)]
    pub type NodeFiles;

    #[wasm_bindgen(method, catch)]
    fn list(this: &NodeFiles) -> Result<js_sys::Array, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn create(this: &NodeFiles, name: &str) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn open(this: &NodeFiles, name: &str) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn remove(this: &NodeFiles, name: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &NodeFiles, file: u32);
    #[wasm_bindgen(method, catch)]
    fn size(this: &NodeFiles, file: u32) -> Result<f64, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn read(this: &NodeFiles, file: u32, bytes: &mut [u8], offset: f64) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn write(this: &NodeFiles, file: u32, bytes: &[u8], offset: f64) -> Result<u32, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setSize)]
    fn set_size(this: &NodeFiles, file: u32, size: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn sync(this: &NodeFiles, file: u32) -> Result<(), JsValue>;
}

/// Most bytes that are passed to one call.
const PIECE_BYTES: usize = 1 << 30;

/// The files of one directory, locked by whoever made the [`NodeFiles`].
#[derive(Debug)]
pub struct NodeStorage {
    files: Rc<NodeFiles>,
}

/// An open file of a [`NodeStorage`].
#[derive(Debug)]
pub struct NodeFile {
    files: Rc<NodeFiles>,
    name: String,
    number: u32,
}

impl NodeStorage {
    pub(crate) fn new(files: NodeFiles) -> Self {
        NodeStorage { files: Rc::new(files) }
    }

    fn file(&self, name: &str, number: u32) -> NodeFile {
        NodeFile { files: Rc::clone(&self.files), name: name.into(), number }
    }
}

impl Storage for NodeStorage {
    type File = NodeFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let names = self.files.list().map_err(|error| failure("the directory", "listing", &error))?;
        Ok(names.iter().filter_map(|name| name.as_string()).collect())
    }

    fn create(&self, name: &str) -> Result<NodeFile, StorageError> {
        check_name(name)?;
        self.files.create(name).map(|file| self.file(name, file)).map_err(|error| failure(name, "creating", &error))
    }

    fn open(&self, name: &str) -> Result<NodeFile, StorageError> {
        check_name(name)?;
        self.files.open(name).map(|file| self.file(name, file)).map_err(|error| failure(name, "opening", &error))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        check_name(name)?;
        self.files.remove(name).map_err(|error| failure(name, "removing", &error))
    }
}

impl Drop for NodeFile {
    fn drop(&mut self) {
        self.files.close(self.number);
    }
}

impl NodeFile {
    fn failed(&self, action: &'static str, error: &JsValue) -> StorageError {
        failure(&self.name, action, error)
    }

    fn broken(&self, action: &'static str, message: String) -> StorageError {
        StorageError::Io { name: self.name.clone(), action, message }
    }
}

impl StorageFile for NodeFile {
    fn len(&self) -> Result<u64, StorageError> {
        let size = self.files.size(self.number).map_err(|error| self.failed("reading the length of", &error))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        Ok(size as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let wanted = rest.len().min(PIECE_BYTES);
            let at = offset.saturating_add(done as u64);
            let piece = rest.get_mut(..wanted).unwrap_or_default();
            let read =
                self.files.read(self.number, piece, exact(at)).map_err(|error| self.failed("reading", &error))?;
            let read = usize::try_from(read).unwrap_or(usize::MAX).min(wanted);
            if read == 0 {
                let len = self.len()?;
                if at < len {
                    let message = format!("nothing was read at offset {at} of {len} bytes");
                    return Err(self.broken("reading", message));
                }
                break;
            }
            done += read;
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let piece = rest.get(..rest.len().min(PIECE_BYTES)).unwrap_or(rest);
            let wrote =
                self.files.write(self.number, piece, exact(at)).map_err(|error| self.failed("writing", &error))?;
            let wrote = usize::try_from(wrote).unwrap_or(usize::MAX).min(piece.len());
            if wrote == 0 {
                return Err(self.broken("writing", format!("nothing was written at offset {at}")));
            }
            rest = rest.get(wrote..).unwrap_or_default();
            at = at.saturating_add(wrote as u64);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.files.set_size(self.number, exact(len)).map_err(|error| self.failed("setting the length of", &error))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.files.sync(self.number).map_err(|error| self.failed("syncing", &error))
    }
}

/// An offset as a number. No file reaches 2^53 bytes.
fn exact(offset: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    let number = offset as f64;
    number
}

/// What Node reports, as the storage's error: by its code, never by its words.
fn failure(name: &str, action: &'static str, error: &JsValue) -> StorageError {
    let text = |key: &str| Reflect::get(error, &JsValue::from_str(key)).ok().and_then(|value| value.as_string());
    let name = String::from(name);
    match text("code").as_deref() {
        Some("ENOSPC" | "EDQUOT" | "EFBIG") => StorageError::Full { name, action },
        Some("EACCES" | "EPERM" | "EROFS") => StorageError::Denied { name, action },
        Some("ENOENT") => StorageError::Missing { name },
        Some("EEXIST") => StorageError::Exists { name },
        _ => {
            let message = text("message").or_else(|| error.dyn_ref::<js_sys::JsString>().map(String::from));
            StorageError::Io { name, action, message: message.unwrap_or_else(|| "unknown failure".into()) }
        }
    }
}
