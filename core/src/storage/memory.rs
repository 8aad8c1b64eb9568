//! [`MemStorage`]: a storage in memory, for in-memory stores, tests and export.
//!
//! Invariant: a file costs memory only where something was written. Segments are preallocated in large steps; here a
//! preallocated byte that nobody wrote is a chunk that does not exist and reads as zeros.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec, vec::Vec};

use litemap::LiteMap;

use super::{Storage, StorageError, StorageFile, check_name, shared::Shared};

/// Bytes per chunk. Small enough that a test with many tiny files stays small, large enough that a scan of a segment
/// is mostly `memcpy`.
const CHUNK_BYTES: usize = 16 << 10;
const CHUNK_BYTES_WIDE: u64 = 16 << 10;
const _: () = assert!(CHUNK_BYTES as u64 == CHUNK_BYTES_WIDE);

/// Files in memory. A clone is another handle of the same files.
///
/// Everything is "durable" as soon as it is written, for as long as a handle lives; tests that need a disk that loses
/// things use the crash storage of `foldb-testkit`. Opening is not exclusive: whoever clones a handle owns the
/// consequences.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::storage::{MemStorage, Storage, StorageFile};
///
/// let storage = MemStorage::new();
/// storage.create("anchor-a")?.write_at(2, b"ab")?;
/// assert_eq!(storage.clone().files()["anchor-a"], [0, 0, b'a', b'b']);
/// # Ok::<(), foldb_core::storage::StorageError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemStorage {
    files: Shared<LiteMap<String, MemFile>>,
}

/// An open file of a [`MemStorage`]. A clone is another handle of the same bytes. After the file was removed, handles
/// that are still open keep its bytes, as they do on a Unix file system.
#[derive(Clone, Debug, Default)]
pub struct MemFile {
    bytes: Shared<SparseBytes>,
}

/// The bytes of a file: a length and the chunks that were written.
#[derive(Debug, Default)]
struct SparseBytes {
    len: u64,
    /// Bytes at and after `len` are zero in every chunk, so that growing needs no clearing.
    chunks: LiteMap<u64, Box<[u8]>>,
}

impl MemStorage {
    /// A storage without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// A storage with these files, as taken from [`files`](Self::files).
    pub fn from_files<N: Into<String>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, B)>) -> Self {
        let file = |bytes: &[u8]| {
            let file = MemFile::default();
            file.bytes.write(|content| content.write(0, bytes));
            file
        };
        let files = files.into_iter().map(|(name, bytes)| (name.into(), file(bytes.as_ref()))).collect();
        Self { files: Shared::new(files) }
    }

    /// A copy of all files with all their bytes, the never written ones as zeros.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.read(|files| files.iter().map(|(name, file)| (name.clone(), file.to_vec())).collect())
    }
}

impl Storage for MemStorage {
    type File = MemFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.files.read(|files| files.keys().cloned().collect()))
    }

    fn create(&self, name: &str) -> Result<MemFile, StorageError> {
        check_name(name)?;
        self.files.write(|files| {
            if files.contains_key(name) {
                return Err(StorageError::Exists { name: name.into() });
            }
            Ok(files.entry(name.into()).or_default().clone())
        })
    }

    fn open(&self, name: &str) -> Result<MemFile, StorageError> {
        check_name(name)?;
        self.files.read(|files| files.get(name).cloned()).ok_or_else(|| StorageError::Missing { name: name.into() })
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        check_name(name)?;
        let removed = self.files.write(|files| files.remove(name));
        removed.map(drop).ok_or_else(|| StorageError::Missing { name: name.into() })
    }
}

impl MemFile {
    fn to_vec(&self) -> Vec<u8> {
        self.bytes.read(|content| {
            // A length that does not fit the address space cannot be copied out; the allocator would say so anyway.
            let mut bytes = vec![0; usize::try_from(content.len).unwrap_or(usize::MAX)];
            content.read(0, &mut bytes);
            bytes
        })
    }
}

impl StorageFile for MemFile {
    fn len(&self) -> Result<u64, StorageError> {
        Ok(self.bytes.read(|content| content.len))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        Ok(self.bytes.read(|content| content.read(offset, buffer)))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if offset.checked_add(wide(bytes.len())).is_none() {
            // No medium has an offset of 2^64, so this is what every other backend would say.
            return Err(StorageError::Full { name: "memory".into(), action: "writing" });
        }
        self.bytes.write(|content| content.write(offset, bytes));
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.bytes.write(|content| content.set_len(len));
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

impl SparseBytes {
    /// Copies what there is from `offset` on and returns how many bytes that was.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let available = self.len.saturating_sub(offset);
        let count = usize::try_from(available).unwrap_or(usize::MAX).min(buffer.len());
        let (mut rest, _) = buffer.split_at_mut(count);
        let mut at = offset;
        while !rest.is_empty() {
            let (chunk, start) = position(at);
            let (part, behind) = rest.split_at_mut(rest.len().min(CHUNK_BYTES - start));
            match self.chunks.get(&chunk).and_then(|bytes| bytes.get(start..start + part.len())) {
                Some(bytes) => part.copy_from_slice(bytes),
                None => part.fill(0),
            }
            at += wide(part.len());
            rest = behind;
        }
        count
    }

    /// Writes all of `bytes`. The caller has checked that `offset + bytes.len()` does not overflow.
    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (chunk, start) = position(at);
            let (part, behind) = rest.split_at(rest.len().min(CHUNK_BYTES - start));
            let target = self.chunks.entry(chunk).or_insert_with(|| vec![0; CHUNK_BYTES].into());
            if let Some(target) = target.get_mut(start..start + part.len()) {
                target.copy_from_slice(part);
            }
            at += wide(part.len());
            rest = behind;
            // In the loop: a write of nothing beyond the end does not make the file longer.
            self.len = self.len.max(at);
        }
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (chunk, start) = position(len);
            // Cut bytes must not come back when the file grows again.
            let cut = chunk.saturating_add(u64::from(start > 0));
            self.chunks.retain(|chunk, _| *chunk < cut);
            if let Some(tail) = self.chunks.get_mut(&chunk).and_then(|bytes| bytes.get_mut(start..)) {
                tail.fill(0);
            }
        }
        self.len = len;
    }
}

/// The chunk that holds the byte at `offset`, and the place in it, which is below [`CHUNK_BYTES`].
fn position(offset: u64) -> (u64, usize) {
    let start = usize::try_from(offset % CHUNK_BYTES_WIDE).unwrap_or(0);
    (offset / CHUNK_BYTES_WIDE, start)
}

/// A size in memory as a size in a file; it fits 64 bits on every target that exists.
fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
