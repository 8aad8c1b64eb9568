//! Event streams.

use std::{ops::Bound, sync::Arc};

use super::{Call, Outcome, check_key, choose, finds_nothing};
use crate::model::{
    operation::{Answer, EventFacts, NewEvent, Operation, Scan, StreamFacts},
    space::Stream,
    transaction::Family,
};

impl Call<'_> {
    pub(super) fn stream(&mut self, name: &[u8]) -> Outcome<Option<Stream>> {
        Ok(self.view_at(Family::Streams, name)?.0.streams.get(name).map(|row| row.value.clone()))
    }

    pub(super) fn events(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Append(name, events) => self.append(name, events),
            Operation::Trim(name, keep_from) => {
                let writes = self.transaction.writes_to(self.at)?;
                check_key(name)?;
                let write = writes.streams.entry(name.clone()).or_default();
                // What was trimmed stays trimmed.
                if write.trim.is_none_or(|before| before <= *keep_from) {
                    write.trim = Some(*keep_from);
                    write.trim_first = false;
                }
                Ok(Answer::Unit)
            }
            Operation::DeleteStream(name) => {
                let exists = self.stream(name)?.is_some();
                if exists {
                    let writes = self.transaction.writes_to(self.at)?;
                    check_key(name)?;
                    let write = crate::model::transaction::StreamWrite { deleted: true, ..Default::default() };
                    writes.streams.insert(name.clone(), write);
                }
                Ok(Answer::Bool(exists))
            }
            Operation::Event(name, seq) => {
                let found = self.range(name, (Bound::Included(*seq), Bound::Included(*seq)), None, true)?;
                Ok(Answer::Events(found))
            }
            Operation::Events(name, start, end, limit, reverse) => {
                self.range(name, (*start, *end), *limit, *reverse).map(Answer::Events)
            }
            Operation::Stream(name) => {
                let facts = self.stream(name)?.map(|stream| stream_facts(name, &stream));
                Ok(Answer::Stream(facts))
            }
            Operation::Streams(scan) => self.streams(scan),
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn append(&mut self, name: &[u8], events: &[NewEvent]) -> Outcome {
        if events.is_empty() {
            return Ok(Answer::MaybeNumber(None));
        }
        let writes = self.transaction.writes_to(self.at)?;
        check_key(name)?;
        let write = writes.streams.entry(name.to_vec()).or_default();
        write.trim_first |= write.trim.is_some();
        write.appended.extend_from_slice(events);
        let head = self.now.space(self.at).and_then(|space| space.streams.get(name)).map_or(0, |row| row.value.head);
        Ok(Answer::MaybeNumber(self.learned.commits.then_some(head + 1)))
    }

    pub(super) fn range(
        &mut self,
        name: &[u8],
        (start, end): (Bound<u64>, Bound<u64>),
        limit: Option<usize>,
        reverse: bool,
    ) -> Outcome<Vec<EventFacts>> {
        let Some(stream) = self.stream(name)? else { return Ok(Vec::new()) };
        let inside = |seq: &u64| {
            let behind_start = match start {
                Bound::Included(start) => *seq >= start,
                Bound::Excluded(start) => *seq > start,
                Bound::Unbounded => true,
            };
            behind_start
                && match end {
                    Bound::Included(end) => *seq <= end,
                    Bound::Excluded(end) => *seq < end,
                    Bound::Unbounded => true,
                }
        };
        let facts = |(seq, event): (&u64, &Arc<(NewEvent, u64)>)| {
            let ((kind, payload), time) = &**event;
            (*seq, kind.clone(), payload.clone(), *time)
        };
        let chosen = stream.events.iter().filter(|(seq, _)| inside(seq));
        let limit = limit.unwrap_or(usize::MAX);
        Ok(match reverse {
            true => chosen.rev().take(limit).map(facts).collect(),
            false => chosen.take(limit).map(facts).collect(),
        })
    }

    /// Looks over the committed streams and those that only the transaction has, in one order, as far as it lists them.
    pub(super) fn streams(&mut self, scan: &Scan) -> Outcome {
        if finds_nothing(scan) {
            return Ok(Answer::Streams(Vec::new()));
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.streams, scan, |_, _| true);
        let facts = chosen.rows.iter().map(|(name, row)| stream_facts(name, &row.value)).collect();
        self.look_over(Family::Streams, chosen.looked);
        Ok(Answer::Streams(facts))
    }

    // Cells.
}

fn stream_facts(name: &[u8], stream: &Stream) -> StreamFacts {
    StreamFacts {
        name: name.to_vec(),
        head: stream.head,
        first: stream.first(),
        events: (stream.head + 1).saturating_sub(stream.first()),
        times: (stream.created, stream.appended),
    }
}
