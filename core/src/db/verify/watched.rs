//! Long reads that can be stopped: whoever waits for them is asked now and then whether to go on.
//!
//! Invariant: once the answer was no, every read fails with [`Error::Cancelled`], and nobody is asked again.

use alloc::{borrow::ToOwned, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use crate::{
    Error, Result,
    recovery::Progress,
    state::Source,
    storage::{StorageError, StorageFile},
    tree::{PageRef, PageSource},
};

/// How many bytes are read before somebody is asked.
const ASK_BYTES: u64 = 1 << 20;
/// What a read costs beside its bytes, in bytes: many small ones take their time too.
const READ_BYTES: u64 = 4096;

/// Asks whoever waits.
pub(super) struct Watch<'a> {
    progress: RefCell<&'a mut dyn FnMut(Progress) -> ControlFlow<()>>,
    at: Progress,
    bytes: Cell<u64>,
    is_cancelled: Cell<bool>,
}

impl<'a> Watch<'a> {
    /// Asks for the first time. Fails with [`Error::Cancelled`].
    pub(super) fn new(progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>, at: Progress) -> Result<Self> {
        let watch = Watch { progress: RefCell::new(progress), at, bytes: Cell::new(0), is_cancelled: Cell::new(false) };
        watch.ask()?;
        Ok(watch)
    }

    /// So many bytes were read, or are about to be. Asks when many have come together.
    pub(super) fn passed(&self, bytes: u64) -> Result<()> {
        let passed = self.bytes.get().saturating_add(bytes);
        if passed < ASK_BYTES {
            self.bytes.set(passed);
            return self.check();
        }
        self.bytes.set(0);
        self.ask()
    }

    /// Fails with [`Error::Cancelled`] if somebody has said so.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_cancelled.get() { Err(Error::Cancelled { what: "verification" }) } else { Ok(()) }
    }

    fn ask(&self) -> Result<()> {
        self.check()?;
        // The callback has no way to come back here.
        let answer = self.progress.try_borrow_mut().map_or(ControlFlow::Continue(()), |mut ask| ask(self.at));
        self.is_cancelled.set(answer.is_break());
        self.check()
    }
}

/// A source whose reads can be stopped.
pub(super) struct Watched<'a, 'w> {
    pub(super) source: &'a dyn Source,
    pub(super) watch: &'a Watch<'w>,
}

impl PageSource for Watched<'_, '_> {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        self.watch.passed(u64::from(at.len).saturating_add(READ_BYTES))?;
        self.source.page(at)
    }
}

impl Source for Watched<'_, '_> {
    fn log_bytes(&self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.watch.passed((len as u64).saturating_add(READ_BYTES))?;
        self.source.log_bytes(segment, offset, len)
    }

    fn log_len(&self, segment: u64) -> Result<u64> {
        self.source.log_len(segment)
    }
}

/// A file whose reads can be stopped; it is only read.
pub(super) struct WatchedFile<'a, 'w, F> {
    file: &'a F,
    watch: &'a Watch<'w>,
}

impl<'a, 'w, F: StorageFile> WatchedFile<'a, 'w, F> {
    pub(super) fn new(file: &'a F, watch: &'a Watch<'w>) -> Self {
        WatchedFile { file, watch }
    }
}

fn refused(action: &'static str) -> StorageError {
    StorageError::Io { name: "a file that is verified".to_owned(), action, message: "it is only read".to_owned() }
}

impl<F: StorageFile> StorageFile for WatchedFile<'_, '_, F> {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    /// Where the work was stopped, that is an error of this file; whoever works says it better.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.watch.passed((buffer.len() as u64).saturating_add(READ_BYTES)).map_err(|_| refused("reading"))?;
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
        Err(refused("writing"))
    }

    fn set_len(&self, _: u64) -> Result<(), StorageError> {
        Err(refused("extending"))
    }

    fn sync(&self) -> Result<(), StorageError> {
        Err(refused("syncing"))
    }
}
