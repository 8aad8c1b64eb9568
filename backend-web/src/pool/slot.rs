//! One pool file: its handle, and the protocol by which its header changes.
//!
//! Invariants (the rules are those of `docs/platform.md`, "The pool's files"):
//! - A copy of the header is written over only while the other one is on the medium and says what was before (rule 4).
//! - After a failed header write or flush nothing is written or flushed any more: a later flush could make durable what
//!   the failed one left open, or report as durable what is not.

use std::cell::Cell;

use super::{
    AccessHandle, Failure,
    directory::Owned,
    header::{COPY_OFFSETS, Decoded, HEADER_BYTES, Header, decode},
    positioned,
};

#[derive(Debug)]
pub(super) struct Slot<H: AccessHandle> {
    pub(super) number: u64,
    handle: Owned<H>,
    header: Cell<HeaderState>,
    /// Which life this is: the counter of the header that gave the file its name, or 0. A handle of an earlier life must
    /// not reach the bytes of this one.
    life: Cell<u64>,
}

/// Where the header stands.
#[derive(Clone, Copy, Debug)]
struct HeaderState {
    /// The copy that was written last, and its counter.
    place: usize,
    counter: u64,
    /// Whether the other copy says the same.
    settled: bool,
    /// Whether everything written to the header is on the medium.
    flushed: bool,
    broken: bool,
}

/// What a pool file turned out to be when the pool was opened.
#[derive(Debug)]
pub(super) enum Adopted<H: AccessHandle> {
    Free(Slot<H>),
    Named(Slot<H>, String),
    /// It was made and never finished.
    Blank,
    /// Neither copy of the header passes. It is left alone.
    Damaged,
    /// Its header was written by a newer version of foldb.
    Newer(u32),
}

impl<H: AccessHandle> Slot<H> {
    /// Makes a new file a free pool file. It is one when this returns, also after a crash (rule 3).
    pub(super) fn format(handle: Owned<H>, number: u64, counter: u64) -> Result<Self, Failure> {
        let state = HeaderState { place: 0, counter, settled: true, flushed: false, broken: false };
        let slot = Slot { number, handle, header: Cell::new(state), life: Cell::new(0) };
        slot.handle.truncate(0)?;
        slot.handle.truncate(HEADER_BYTES)?;
        slot.write_copy(0, &Header { counter, name: None })?;
        slot.write_copy(1, &Header { counter, name: None })?;
        slot.flush()?;
        Ok(slot)
    }

    /// Reads what a pool file is. A free one is ready for use when this returns.
    pub(super) fn adopt(handle: Owned<H>, number: u64) -> Result<Adopted<H>, Failure> {
        let len = handle.len()?;
        // On the heap: the stack of a worker is small.
        let mut block = vec![0; usize::try_from(HEADER_BYTES).unwrap_or(0)];
        let read = positioned::read(&*handle, 0, &mut block)?;
        block.truncate(read);
        let (header, place, settled) = match decode(&block, number, len) {
            Decoded::Blank => return Ok(Adopted::Blank),
            Decoded::Valid { header, place, settled } => (header, place, settled),
            Decoded::Newer { version } => return Ok(Adopted::Newer(version)),
            Decoded::Damaged => return Ok(Adopted::Damaged),
        };
        let state = HeaderState { place, counter: header.counter, settled, flushed: false, broken: false };
        let slot = Slot { number, handle, header: Cell::new(state), life: Cell::new(0) };
        match header.name {
            Some(name) => {
                slot.life.set(header.counter);
                Ok(Adopted::Named(slot, name))
            }
            None => {
                if len != HEADER_BYTES || !settled {
                    // Its removal was cut short.
                    slot.empty()?;
                }
                Ok(Adopted::Free(slot))
            }
        }
    }

    pub(super) fn counter(&self) -> u64 {
        self.header.get().counter
    }

    pub(super) fn life(&self) -> u64 {
        self.life.get()
    }

    /// Gives the free file a name. It is durable with the next flush.
    pub(super) fn claim(&self, name: &str, counter: u64) -> Result<(), Failure> {
        self.change(&Header { counter, name: Some(name.into()) })?;
        self.life.set(counter);
        Ok(())
    }

    /// Takes the name away, durably.
    pub(super) fn release(&self, counter: u64) -> Result<(), Failure> {
        self.change(&Header { counter, name: None })?;
        self.flush()?;
        self.life.set(0);
        Ok(())
    }

    /// Cuts off what a released file held, durably, so that it can be given another name.
    pub(super) fn empty(&self) -> Result<(), Failure> {
        let state = self.usable()?;
        if !state.flushed {
            // The mark is on the medium before a byte is cut off: a name that comes back has its bytes.
            self.flush()?;
        }
        let header = Header { counter: state.counter, name: None };
        self.write_copy(1 - state.place, &header)?;
        self.handle.truncate(HEADER_BYTES).inspect_err(|_| self.break_off())?;
        self.header.set(HeaderState { settled: true, flushed: false, ..self.header.get() });
        self.flush()
    }

    /// Brings bytes, length and name to the medium. The second copy of the header follows the first once that is there.
    pub(super) fn sync(&self, name: &str) -> Result<(), Failure> {
        self.flush()?;
        let state = self.header.get();
        if !state.settled {
            self.write_copy(1 - state.place, &Header { counter: state.counter, name: Some(name.into()) })?;
            self.header.set(HeaderState { settled: true, flushed: false, ..state });
        }
        Ok(())
    }

    /// Length of the file of the store.
    pub(super) fn len(&self) -> Result<u64, Failure> {
        Ok(self.handle.len()?.saturating_sub(HEADER_BYTES))
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        match offset.checked_add(HEADER_BYTES) {
            Some(at) => positioned::read(&*self.handle, at, buffer),
            None => Ok(0),
        }
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.usable()?;
        positioned::write(&*self.handle, offset.checked_add(HEADER_BYTES).ok_or(Failure::Full)?, bytes)
    }

    pub(super) fn set_len(&self, len: u64) -> Result<(), Failure> {
        self.usable()?;
        self.handle.truncate(len.checked_add(HEADER_BYTES).ok_or(Failure::Full)?)
    }

    fn change(&self, header: &Header) -> Result<(), Failure> {
        if !self.usable()?.flushed {
            self.flush()?;
        }
        let place = 1 - self.header.get().place;
        self.write_copy(place, header)?;
        let counter = header.counter;
        self.header.set(HeaderState { place, counter, settled: false, flushed: false, broken: false });
        Ok(())
    }

    fn write_copy(&self, place: usize, header: &Header) -> Result<(), Failure> {
        let at = COPY_OFFSETS.get(place).copied().unwrap_or(0);
        positioned::write(&*self.handle, at, &header.encode(self.number)).inspect_err(|_| self.break_off())
    }

    fn flush(&self) -> Result<(), Failure> {
        let state = self.usable()?;
        self.handle.flush().inspect_err(|_| self.break_off())?;
        self.header.set(HeaderState { flushed: true, ..state });
        Ok(())
    }

    fn break_off(&self) {
        self.header.set(HeaderState { broken: true, ..self.header.get() });
    }

    fn usable(&self) -> Result<HeaderState, Failure> {
        let state = self.header.get();
        if state.broken {
            let message = "an earlier write of its header, or a flush, failed; reopen the store";
            return Err(Failure::Other(message.into()));
        }
        Ok(state)
    }
}
