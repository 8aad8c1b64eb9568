//! sled, the newest stable version: a lock-free tree over a log.

use std::path::Path;

use sled::{Batch, Db, Tree};

use crate::{
    store::{Mode, Peer, Reader, Store, Unsupported, event_key},
    workload::{Keys, Values},
};

pub fn peer() -> Peer {
    Peer {
        name: "sled",
        version: "0.34.7",
        about: "Default cache (1 GiB), HighThroughput. Strict: flush after every write, which on \
                Linux is sync_file_range: the disk's own cache is not emptied; Buffered: its own flush every \
                500 ms. Bulk load: batches of 10,000, then flush.",
        rows: None,
        volatile: false,
        open,
    }
}

struct Sled {
    database: Db,
    pairs: Tree,
    events: Tree,
    sync: bool,
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let sync = match mode {
        Mode::Memory => return Err(Unsupported.into()),
        Mode::Buffered => false,
        Mode::Strict => true,
    };
    let database = sled::Config::new().path(directory).mode(sled::Mode::HighThroughput).open()?;
    let (pairs, events) = (database.open_tree("pairs")?, database.open_tree("events")?);
    Ok(Box::new(Sled { database, pairs, events, sync }))
}

impl Sled {
    fn durable(&self) -> anyhow::Result<()> {
        if self.sync {
            self.database.flush()?;
        }
        Ok(())
    }
}

impl Store for Sled {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut SledReader(&self.pairs))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.pairs.insert(key, value)?;
        self.durable()
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        for key in keys.iter() {
            batch.insert(key, values.of(key));
        }
        self.pairs.apply_batch(batch)?;
        self.durable()
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        for start in (0..sorted.len()).step_by(10_000) {
            let mut batch = Batch::default();
            for index in start..(start + 10_000).min(sorted.len()) {
                let key = sorted.get(index);
                batch.insert(key, values.of(key));
            }
            self.pairs.apply_batch(batch)?;
        }
        self.database.flush()?;
        Ok(())
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        let mut batch = Batch::default();
        for (sequence, payload) in (first..).zip(payloads) {
            batch.insert(&event_key(sequence), *payload);
        }
        self.events.apply_batch(batch)?;
        self.durable()
    }

    fn settle(&self) -> anyhow::Result<()> {
        self.database.flush()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        self.database.flush()?;
        Ok(())
    }
}

struct SledReader<'a>(&'a Tree);

impl Reader for SledReader<'_> {
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
