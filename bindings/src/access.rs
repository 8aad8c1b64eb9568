//! [`Space`]: where an operation reads and writes, as one type for store, transaction, view and replay.
//!
//! Invariant: the operations of the primitives are generic over their access, and there is one access here; so each of them
//! is in the module once. What differs is behind `dyn`.

use foldb_core::{
    Db, Error, Result, Transaction, View,
    primitive::{
        Cells, Documents, EventBatch, Events, Kv, Trace,
        access::{Access, AccessMut, Reads, Writes},
    },
    state::SpaceNumber,
};

use crate::{platform::PlatformStorage, together::Together};

/// What an operation works on.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// The newest version; each write commits on its own.
    Store(&'a Db<PlatformStorage>),
    /// The version of a transaction, and its buffer.
    Transaction(&'a Transaction<'a, PlatformStorage>),
    /// A version that does not change.
    View(&'a View<'a, PlatformStorage>),
}

/// A space of a target.
#[derive(Clone, Copy)]
pub(crate) struct Space<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) number: SpaceNumber,
    pub(crate) together: &'a Together,
}

impl<'a> Space<'a> {
    pub(crate) fn kv(&'a self) -> Kv<&'a Self> {
        Kv::new(self, self.number)
    }

    pub(crate) fn json(&'a self) -> Documents<&'a Self> {
        Documents::new(self, self.number)
    }

    pub(crate) fn events(&'a self) -> Events<&'a Self> {
        Events::new(self, self.number)
    }

    pub(crate) fn state(&'a self) -> Cells<&'a Self> {
        Cells::new(self, self.number)
    }

    pub(crate) fn trace(&'a self) -> Trace<&'a Self> {
        Trace::new(self, self.number)
    }

    /// Runs reads without being compiled for each of them.
    pub(crate) fn read_dyn(&self, operation: &mut dyn FnMut(&dyn Reads) -> Result<()>) -> Result<()> {
        match self.target {
            Target::Store(db) => db.read(operation),
            Target::Transaction(transaction) => transaction.read(operation),
            Target::View(view) => view.read(operation),
        }
    }

    fn write_dyn(&self, operation: &mut dyn FnMut(&dyn Writes) -> Result<()>) -> Result<()> {
        match self.target {
            Target::Store(db) => commit(db, self.together, &mut |transaction| operation(transaction)),
            Target::Transaction(transaction) => operation(transaction),
            Target::View(_) => Err(read_only()),
        }
    }
}

/// Runs `work` in a transaction of its own.
pub(crate) fn commit(
    db: &Db<PlatformStorage>,
    together: &Together,
    work: &mut dyn FnMut(&Transaction<'_, PlatformStorage>) -> Result<()>,
) -> Result<()> {
    commit_with(db, together, work).map(|_| ())
}

/// [`commit`], with the receipt.
pub(crate) fn commit_with(
    db: &Db<PlatformStorage>,
    together: &Together,
    work: &mut dyn FnMut(&Transaction<'_, PlatformStorage>) -> Result<()>,
) -> Result<foldb_core::Receipt> {
    let ((), mut receipt) = db.transaction_with(&together.options(), |transaction| work(transaction))?;
    // Whoever hears of it hears of it after the sync of the whole message.
    receipt.durable |= together.active.get();
    Ok(receipt)
}

fn read_only() -> Error {
    Error::Unsupported {
        what: "a write",
        why: "this is a view of one version; write to the store or a transaction".into(),
    }
}

impl Access for &Space<'_> {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        let (mut operation, mut result) = (Some(operation), None);
        self.read_dyn(&mut |reads| {
            if let Some(operation) = operation.take() {
                result = Some(operation(reads)?);
            }
            Ok(())
        })?;
        result.ok_or_else(not_run)
    }
}

impl AccessMut for &Space<'_> {
    fn write<T>(&self, mut operation: impl FnMut(&dyn Writes) -> Result<T>) -> Result<T> {
        let mut result = None;
        self.write_dyn(&mut |writes| {
            result = Some(operation(writes)?);
            Ok(())
        })?;
        result.ok_or_else(not_run)
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<Option<u64>> {
        let Target::Store(db) = self.target else {
            return self.write(|writes| writes.append(space, stream, events)).map(|()| None);
        };
        if self.together.active.get() {
            self.write(|writes| writes.append(space, stream, events))?;
            // Nobody else commits in this thread meanwhile, so these are the stream's newest.
            let head = self.events().head(stream)?;
            return Ok(Some(head.saturating_sub(events.len()).saturating_add(1)));
        }
        AccessMut::append(&db, space, stream, events)
    }
}

/// Cannot happen: whoever runs an operation runs it or fails.
fn not_run() -> Error {
    Error::Unsupported { what: "the operation", why: "it was not run".into() }
}
