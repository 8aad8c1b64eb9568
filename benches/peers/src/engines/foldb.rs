//! foldb: one more adapter, no privileges.

use std::{
    ops::{Bound, ControlFlow},
    path::Path,
    sync::Mutex,
};

use foldb::{
    Durability, Options, Store as Database, View,
    primitive::EventBatch,
    Direction, KeyRange,
    value::ValueRef,
};

use crate::{
    store::{Mode, Peer, Reader, Store},
    workload::{Keys, Values},
};

pub fn peer() -> Peer {
    Peer {
        name: super::FOLDB,
        version: "0.1.0",
        about: "The default space, default options. The modes are its own: InMemory, Buffered (100 ms, 1 MiB), Strict. \
                Reads: one view. Bulk load: put_many in one transaction, then sync. Snapshot: into its own directory.",
        rows: None,
        volatile: false,
        open,
    }
}

struct Foldb {
    database: Database,
    /// Kept between batches of events, as a program would that has many.
    batch: Mutex<EventBatch>,
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let durability = match mode {
        Mode::Memory => Durability::InMemory,
        Mode::Buffered => Durability::buffered(),
        Mode::Strict => Durability::Strict,
    };
    let database = foldb::open_with(directory, Options::new().durability(durability))?;
    Ok(Box::new(Foldb { database, batch: Mutex::default() }))
}

impl Store for Foldb {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut FoldbReader(self.database.view()))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        Ok(self.database.kv().put(key, value)?)
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        Ok(self.database.kv().put_many(keys.iter().map(|key| (key, values.of(key))))?)
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        self.put_many(sorted, values)?;
        self.database.sync()?;
        Ok(())
    }

    fn append_events(&self, _first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        let mut batch = self.batch.lock().map_err(|_| anyhow::anyhow!("an appending thread panicked"))?;
        batch.clear();
        for payload in payloads {
            batch.push("e", *payload)?;
        }
        self.database.events().append_encoded("bench", &batch)?;
        Ok(())
    }

    fn snapshot(&self, _directory: &Path) -> anyhow::Result<()> {
        // A change, so that there is something to write a snapshot of.
        self.database.state().set("bench", 1)?;
        self.database.snapshot()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.database.close()?)
    }
}

struct FoldbReader<'a>(View<'a>);

impl Reader for FoldbReader<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let found = self.0.kv().get_with(key, |value| {
            if let ValueRef::Bytes(bytes) = value {
                out.clear();
                out.extend_from_slice(bytes);
            }
        })?;
        Ok(found.is_some())
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let range = KeyRange::new(Bound::Included(from.to_vec()), Bound::Unbounded);
        let mut count = 0;
        self.0.kv().for_each(&range, Direction::Forward, |key, value| {
            if let ValueRef::Bytes(bytes) = value {
                visit(key, bytes);
                count += 1;
            }
            if count == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(count)
    }
}
