//! Trace entries.

use std::ops::Bound;

use foldb_core::ErrorKind;

use super::{Call, IDS_END_MICROS, Outcome, choose, finds_nothing, wide};
use crate::model::{
    operation::{Answer, EntryFacts, Id, Operation, Scan},
    space::Entry,
    transaction::{Family, Index},
};

impl Call<'_> {
    pub(super) fn entry(&mut self, id: &Id) -> Outcome<Option<Entry>> {
        Ok(self.view_at(Family::Entries, id)?.0.entries.get(&id[..]).map(|row| row.value.clone()))
    }

    pub(super) fn trace(&mut self, operation: &Operation) -> Outcome {
        let now = self.learned.now;
        match operation {
            Operation::Record { kind, name, parent, time, duration, data } => {
                if kind.name().is_empty() || kind.name().contains('\0') {
                    return Err(ErrorKind::Invalid);
                }
                let entry = Entry {
                    kind: kind.clone(),
                    name: name.clone(),
                    parent: *parent,
                    time: time.unwrap_or(now),
                    duration: *duration,
                    data: data.clone(),
                    output: foldb_core::value::Value::Null,
                };
                let id = id_of(entry.time, self.learned.random);
                self.transaction.writes_to(self.at)?.entries.insert(id.to_vec(), entry);
                Ok(Answer::Id(id))
            }
            Operation::Finish(id, output, duration) => {
                let mut entry = self.entry(id)?.ok_or(ErrorKind::NotFound)?;
                entry.duration = Some(duration.unwrap_or(now.saturating_sub(entry.time)));
                if let Some(output) = output {
                    entry.output = output.clone();
                }
                self.transaction.writes_to(self.at)?.entries.insert(id.to_vec(), entry.clone());
                Ok(Answer::Entry(Some(entry.facts(id))))
            }
            Operation::Entry(id) => Ok(Answer::Entry(self.entry(id)?.map(|entry| entry.facts(id)))),
            Operation::Entries(scan) => self.entries(scan, |_| true),
            Operation::CountEntries => match self.entries(&Scan::all(), |_| true)? {
                Answer::Entries(entries) => Ok(Answer::Number(wide(entries.len()))),
                other => Ok(other),
            },
            Operation::Children(parent, scan) => self.indexed(&Index::Parent(Some(*parent)), scan),
            Operation::Roots(scan) => self.indexed(&Index::Parent(None), scan),
            Operation::OfKind(kind, scan) => self.indexed(&Index::Kind(kind.name().into()), scan),
            Operation::InTime(from, to, scan) => self.entries_in_time(*from, *to, scan),
            _ => Ok(Answer::Unit),
        }
    }

    pub(super) fn entries(&mut self, scan: &Scan, wanted: impl Fn(&Entry) -> bool) -> Outcome {
        if finds_nothing(scan) {
            return Ok(Answer::Entries(Vec::new()));
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.entries, scan, |_, row| wanted(&row.value));
        let entries: Vec<EntryFacts> = chosen.rows.iter().map(|(key, row)| row.value.facts(key)).collect();
        self.look_over(Family::Entries, chosen.looked);
        Ok(Answer::Entries(entries))
    }

    /// Ids sort by time, so a range of times is a range of ids: the scan looks no further.
    pub(super) fn entries_in_time(&mut self, from: u64, to: u64, scan: &Scan) -> Outcome {
        if from >= to {
            return Ok(Answer::Entries(Vec::new()));
        }
        let lowest = |micros: u64| {
            let mut id = time_of_id(micros).to_vec();
            id.extend([0; 8]);
            id
        };
        // No id is of a later time than this.
        let end = if to < IDS_END_MICROS { Bound::Excluded(lowest(to)) } else { Bound::Unbounded };
        let scan = Scan { start: Bound::Included(lowest(from)), end, ..scan.clone() };
        self.entries(&scan, |entry| (from..to).contains(&entry.time))
    }

    /// The index says which; each of them is then looked at.
    pub(super) fn indexed(&mut self, index: &Index, scan: &Scan) -> Outcome {
        if finds_nothing(scan) {
            return Ok(Answer::Entries(Vec::new()));
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.entries, scan, |_, row| index.lists(&row.value));
        let entries: Vec<EntryFacts> = chosen.rows.iter().map(|(key, row)| row.value.facts(key)).collect();
        if let Some(bounds) = chosen.looked {
            self.transaction.look_up(self.now, self.at, index.clone(), bounds);
        }
        for entry in &entries {
            self.look(Family::Entries, &entry.id);
        }
        Ok(Answer::Entries(entries))
    }
}

/// The half of an id that is its time: milliseconds, version 7, the rest in 1/4096 of a millisecond.
fn time_of_id(micros: u64) -> [u8; 8] {
    let (millis, rest) = (micros / 1000, micros % 1000);
    ((millis << 16) | 0x7000 | (rest * 4096 / 1000)).to_be_bytes()
}

/// A UUID of version 7 (RFC 9562, section 5.7): the time, and random bytes with the variant in their first two bits.
fn id_of(micros: u64, random: Id) -> Id {
    let mut id = random;
    id[..8].copy_from_slice(&time_of_id(micros));
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}
