//! fjall: a log-structured merge tree with a journal.

use std::{path::Path, thread, time::Duration};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use crate::{
    store::{Mode, Peer, Reader, Store, Unsupported, event_key},
    workload::{Keys, Values},
};

/// The documentation advises a cache of more than a quarter of the memory if the data fits into it.
const CACHE_BYTES: u64 = 1 << 30;

pub fn peer() -> Peer {
    Peer {
        name: "fjall",
        version: "3.1.13",
        about: "Cache of 1 GiB. Strict: SyncData after every write; Buffered: manual_journal_persist, so that the \
                journal stays in its own buffer until it is full. Bulk load: ingestion. Before reads: a major compaction.",
        rows: None,
        volatile: false,
        open: |directory, mode| open(directory, mode, true),
    }
}

/// The default of the engine: every write is handed to the operating system, none is synced.
pub fn peer_written() -> Peer {
    Peer {
        name: "fjall, write(2) each",
        version: "3.1.13",
        about: "Buffered with the default setting: each write is handed to the operating system at once.",
        rows: Some(&["put-buffered", "put-buffered-p99"]),
        volatile: false,
        open: |directory, mode| open(directory, mode, false),
    }
}

struct Fjall {
    database: Database,
    pairs: Keyspace,
    events: Keyspace,
    sync: bool,
}

fn open(directory: &Path, mode: Mode, manual: bool) -> anyhow::Result<Box<dyn Store>> {
    let sync = match mode {
        Mode::Memory => return Err(Unsupported.into()),
        Mode::Buffered => false,
        Mode::Strict => true,
    };
    let database = Database::builder(directory).cache_size(CACHE_BYTES).manual_journal_persist(manual).open()?;
    let options = || KeyspaceCreateOptions::default().manual_journal_persist(manual);
    let (pairs, events) = (database.keyspace("pairs", options)?, database.keyspace("events", options)?);
    Ok(Box::new(Fjall { database, pairs, events, sync }))
}

impl Fjall {
    fn write<'a>(
        &self,
        keyspace: &Keyspace,
        pairs: impl ExactSizeIterator<Item = (impl AsRef<[u8]>, &'a [u8])>,
    ) -> anyhow::Result<()> {
        let mode = self.sync.then_some(PersistMode::SyncData);
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), pairs.len()).durability(mode);
        for (key, value) in pairs {
            batch.insert(keyspace, key.as_ref(), value);
        }
        Ok(batch.commit()?)
    }
}

impl Store for Fjall {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut FjallReader { snapshot: self.database.snapshot(), pairs: &self.pairs })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.pairs.insert(key, value)?;
        if self.sync {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        self.write(&self.pairs, keys.iter().map(|key| (key, values.of(key))))
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        let mut ingestion = self.pairs.start_ingestion()?;
        for key in sorted.iter() {
            ingestion.write(key, values.of(key))?;
        }
        ingestion.finish()?;
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        let pairs = payloads.iter().enumerate();
        self.write(&self.events, pairs.map(|(index, payload)| (event_key(first + index as u64), *payload)))
    }

    fn settle(&self) -> anyhow::Result<()> {
        self.pairs.rotate_memtable_and_wait()?;
        self.pairs.major_compact()?;
        while self.database.active_compactions() > 0 || self.database.outstanding_flushes() > 0 {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}

struct FjallReader<'a> {
    snapshot: Snapshot,
    pairs: &'a Keyspace,
}

impl Reader for FjallReader<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let Some(value) = self.snapshot.get(self.pairs, key)? else { return Ok(false) };
        out.clear();
        out.extend_from_slice(&value);
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let mut count = 0;
        for guard in self.snapshot.range(self.pairs, from..).take(limit) {
            let (key, value) = guard.into_inner()?;
            visit(&key, &value);
            count += 1;
        }
        Ok(count)
    }
}
