//! [`Image`]: the files as they are found after a crash, or as damage leaves them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    ops::Range,
    sync::Arc,
};

use foldb_core::storage::MemStorage;

use super::contents::Contents;

/// The names and bytes of all files at rest. A clone is cheap.
///
/// The methods that change it play the part of bad hardware and careless people. They panic if the file is not there,
/// because a test that damages nothing proves nothing.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Image {
    pub(crate) files: BTreeMap<Arc<str>, Contents>,
}

impl Image {
    /// An image of these files.
    pub fn from_files<N: Into<String>, B: AsRef<[u8]>>(files: impl IntoIterator<Item = (N, B)>) -> Self {
        let files = files.into_iter().map(|(name, bytes)| (name.into().into(), Contents::new(bytes.as_ref())));
        Self { files: files.collect() }
    }

    /// All files with their bytes.
    pub fn to_files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.iter().map(|(name, contents)| (name.to_string(), contents.to_vec())).collect()
    }

    /// The files as an ordinary storage, for work that should not be journaled.
    pub fn to_memory(&self) -> MemStorage {
        MemStorage::from_files(self.to_files())
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(|name| &**name)
    }

    /// The bytes of a file.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(name).map(Contents::to_vec)
    }

    /// The length of a file in bytes.
    pub fn len(&self, name: &str) -> Option<u64> {
        self.files.get(name).map(Contents::len)
    }

    /// Every offset of a file, for tests that cut or damage it at each. Empty if there is no such file.
    pub fn offsets(&self, name: &str) -> Range<u64> {
        0..self.len(name).unwrap_or(0)
    }

    /// Whether there are no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Adds a file, or replaces all of it.
    pub fn put(&mut self, name: &str, bytes: &[u8]) {
        self.files.insert(name.into(), Contents::new(bytes));
    }

    /// Takes a file away and returns its bytes.
    pub fn remove(&mut self, name: &str) -> Vec<u8> {
        match self.files.entry(name.into()) {
            Entry::Occupied(entry) => entry.remove().to_vec(),
            Entry::Vacant(_) => panic!("the image has no file {name}"),
        }
    }

    /// Writes bytes over what is there; beyond the end the file grows.
    pub fn overwrite(&mut self, name: &str, offset: u64, bytes: &[u8]) {
        self.file(name).write(offset, bytes);
    }

    /// Cuts a file, or appends zeros to it.
    pub fn set_len(&mut self, name: &str, len: u64) {
        self.file(name).set_len(len);
    }

    /// Flips one bit of the byte at `offset`, which must be inside the file.
    pub fn flip_bit(&mut self, name: &str, offset: u64, bit: u32) {
        let file = self.file(name);
        let mut byte = [0];
        assert_eq!(file.read(offset, &mut byte), 1, "{name} ends before offset {offset}");
        file.write(offset, &[byte[0] ^ (1 << (bit % 8))]);
    }

    /// Overwrites `count` bytes with zeros, as a lost page of the medium reads.
    pub fn zero(&mut self, name: &str, offset: u64, count: usize) {
        self.overwrite(name, offset, &vec![0; count]);
    }

    /// Appends bytes that nobody wrote, as some file systems leave behind a grown length.
    pub fn append(&mut self, name: &str, bytes: &[u8]) {
        let end = self.file(name).len();
        self.overwrite(name, end, bytes);
    }

    /// Bytes in all files together.
    pub fn total_bytes(&self) -> u64 {
        self.files.values().map(Contents::len).sum()
    }

    fn file(&mut self, name: &str) -> &mut Contents {
        self.files.get_mut(name).unwrap_or_else(|| panic!("the image has no file {name}"))
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and lengths: the bytes of a whole store help nobody in the output of a test.
        f.debug_map().entries(self.files.iter().map(|(name, contents)| (name, contents.len()))).finish()
    }
}

impl From<&MemStorage> for Image {
    fn from(storage: &MemStorage) -> Self {
        Self::from_files(storage.files())
    }
}
