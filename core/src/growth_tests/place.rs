//! Where an operation is done, without its knowing: a run of a store, of a transaction, or of a view.

use crate::{
    Db, Error, Result, RunId, Transaction, View,
    db::RunFilter,
    primitive::{
        Cells, Documents, EventBatch, Events, Kv, Trace,
        access::{Access, AccessMut, Reads, Writes},
    },
    state::SpaceNumber,
    storage::MemStorage,
};

/// A place.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Store(&'a Db<MemStorage>, RunId),
    Transaction(&'a Transaction<'a, MemStorage>, RunId),
    View(&'a View<'a, MemStorage>, RunId),
}

/// The space of the run there.
pub(super) struct Space<'a>(pub(super) Place<'a>);

impl Access for Place<'_> {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        match self {
            Place::Store(db, _) => Access::read(db, operation),
            Place::Transaction(tx, _) => Access::read(tx, operation),
            Place::View(view, _) => Access::read(view, operation),
        }
    }
}

impl AccessMut for Place<'_> {
    fn write<T>(&self, operation: impl FnMut(&dyn Writes) -> Result<T>) -> Result<T> {
        match self {
            Place::Store(db, _) => AccessMut::write(db, operation),
            Place::Transaction(tx, _) => AccessMut::write(tx, operation),
            Place::View(..) => Err(read_only()),
        }
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<Option<u64>> {
        match self {
            Place::Store(db, _) => AccessMut::append(db, space, stream, events),
            Place::Transaction(tx, _) => AccessMut::append(tx, space, stream, events),
            Place::View(..) => Err(read_only()),
        }
    }
}

fn read_only() -> Error {
    Error::Unsupported { what: "a write", why: "this is a view".into() }
}

impl<'a> Space<'a> {
    fn number(&self) -> SpaceNumber {
        match self.0 {
            Place::Store(db, run) => db.runs().get(run).unwrap().number(),
            Place::Transaction(tx, run) => tx.run(run).unwrap().number(),
            Place::View(view, run) => view.run(run).unwrap().number(),
        }
    }

    pub(super) fn run(&self) -> RunId {
        let (Place::Store(_, run) | Place::Transaction(_, run) | Place::View(_, run)) = self.0;
        run
    }

    pub(super) fn kv(&self) -> Kv<Place<'a>> {
        Kv::new(self.0, self.number())
    }

    pub(super) fn json(&self) -> Documents<Place<'a>> {
        Documents::new(self.0, self.number())
    }

    pub(super) fn events(&self) -> Events<Place<'a>> {
        Events::new(self.0, self.number())
    }

    pub(super) fn state(&self) -> Cells<Place<'a>> {
        Cells::new(self.0, self.number())
    }

    pub(super) fn trace(&self) -> Trace<Place<'a>> {
        Trace::new(self.0, self.number())
    }

    /// Does something in a transaction: this one, or one of its own.
    pub(super) fn in_transaction(&self, work: impl Fn(&Transaction<'_, MemStorage>) -> Result<()>) -> Result<()> {
        match self.0 {
            Place::Store(db, _) => db.transaction(work),
            Place::Transaction(tx, _) => work(tx),
            Place::View(..) => Err(read_only()),
        }
    }

    /// Removes what is over. Inside a transaction there is no such call.
    pub(super) fn sweep(&self, limit: u64) -> Result<()> {
        match self.0 {
            Place::Store(db, run) => db.runs().get(run)?.sweep_expired(limit).map(drop),
            Place::Transaction(..) | Place::View(..) => Ok(()),
        }
    }

    /// Lists runs. Inside a transaction there is no such call.
    pub(super) fn list_runs(&self, filter: &RunFilter) -> Result<usize> {
        match self.0 {
            Place::Store(db, _) => db.runs().list(filter).map(|runs| runs.len()),
            Place::Transaction(..) | Place::View(..) => Ok(0),
        }
    }
}
