//! Event streams in the fold: appending, trimming, deleting. Rules F-34, F-35 and F-39.
//!
//! Invariant: each of these looks at the batches that come or go and at one more, whatever else the stream holds. Somebody who
//! consumes a stream event by event must not pay for all of it each time, live, in recovery and in replay.

use alloc::vec::Vec;
use core::ops::{Bound, ControlFlow};

use super::{Place, Space};
use crate::{
    Result,
    log::Op,
    planted::{self, Planted},
    state::{BatchIndex, EventBytes, Family, StreamInfo, batch_key, batch_prefix, entry_kind, operation::trimmed_to},
    tree::{Direction, KeyRange, PageSource},
};

/// The tree keys of all batches of a stream.
pub(crate) fn batches_of(stream: &[u8]) -> KeyRange {
    KeyRange::prefix(Family::Batch.key(&batch_prefix(stream)))
}

impl Space {
    pub(crate) fn stream(&self, stream: &[u8], pages: &dyn PageSource) -> Result<Option<StreamInfo>> {
        match self.tree.get(&Family::Stream.key(stream), pages)? {
            Some(entry) => StreamInfo::decode(entry.value).map(Some),
            None => Ok(None),
        }
    }

    /// The tree keys of the batches that a trim to `keep` removes: those of which all events are below. `None` where there are
    /// none. Batches follow each other without gaps, so they are those before the one that holds `keep`.
    pub(crate) fn batches_before(
        &self,
        stream: &[u8],
        info: &StreamInfo,
        keep: u64,
        pages: &dyn PageSource,
    ) -> Result<Option<KeyRange>> {
        if keep <= info.first {
            return Ok(None);
        }
        let all = batches_of(stream);
        if keep > info.head {
            return Ok(Some(all));
        }
        let up_to_kept = Bound::Included(Family::Batch.key(&batch_key(stream, keep)));
        let mut kept: Option<Vec<u8>> = None;
        self.tree.visit(&KeyRange::new(all.start.clone(), up_to_kept), Direction::Backward, pages, &mut |key, _| {
            kept = Some(key.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(kept.map(|kept| KeyRange::new(all.start, Bound::Excluded(kept))))
    }

    pub(super) fn append(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<(u64, u64)> {
        let mut info = self.stream(op.key, place.pages)?.unwrap_or_else(|| StreamInfo::new(place.time_micros));
        let events = EventBytes::parse(op.body)?;
        // The events are the end of the body, behind their count.
        let offset = place.offset(op) + (op.body.len() - events.bytes.len()) as u64;
        let first_seq = info.head + 1;
        let index =
            BatchIndex::build(&events, (place.frame.segment, offset), place.time_micros, &info.link, first_seq)?;
        info.head += events.count;
        info.bytes += events.bytes.len() as u64;
        info.appended_micros = place.time_micros;
        if !planted::active(Planted::EventLinkForgotten) {
            info.link = index.link;
        }
        self.set(&Family::Batch.key(&batch_key(op.key, first_seq)), entry_kind::BATCH, &index.encode(), place)?;
        self.set(&Family::Stream.key(op.key), entry_kind::INLINE, &info.encode(), place)?;
        Ok((first_seq, events.count))
    }

    /// Forgets events below a seq. A batch goes when all of its events are below; the chain stays verifiable from the
    /// first batch that is kept, because each batch carries its link.
    pub(super) fn trim(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let Some(mut info) = self.stream(op.key, place.pages)? else { return Ok(()) };
        let keep = trimmed_to(op.body)?.min(info.head + 1);
        if keep <= info.first || planted::active(Planted::TrimForgotten) {
            return Ok(());
        }
        if let Some(gone) = self.batches_before(op.key, &info, keep, place.pages)? {
            self.unset_range(&gone, place)?;
        }
        info.first = keep;
        self.set(&Family::Stream.key(op.key), entry_kind::INLINE, &info.encode(), place)
    }

    pub(super) fn delete_stream(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        self.unset_range(&batches_of(op.key), place)?;
        self.unset(&Family::Stream.key(op.key), place).map(|_| ())
    }
}
