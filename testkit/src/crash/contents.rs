//! [`Contents`]: the bytes of a file, cheap to keep in many versions.
//!
//! Invariant: a clone shares everything until one of the two writes, and then every page but the written ones. A crash test
//! keeps millions of states of the same few files; copying and hashing them would be most of its time.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

/// As large as what disks write at once: a torn write changes few pages.
const PAGE_BYTES: usize = 512;
const PAGE_BYTES_WIDE: u64 = 512;
const _: () = assert!(PAGE_BYTES as u64 == PAGE_BYTES_WIDE);

/// Bytes of a file. A page that is not there is all zeros, and so is everything at and after the length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    len: u64,
    /// By ascending number.
    pages: Vec<(u64, Arc<Page>)>,
    digest: OnceLock<u64>,
}

/// Whoever copies it is about to change it, so that what is known of its bytes is left behind.
impl Clone for Inner {
    fn clone(&self) -> Self {
        Self { len: self.len, pages: self.pages.clone(), digest: OnceLock::new() }
    }
}

#[derive(Debug)]
struct Page {
    bytes: [u8; PAGE_BYTES],
    digest: OnceLock<u64>,
}

/// As for [`Inner`].
impl Clone for Page {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, digest: OnceLock::new() }
    }
}

impl Page {
    const fn zeros() -> Self {
        Self { bytes: [0; PAGE_BYTES], digest: OnceLock::new() }
    }

    /// The bytes, to be changed.
    fn bytes_mut(&mut self) -> &mut [u8; PAGE_BYTES] {
        self.digest.take();
        &mut self.bytes
    }

    /// 0 for a page of zeros, and for any other page with a probability of 2^-64.
    fn digest(&self) -> u64 {
        *self.digest.get_or_init(|| {
            if is_zero(&self.bytes) {
                return 0;
            }
            let mut hasher = DefaultHasher::new();
            hasher.write(&self.bytes);
            hasher.finish()
        })
    }
}

impl Contents {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        contents.write(0, bytes);
        contents
    }

    pub(crate) fn len(&self) -> u64 {
        self.inner.len
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len()).expect("a file of a test fits the memory")];
        self.read(0, &mut bytes);
        bytes
    }

    /// Copies what there is from `offset` on and returns how many bytes that was.
    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let available = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = available.min(buffer.len());
        let buffer = &mut buffer[..count];
        let (first, _) = position(offset);
        let pages = &self.inner.pages;
        let mut filled = 0;
        for (number, page) in &pages[pages.partition_point(|(number, _)| *number < first)..] {
            // Where the page begins in the buffer, or how much of it lies before the buffer.
            let at = number * PAGE_BYTES_WIDE;
            let skipped = usize::try_from(offset.saturating_sub(at)).unwrap_or(PAGE_BYTES);
            let start = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            if start >= count {
                break;
            }
            let end = count.min(start + PAGE_BYTES - skipped);
            buffer[filled..start].fill(0);
            buffer[start..end].copy_from_slice(&page.bytes[skipped..skipped + (end - start)]);
            filled = end;
        }
        buffer[filled..].fill(0);
        count
    }

    /// Writes all of `bytes`; `offset` plus their number must fit 64 bits.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let inner = Arc::make_mut(&mut self.inner);
        inner.digest.take();
        inner.len = inner.len.max(offset + wide(bytes.len()));
        for (number, start, range) in pieces(offset, bytes.len()) {
            let part = &bytes[range];
            match inner.pages.binary_search_by_key(&number, |(number, _)| *number) {
                Ok(place) => {
                    let page = Arc::make_mut(&mut inner.pages[place].1);
                    page.bytes_mut()[start..start + part.len()].copy_from_slice(part);
                }
                // Preallocated space is written with zeros: it is kept as nothing.
                Err(_) if is_zero(part) => {}
                Err(place) => {
                    let mut page = Page::zeros();
                    page.bytes[start..start + part.len()].copy_from_slice(part);
                    inner.pages.insert(place, (number, Arc::new(page)));
                }
            }
        }
    }

    pub(crate) fn set_len(&mut self, len: u64) {
        if len == self.len() {
            return;
        }
        let inner = Arc::make_mut(&mut self.inner);
        inner.digest.take();
        if len < inner.len {
            let (number, start) = position(len);
            let kept = inner.pages.partition_point(|(other, _)| *other < number + u64::from(start > 0));
            inner.pages.truncate(kept);
            if let Some((last, page)) = inner.pages.last_mut()
                && *last == number
            {
                Arc::make_mut(page).bytes_mut()[start..].fill(0);
            }
        }
        inner.len = len;
    }
}

/// Two files are the same if they read the same, however their zeros are kept.
impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.inner, &other.inner) {
            return true;
        }
        let written =
            |contents: &Self| contents.inner.pages.clone().into_iter().filter(|(_, page)| !is_zero(&page.bytes));
        let same = |(one, other): ((u64, Arc<Page>), (u64, Arc<Page>))| {
            one.0 == other.0 && (Arc::ptr_eq(&one.1, &other.1) || one.1.bytes == other.1.bytes)
        };
        self.len() == other.len()
            && written(self).count() == written(other).count()
            && written(self).zip(written(other)).all(same)
    }
}

impl Eq for Contents {}

/// As equality: zeros count the same whether they are kept or not. What was not written since is not hashed again.
impl Hash for Contents {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let digest = self.inner.digest.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.len());
            for (number, page) in &self.inner.pages {
                let digest = page.digest();
                if digest != 0 {
                    hasher.write_u64(*number);
                    hasher.write_u64(digest);
                }
            }
            hasher.finish()
        });
        state.write_u64(*digest);
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE_BYTES).all(|block| block.iter().fold(0, |union, byte| union | byte) == 0)
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
