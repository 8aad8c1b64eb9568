//! What each call answers, and what it writes: the documentation of the primitives, sentence by sentence.

mod cells;
mod documents;
mod events;
mod pairs;
mod trace;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use foldb_core::ErrorKind;

pub(crate) use self::cells::transition;
use super::{
    Model, Space, SpaceId,
    operation::{Answer, Id, Key, Operation, Scan},
    space::Row,
    transaction::{Bounds, Family, ModelTransaction, is_empty},
};

/// The longest key.
const KEY_BYTES_MAX: usize = 1024;

/// What the model cannot know of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learned {
    /// The random bytes that the store was given for an id.
    pub random: Id,
    /// The time of the call.
    pub now: u64,
    /// Whether the call is a transaction by itself, and so knows the seqs of its events.
    pub commits: bool,
}

/// The first time that ids have no room for: 2^48 milliseconds.
const IDS_END_MICROS: u64 = (1 << 48) * 1000;

type Outcome<T = Answer> = Result<T, ErrorKind>;

fn check_key(key: &[u8]) -> Outcome<()> {
    if key.len() > KEY_BYTES_MAX { Err(ErrorKind::Limit) } else { Ok(()) }
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// The rows of a table that a scan chooses, and how far it had to look.
struct Chosen<'t, T> {
    rows: Vec<(&'t Key, &'t Row<T>)>,
    /// `None` where it did not look at all.
    looked: Option<Bounds>,
}

fn bounds(scan: &Scan) -> Bounds {
    let (mut start, mut end) = (scan.start.clone(), scan.end.clone());
    if let Some(after) = &scan.after {
        let passed = |key: &Key| if scan.reverse { key > after } else { key < after };
        match (scan.reverse, &start, &end) {
            (false, Bound::Included(key) | Bound::Excluded(key), _) if !passed(key) && key != after => {}
            (false, ..) => start = Bound::Excluded(after.clone()),
            (true, _, Bound::Included(key) | Bound::Excluded(key)) if !passed(key) && key != after => {}
            (true, ..) => end = Bound::Excluded(after.clone()),
        }
    }
    (start, end)
}

/// A scan that cannot find anything does not look, and so takes no version.
fn finds_nothing(scan: &Scan) -> bool {
    scan.limit == Some(0) || is_empty(&bounds(scan))
}

/// A scan ends behind the last key that it wants; what is behind that was not looked at.
fn choose<'t, T>(
    table: &'t BTreeMap<Key, Arc<Row<T>>>,
    scan: &Scan,
    wanted: impl Fn(&Key, &Row<T>) -> bool,
) -> Chosen<'t, T> {
    let bounds = bounds(scan);
    let limit = scan.limit.unwrap_or(usize::MAX);
    if finds_nothing(scan) {
        return Chosen { rows: Vec::new(), looked: None };
    }
    let range = table.range::<Key, _>(bounds.clone()).map(|(key, row)| (key, &**row));
    let listed = |(key, row): &(&Key, &Row<T>)| wanted(key, row);
    let rows: Vec<_> = if scan.reverse {
        range.rev().filter(listed).take(limit).collect()
    } else {
        range.filter(listed).take(limit).collect()
    };
    let (start, end) = bounds;
    let looked = match rows.last() {
        Some((last, _)) if rows.len() == limit => {
            let stop = Bound::Included((*last).clone());
            if scan.reverse { (stop, end) } else { (start, stop) }
        }
        _ => (start, end),
    };
    Chosen { rows, looked: Some(looked) }
}

impl ModelTransaction {
    /// Does one call, and says what it answers. What fails writes nothing.
    pub fn perform(&mut self, now: &Model, at: SpaceId, operation: &Operation, learned: Learned) -> Outcome {
        let before = self.writes.clone();
        let outcome = Call { transaction: self, now, at, learned }.perform(operation);
        if outcome.is_err() {
            self.writes = before;
        }
        outcome
    }
}

/// One call.
struct Call<'c> {
    transaction: &'c mut ModelTransaction,
    now: &'c Model,
    at: SpaceId,
    learned: Learned,
}

impl Call<'_> {
    fn view(&mut self) -> Outcome<(Space, BTreeSet<Key>)> {
        self.transaction.view(self.now, self.at)
    }

    /// The space as far as one key of it goes, which is looked at.
    fn view_at(&mut self, family: Family, key: &[u8]) -> Outcome<(Space, BTreeSet<Key>)> {
        if self.transaction.decides(self.at, family, key) {
            return Ok((self.transaction.own(self.at), BTreeSet::new()));
        }
        self.look(family, key);
        self.view()
    }

    fn look(&mut self, family: Family, key: &[u8]) {
        self.transaction.look(self.now, self.at, family, key);
    }

    fn look_over(&mut self, family: Family, looked: Option<Bounds>) {
        if let Some(bounds) = looked {
            self.transaction.look_over(self.now, self.at, family, bounds);
        }
    }

    fn perform(&mut self, operation: &Operation) -> Outcome {
        use Operation as O;
        match operation {
            O::Put(..) | O::PutMany(_) | O::PutUntil(..) | O::Remove(_) | O::Add(..) => self.write_blindly(operation),
            O::ExpireAt(..)
            | O::Persist(_)
            | O::Delete(_)
            | O::DeleteMany(_)
            | O::Update(..)
            | O::PutIfAbsent(..)
            | O::CasVersion(..)
            | O::CasValue(..)
            | O::GetAndPut(..)
            | O::GetAndDelete(_)
            | O::Rename(..) => self.change_pair(operation),
            O::ExpiresAt(_)
            | O::Get(_)
            | O::GetVersioned(_)
            | O::GetMany(_)
            | O::Exists(_)
            | O::Count(_)
            | O::Keys(_)
            | O::Pairs(_) => self.read_pairs(operation),
            O::SetDocument(..) | O::SetDocuments(_) | O::DeleteDocument(_) | O::DeleteDocuments(_) => {
                self.write_documents(operation)
            }
            O::SetAt(..)
            | O::DeleteAt(..)
            | O::MergeAt(..)
            | O::Patch(..)
            | O::PushAt(..)
            | O::PopAt(..)
            | O::IncrementAt(..) => self.edit_document(operation),
            O::GetDocument(_)
            | O::GetDocuments(_)
            | O::DocumentExists(_)
            | O::GetAt(..)
            | O::LengthAt(..)
            | O::TypeAt(..)
            | O::KeysAt(..)
            | O::Documents(_)
            | O::CountDocuments(_)
            | O::Select(..) => self.read_documents(operation),
            O::Append(..)
            | O::Trim(..)
            | O::DeleteStream(_)
            | O::Event(..)
            | O::Events(..)
            | O::Stream(_)
            | O::Streams(_) => self.events(operation),
            O::InitCell(..)
            | O::SetCell(..)
            | O::DeleteCell(_)
            | O::CasCell(..)
            | O::Transition(..)
            | O::TransitionOrInit(..)
            | O::Cell(_)
            | O::Cells(_)
            | O::CountCells(_) => self.cells(operation),
            O::Record { .. }
            | O::Finish(..)
            | O::Entry(_)
            | O::Entries(_)
            | O::CountEntries
            | O::Children(..)
            | O::Roots(_)
            | O::OfKind(..)
            | O::InTime(..) => self.trace(operation),
        }
    }

    // Pairs.
}
