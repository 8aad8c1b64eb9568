//! Where the next frame goes: the active segment, what is buffered for it and what is on its way to the storage.
//!
//! Invariants:
//! - Bytes are in exactly one place: handed over (the storage has them), in flight (one batch at a time), or pending.
//! - The pending bytes follow the bytes in flight, and those follow what was handed over, without gaps.
//! - Nothing is ever buffered beyond the space that was reserved, so a full disk shows before a commit, not after it.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    Result, StoreId,
    log::{FrameSeal, LogEnd, Previous, SEGMENT_HEADER_BYTES, SegmentHeader, write_mark, write_opening},
};

/// How much more than needed is reserved when a segment grows, at least and at most. Growing in steps keeps a small
/// store small and the time that a step takes bounded.
const RESERVE_BYTES_MIN: u64 = 64 << 10;
const RESERVE_BYTES_MAX: u64 = 1 << 20;

/// Upper bound of a frame that says that an opening goes on in a segment.
const OPENING_BYTES_MAX: u64 = 40;

/// Bytes to write at an offset of a segment, and the seq that they reach.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The segment.
    pub segment: u64,
    /// Where in the segment.
    pub offset: u64,
    /// The bytes. Shared, so that readers can be served from them while they are written.
    pub bytes: Arc<Vec<u8>>,
    /// Seq of the last commit in them.
    pub seq: u64,
}

/// What must happen to the storage before a commit can be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpaceNeeded {
    /// Reserve more of the active segment.
    Extend {
        /// The segment.
        segment: u64,
        /// How far the waiting commit itself will write; zeros before this would be overwritten at once.
        write_end: u64,
        /// The length to reserve.
        len: u64,
    },
    /// Reserve more of the segment that an earlier opening has ended cleanly: the log goes on there.
    Resume {
        /// The segment.
        segment: u64,
        /// How far the waiting commit itself will write.
        write_end: u64,
        /// The length to reserve; where that is the file's length, it is reserved already.
        len: u64,
    },
    /// Hand over and sync everything, then create the next segment with this header and reserve this much of it.
    Rotate {
        /// The new segment's header, complete but for its salt, which is random and comes from the host.
        header: SegmentHeader,
        /// How far the waiting commit itself will write.
        write_end: u64,
        /// The length to reserve.
        len: u64,
    },
}

/// A segment in which the log can go on (rule F-25).
#[derive(Clone, Debug)]
pub(crate) struct Resumable {
    pub(crate) number: u64,
    pub(crate) salt: [u8; 16],
    /// Where its last frame ends.
    pub(crate) end: LogEnd,
    /// How long the file is. Behind the end there are zeros.
    pub(crate) len: u64,
}

#[derive(Debug)]
pub(crate) struct LogWriter {
    store: StoreId,
    epoch: u64,
    /// Size at which the log rotates.
    segment_bytes: u64,
    next_segment: u64,
    /// What the next segment's header says about the newest segment.
    previous: Option<Previous>,
    /// The segment that an earlier opening has ended cleanly, until the log goes on in it or in the next.
    resumable: Option<Resumable>,
    pub(crate) active: Option<Active>,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) number: u64,
    pub(crate) seal: FrameSeal,
    /// How much of the file is reserved.
    reserved: u64,
    pub(crate) pending: Vec<u8>,
    /// Where the pending bytes begin.
    pub(crate) pending_offset: u64,
    in_flight: Option<Batch>,
    /// A buffer to use again, so that steady commits allocate nothing.
    spare: Vec<u8>,
    pub(crate) last_seq: u64,
    pub(crate) last_crc: u32,
    /// Where the last transaction ends, or the header where there is none: marks behind it do not count.
    pub(crate) transactions_end: u64,
    /// How far the segment is on stable media.
    pub(crate) synced: u64,
}

impl LogWriter {
    pub(crate) fn new(
        store: StoreId,
        epoch: u64,
        segment_bytes: u64,
        next_segment: u64,
        previous: Option<Previous>,
    ) -> Self {
        LogWriter { store, epoch, segment_bytes, next_segment, previous, resumable: None, active: None }
    }

    /// The log may go on in this segment.
    pub(crate) fn with_resumable(mut self, resumable: Option<Resumable>) -> Self {
        self.resumable = resumable;
        self
    }

    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What has to be done before `bytes` more can be buffered; `None` if there is room.
    pub(crate) fn space_needed(&self, bytes: u64, next_seq: u64) -> Option<SpaceNeeded> {
        if let Some(active) = &self.active {
            let write_end = active.end() + bytes;
            if write_end <= active.reserved {
                return None;
            }
            // A segment may exceed its size for one transaction only: one that would not fit an empty segment either.
            if write_end <= self.segment_bytes || active.end() <= SEGMENT_HEADER_BYTES {
                let len = self.reserve(write_end);
                return Some(SpaceNeeded::Extend { segment: active.number, write_end, len });
            }
        }
        if let Some(resumable) = self.resumable.as_ref().filter(|_| self.active.is_none()) {
            let write_end = resumable.end.offset + OPENING_BYTES_MAX + bytes;
            if write_end <= self.segment_bytes {
                let len = if write_end <= resumable.len { resumable.len } else { self.reserve(write_end) };
                return Some(SpaceNeeded::Resume { segment: resumable.number, write_end, len });
            }
        }
        let write_end = SEGMENT_HEADER_BYTES + bytes;
        Some(SpaceNeeded::Rotate {
            header: SegmentHeader {
                store: self.store,
                segment: self.next_segment,
                epoch: self.epoch,
                salt: [0; 16],
                first_seq: next_seq,
                previous: self.previous(),
            },
            write_end,
            len: self.reserve(write_end),
        })
    }

    fn reserve(&self, write_end: u64) -> u64 {
        let step = (write_end / 2).clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX);
        (write_end + step).min(self.segment_bytes.max(write_end))
    }

    /// What the next segment says about the newest one.
    pub(crate) fn previous(&self) -> Option<Previous> {
        match &self.active {
            Some(active) => Some(Previous {
                segment: active.number,
                valid_len: active.end(),
                last_seq: active.last_seq,
                last_crc: active.last_crc,
            }),
            None => self.previous,
        }
    }

    pub(crate) fn extended(&mut self, len: u64) {
        if let Some(active) = &mut self.active {
            active.reserved = active.reserved.max(len);
        }
    }

    /// Buffers a mark: transactions were written up to `seq`, and are on stable media up to `mark`. Without a segment there
    /// is nothing to mark.
    pub(crate) fn mark(&mut self, seq: u64, mark: u64) -> Result<()> {
        if let Some(active) = &mut self.active {
            let offset = active.end();
            active.last_crc = write_mark(&mut active.pending, &active.seal, offset, seq, mark)?;
        }
        Ok(())
    }

    /// The segment that was ended cleanly has `reserved` bytes now, and takes what comes from now on. The first frame says
    /// that this opening goes on there, behind the transactions up to `seq`.
    pub(crate) fn resumed(&mut self, reserved: u64, seq: u64) -> Result<()> {
        let Some(Resumable { number, salt, end, .. }) = self.resumable.take() else { return Ok(()) };
        let mut active = Active {
            number,
            seal: FrameSeal::new(&salt, number),
            reserved,
            pending: Vec::new(),
            pending_offset: end.offset,
            in_flight: None,
            spare: Vec::new(),
            last_seq: seq,
            last_crc: end.crc,
            // Where folding goes on behind the last transaction: the same place as behind the marks that follow it.
            transactions_end: end.offset,
            synced: end.offset,
        };
        active.last_crc = write_opening(&mut active.pending, &active.seal, end.offset, seq, self.epoch)?;
        self.active = Some(active);
        Ok(())
    }

    /// A new segment is there, with `reserved` bytes, and takes what comes from now on.
    pub(crate) fn rotated(&mut self, header: &SegmentHeader, reserved: u64) {
        debug_assert!(
            self.active.as_ref().is_none_or(Active::is_drained),
            "a segment is left only when it is complete"
        );
        self.previous = self.previous();
        self.next_segment = header.segment + 1;
        self.active = Some(Active {
            number: header.segment,
            seal: FrameSeal::new(&header.salt, header.segment),
            reserved,
            pending: Vec::new(),
            pending_offset: SEGMENT_HEADER_BYTES,
            in_flight: None,
            spare: Vec::new(),
            last_seq: header.first_seq.saturating_sub(1),
            last_crc: 0,
            transactions_end: SEGMENT_HEADER_BYTES,
            synced: SEGMENT_HEADER_BYTES,
        });
        self.resumable = None;
    }
}

/// Where the log ended at some time, as far as frames behind it can be taken back: while they are pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingEnd {
    pending: usize,
    last_seq: u64,
    last_crc: u32,
    transactions_end: u64,
}

impl Active {
    pub(crate) fn pending_end(&self) -> PendingEnd {
        let (pending, transactions_end) = (self.pending.len(), self.transactions_end);
        PendingEnd { pending, last_seq: self.last_seq, last_crc: self.last_crc, transactions_end }
    }

    /// Takes back what was buffered since.
    pub(crate) fn withdraw(&mut self, end: PendingEnd) {
        self.pending.truncate(end.pending);
        (self.last_seq, self.last_crc, self.transactions_end) = (end.last_seq, end.last_crc, end.transactions_end);
    }

    /// Where the next frame begins.
    pub(crate) fn end(&self) -> u64 {
        self.pending_offset + self.pending.len() as u64
    }

    /// How far what was handed out reaches.
    pub(crate) fn handed_out(&self) -> u64 {
        self.pending_offset
    }

    /// Where the segment ends, if all of it is on stable media.
    pub(crate) fn durable_end(&self) -> Option<LogEnd> {
        (self.synced == self.end()).then_some(LogEnd { offset: self.end(), crc: self.last_crc })
    }

    /// Whether the storage has everything.
    pub(crate) fn is_drained(&self) -> bool {
        self.pending.is_empty() && self.in_flight.is_none()
    }

    /// Takes what is pending for writing; `None` where nothing is, or where a batch is on its way already.
    pub(crate) fn take(&mut self, seq: u64) -> Option<Batch> {
        if self.pending.is_empty() || self.in_flight.is_some() {
            return None;
        }
        let bytes = core::mem::replace(&mut self.pending, core::mem::take(&mut self.spare));
        let batch = Batch { segment: self.number, offset: self.pending_offset, bytes: Arc::new(bytes), seq };
        self.pending_offset += batch.bytes.len() as u64;
        self.in_flight = Some(batch.clone());
        Some(batch)
    }

    /// Whether a batch is on its way to the storage.
    pub(crate) fn is_writing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// What is pending is with the storage now, though it was never taken.
    pub(crate) fn wrote_pending(&mut self) {
        self.pending_offset = self.end();
        self.pending.clear();
    }

    /// The batch is with the storage now.
    pub(crate) fn written(&mut self, batch: Batch) {
        self.in_flight = None;
        if let Ok(mut bytes) = Arc::try_unwrap(batch.bytes) {
            bytes.clear();
            self.spare = bytes;
        }
    }

    /// Bytes that are not with the storage yet; `None` where they are.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let within = |base: u64, bytes: &[u8]| {
            let start = usize::try_from(offset.checked_sub(base)?).ok()?;
            bytes.get(start..start.checked_add(len)?).map(<[u8]>::to_vec)
        };
        within(self.pending_offset, &self.pending)
            .or_else(|| self.in_flight.as_ref().and_then(|batch| within(batch.offset, &batch.bytes)))
    }
}
