//! Transactions that begin, end, resume, annotate and delete runs, several at a time and several times, and what they may do.

use std::collections::BTreeMap;

use foldb_core::{Db, Durability, ErrorKind, RunId, RunOptions, TransactionOptions, storage::MemStorage};

use super::{Life, Model, Space};

/// Pairs with which a transaction counts as large.
const MANY: u8 = 70;

/// What became of a run in the transaction so far.
#[derive(Default)]
struct Course {
    ended: Option<bool>,
    resumed: bool,
    deleted: bool,
    written: bool,
}

/// The transaction at hand, as the model has it.
struct Draft {
    model: Model,
    courses: BTreeMap<RunId, Course>,
    /// Why it must be refused, whichever is found first.
    wrong: Vec<ErrorKind>,
}

/// One of few ids, so that the same comes again.
fn id(number: u8) -> RunId {
    RunId::from_bytes([number % 4; 16])
}

pub(super) fn change(db: &Db<MemStorage>, model: &mut Model, changes: &[(u8, Life)], large: bool, strict: bool) {
    let durability = if strict { Durability::Strict } else { Durability::buffered() };
    let tx =
        db.begin_transaction_with(&TransactionOptions::new().durability(durability)).expect("a transaction can begin");
    let mut draft = Draft { model: model.clone(), courses: BTreeMap::new(), wrong: Vec::new() };
    for (number, change) in changes {
        let id = id(*number);
        let exists = draft.model.runs.iter().any(|(run, ..)| *run == id);
        let runs = tx.runs();
        let done = match change {
            Life::Begin => runs.begin(RunOptions::named("run").id(id)).map(|_| ()),
            Life::End => runs.end(id, None),
            Life::Resume => runs.resume(id),
            Life::Label(value) => runs.set_label(id, "label".into(), Some(value.to_string())),
            Life::Delete => runs.delete(id),
            Life::Put(key, value) => tx.run(id).and_then(|run| run.kv().put(key.bytes(), value.value())),
        };
        let refused = draft.refuses(id, change, exists);
        assert_eq!(done.as_ref().err().map(foldb_core::Error::kind), refused, "{change:?} {done:?}");
        if done.is_ok() {
            draft.apply(id, change, exists);
        }
    }
    if large {
        for number in 0..MANY {
            let key = vec![b'm', number];
            tx.kv().put(&key, u64::from(number)).expect("a small pair");
            draft.model.default.pairs.insert(key, u64::from(number).into());
        }
    }
    for (run, ended, _) in &model.runs {
        // A run that the transaction takes up again is open for all that it writes.
        let writes = draft.courses.get(run).is_some_and(|course| course.written && !course.resumed);
        if *ended && writes {
            draft.wrong.push(ErrorKind::RunEnded);
        }
    }
    match tx.commit() {
        Ok(_) => {
            assert_eq!(draft.wrong, [], "it must not be committed");
            let deleted = |id: &RunId| draft.courses.get(id).is_some_and(|course| course.deleted);
            draft.model.runs.retain(|(id, ..)| !deleted(id));
            *model = draft.model;
        }
        Err(error) => assert!(draft.wrong.contains(&error.kind()), "{:?} {error}", draft.wrong),
    }
}

impl Draft {
    /// Why a change is refused at once: there is no such run, or the transaction itself has deleted or ended it.
    fn refuses(&self, id: RunId, change: &Life, exists: bool) -> Option<ErrorKind> {
        let course = self.courses.get(&id);
        match change {
            Life::Begin => None,
            _ if !exists || course.is_some_and(|course| course.deleted) => Some(ErrorKind::NotFound),
            Life::Put(..) if course.is_some_and(|course| course.ended == Some(true)) => Some(ErrorKind::RunEnded),
            _ => None,
        }
    }

    fn apply(&mut self, id: RunId, change: &Life, exists: bool) {
        let course = self.courses.entry(id).or_default();
        if let Life::Begin = change {
            if exists {
                self.wrong.push(ErrorKind::Precondition);
            } else {
                self.model.runs.push((id, false, Space::default()));
            }
            return;
        }
        let Some((_, ended, space)) = self.model.runs.iter_mut().find(|(run, ..)| *run == id) else { return };
        // As it was before the transaction, or as that has left it.
        let has_ended = course.ended.unwrap_or(*ended);
        match change {
            Life::Begin | Life::Label(_) => {}
            Life::End => {
                if has_ended {
                    self.wrong.push(ErrorKind::RunEnded);
                }
                (course.ended, *ended) = (Some(true), true);
            }
            Life::Resume => {
                (course.ended, *ended) = (Some(false), false);
                course.resumed = true;
            }
            Life::Delete => course.deleted = true,
            Life::Put(key, value) => {
                course.written = true;
                space.pairs.insert(key.bytes(), value.value());
            }
        }
    }
}
