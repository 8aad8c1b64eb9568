//! [`Contents`]: the bytes of a file, cheap to keep in many versions.
//!
//! Invariant: a clone shares every page until one of the two writes to it. A crash test keeps thousands of states of the
//! same few files; copying them would be most of its time.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

const PAGE_BYTES: usize = 4096;
const PAGE_BYTES_WIDE: u64 = 4096;
const _: () = assert!(PAGE_BYTES as u64 == PAGE_BYTES_WIDE);

/// Bytes of a file. A page that is not there is all zeros, and so is everything at and after the length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_BYTES]>>,
}

impl Contents {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        contents.write(0, bytes);
        contents
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).expect("a file of a test fits the memory")];
        self.read(0, &mut bytes);
        bytes
    }

    /// Copies what there is from `offset` on and returns how many bytes that was.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = available.min(buffer.len());
        for (page, start, range) in pieces(offset, count) {
            let part = &mut buffer[range];
            match self.pages.get(&page) {
                Some(bytes) => part.copy_from_slice(&bytes[start..start + part.len()]),
                None => part.fill(0),
            }
        }
        count
    }

    /// Writes all of `bytes`; `offset` plus their number must fit 64 bits.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (page, start, range) in pieces(offset, bytes.len()) {
            let part = &bytes[range];
            let target = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(target)[start..start + part.len()].copy_from_slice(part);
        }
        if !bytes.is_empty() {
            self.len = self.len.max(offset + wide(bytes.len()));
        }
    }

    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (page, start) = position(len);
            self.pages.split_off(&(page + u64::from(start > 0)));
            if let Some(bytes) = self.pages.get_mut(&page) {
                Arc::make_mut(bytes)[start..].fill(0);
            }
        }
        self.len = len;
    }
}

/// Two files are the same if they read the same, however their zeros are kept.
impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        let same_page = |page: &u64| match (self.pages.get(page), other.pages.get(page)) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another) || one == another,
            (Some(bytes), None) | (None, Some(bytes)) => bytes.iter().all(|byte| *byte == 0),
            (None, None) => true,
        };
        self.len == other.len && self.pages.keys().chain(other.pages.keys()).all(same_page)
    }
}

impl Eq for Contents {}

/// As equality: zeros count the same whether they are kept or not.
impl Hash for Contents {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        for (page, bytes) in &self.pages {
            // Up to the last byte that is not zero: most pages are mostly empty, and hashing zeros would be the cost.
            if let Some(end) = bytes.iter().rposition(|byte| *byte != 0) {
                page.hash(state);
                bytes[..=end].hash(state);
            }
        }
    }
}

/// Cuts `count` bytes at `offset` into pages: page, place in the page, range of the caller's bytes.
fn pieces(offset: u64, count: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        (done < count).then(|| {
            let (page, start) = position(offset + wide(done));
            let range = done..count.min(done + PAGE_BYTES - start);
            done = range.end;
            (page, start, range)
        })
    })
}

fn position(offset: u64) -> (u64, usize) {
    (offset / PAGE_BYTES_WIDE, usize::try_from(offset % PAGE_BYTES_WIDE).unwrap_or(0))
}

/// A size in memory as a size in a file.
pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
