//! sled 1.0, as far as it is: an alpha, measured under a name of its own.

use std::{
    cell::RefCell,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use sled_alpha::{Batch, Config};

use crate::{
    store::{Mode, Peer, Reader, Store, Unsupported, event_key},
    workload::{Keys, Values},
};

/// The fan-out that the documentation of the engine uses.
const FANOUT: usize = 1024;

type Db = sled_alpha::Db<FANOUT>;
type Tree = sled_alpha::Tree<FANOUT>;

pub fn peer() -> Peer {
    Peer {
        name: "sled alpha",
        version: "1.0.0-alpha.124",
        about: "Cache of 1 GiB. Strict: flush after every write; Buffered: its own flush every 200 ms. Bulk load: \
                batches of 10,000, then flush.",
        rows: None,
        volatile: false,
        open,
    }
}

#[derive(Clone)]
struct Handles {
    database: Db,
    pairs: Tree,
    events: Tree,
}

/// The engine's handles are `Send` but not `Sync`: every thread has a clone of its own, made when it first asks.
struct Sled {
    id: u64,
    original: Mutex<Handles>,
    sync: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static HANDLES: RefCell<Vec<(u64, Handles)>> = const { RefCell::new(Vec::new()) };
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let sync = match mode {
        Mode::Memory => return Err(Unsupported.into()),
        Mode::Buffered => false,
        Mode::Strict => true,
    };
    let database: Db = Config::new().path(directory).cache_capacity_bytes(1 << 30).open()?;
    let (pairs, events) = (database.open_tree("pairs")?, database.open_tree("events")?);
    let original = Mutex::new(Handles { database, pairs, events });
    Ok(Box::new(Sled { id: NEXT_ID.fetch_add(1, Relaxed), original, sync }))
}

impl Sled {
    fn with<T>(&self, work: impl FnOnce(&Handles) -> anyhow::Result<T>) -> anyhow::Result<T> {
        HANDLES.with_borrow_mut(|handles| {
            if !handles.iter().any(|(id, _)| *id == self.id) {
                let original = self.original.lock().unwrap_or_else(PoisonError::into_inner);
                handles.push((self.id, original.clone()));
            }
            let (_, own) = handles.iter().find(|(id, _)| *id == self.id).expect("pushed above");
            work(own)
        })
    }

    fn write(&self, table: impl FnOnce(&Handles) -> &Tree, batch: Batch) -> anyhow::Result<()> {
        self.with(|handles| {
            table(handles).apply_batch(batch)?;
            self.durable(handles)
        })
    }

    fn durable(&self, handles: &Handles) -> anyhow::Result<()> {
        if self.sync {
            handles.database.flush()?;
        }
        Ok(())
    }

    fn flush(&self) -> anyhow::Result<()> {
        self.with(|handles| {
            handles.database.flush()?;
            Ok(())
        })
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        // The clone of this thread would keep the store open; those of other threads went with them.
        HANDLES.with_borrow_mut(|handles| handles.retain(|(id, _)| *id != self.id));
    }
}

impl Store for Sled {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let pairs = self.with(|handles| Ok(handles.pairs.clone()))?;
        work(&mut SledReader(pairs))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.with(|handles| {
            handles.pairs.insert(key, value)?;
            self.durable(handles)
        })
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        for key in keys.iter() {
            batch.insert(key, values.of(key));
        }
        self.write(|handles| &handles.pairs, batch)
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        for start in (0..sorted.len()).step_by(10_000) {
            let mut batch = Batch::default();
            for index in start..(start + 10_000).min(sorted.len()) {
                let key = sorted.get(index);
                batch.insert(key, values.of(key));
            }
            self.with(|handles| Ok(handles.pairs.apply_batch(batch)?))?;
        }
        self.flush()
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        for (sequence, payload) in (first..).zip(payloads) {
            batch.insert(event_key(sequence), *payload);
        }
        self.write(|handles| &handles.events, batch)
    }

    fn settle(&self) -> anyhow::Result<()> {
        self.flush()
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        self.flush()
    }
}

struct SledReader(Tree);

impl Reader for SledReader {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let Some(value) = self.0.get(key)? else { return Ok(false) };
        out.clear();
        out.extend_from_slice(&value);
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let mut count = 0;
        for pair in self.0.range(from..).take(limit) {
            let (key, value) = pair?;
            visit(&key, &value);
            count += 1;
        }
        Ok(count)
    }
}
