//! How many entries of two runs differ, by primitive.

use foldb::{Diff, DocumentChange, EntryChange};
use serde::Serialize;

use crate::text;

/// How many entries of each primitive differ.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    kv: Count,
    json: Count,
    events: Count,
    state: Count,
    trace: Count,
}

/// How many entries of one primitive differ.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Count {
    added: u64,
    removed: u64,
    changed: u64,
}

impl Counts {
    pub(crate) fn of(diff: &Diff) -> Self {
        let mut counts = Self::default();
        diff.kv.iter().for_each(|pair| counts.kv.entry(&pair.change));
        diff.state.iter().for_each(|cell| counts.state.entry(&cell.change));
        diff.trace.iter().for_each(|(_, change)| counts.trace.entry(change));
        diff.events.iter().flat_map(|stream| &stream.events).for_each(|(_, change)| counts.events.entry(change));
        for document in &diff.json {
            match &document.change {
                DocumentChange::Added(_) => counts.json.added += 1,
                DocumentChange::Removed(_) => counts.json.removed += 1,
                DocumentChange::Changed(_) => counts.json.changed += 1,
            }
        }
        counts
    }

    /// For a person; primitives without differences are left out.
    pub(crate) fn sentence(&self) -> String {
        let primitives = [
            ("pairs", &self.kv),
            ("documents", &self.json),
            ("events", &self.events),
            ("cells", &self.state),
            ("trace entries", &self.trace),
        ];
        let differing: Vec<String> = primitives
            .into_iter()
            .filter(|(_, count)| **count != Count::default())
            .map(|(name, count)| format!("{name}: {}", count.words()))
            .collect();
        if differing.is_empty() { String::from("no differences") } else { differing.join("; ") }
    }
}

impl Count {
    fn entry<T>(&mut self, change: &EntryChange<T>) {
        match change {
            EntryChange::Added(_) => self.added += 1,
            EntryChange::Removed(_) => self.removed += 1,
            EntryChange::Changed { .. } => self.changed += 1,
        }
    }

    fn words(&self) -> String {
        let words = [(self.added, "added"), (self.removed, "removed"), (self.changed, "changed")];
        let words = words.into_iter().filter(|(number, _)| *number > 0);
        words.map(|(number, word)| format!("{} {word}", text::count(number))).collect::<Vec<_>>().join(", ")
    }
}
