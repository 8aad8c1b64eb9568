//! LMDB through heed: a copy-on-write B-tree in one memory map.

use std::{ops::Bound, path::Path};

use heed::{
    CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, WithTls, types::Bytes,
};

use crate::{
    store::{Memory, Mode, Peer, Reader, Store, Unsupported, event_key},
    workload::{Keys, Values},
};

/// The map is address space, not memory; it only has to be larger than any store of the benchmark.
const MAP_BYTES: usize = 16 << 30;

pub fn peer() -> Peer {
    Peer {
        name: "LMDB",
        version: "heed 0.23.1",
        about: "Strict: the default flags; Buffered: MDB_NOSYNC. Bulk load and events: MDB_APPEND in one transaction. \
                Snapshot: mdb_env_copy without compaction, then fsync. Memory: the used pages of the map.",
        rows: None,
        volatile: false,
        open,
    }
}

type Pairs = Database<'static, Bytes, Bytes>;

struct Lmdb {
    environment: Env<WithTls>,
    pairs: Pairs,
    events: Pairs,
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_dbs(2);
    match mode {
        Mode::Memory => return Err(Unsupported.into()),
        // SAFETY: without syncs a crash of the machine can ruin the store, which a benchmark throws away.
        Mode::Buffered => unsafe { options.flags(EnvFlags::NO_SYNC) },
        Mode::Strict => &mut options,
    };
    // SAFETY: nobody else changes the files of the benchmark's own directory while the map is open.
    let environment = unsafe { options.open(directory)? };
    let open_tables = |name| -> heed::Result<Pairs> {
        let transaction = environment.write_txn()?;
        Ok(environment
            .create_databases_and_commit(transaction, |opener, transaction| {
                opener.create_database::<Bytes, Bytes>(transaction, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit())
    };
    let (pairs, events) = (open_tables("pairs")?, open_tables("events")?);
    Ok(Box::new(Lmdb { environment, pairs, events }))
}

impl Lmdb {
    fn append<'a>(
        &self,
        table: &Pairs,
        pairs: impl Iterator<Item = (impl AsRef<[u8]>, &'a [u8])>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.environment.write_txn()?;
        for (key, value) in pairs {
            table.put_with_flags(&mut transaction, PutFlags::APPEND, key.as_ref(), value)?;
        }
        Ok(transaction.commit()?)
    }
}

impl Store for Lmdb {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut LmdbReader { transaction: self.environment.read_txn()?, pairs: &self.pairs })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let mut transaction = self.environment.write_txn()?;
        self.pairs.put(&mut transaction, key, value)?;
        Ok(transaction.commit()?)
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        let mut transaction = self.environment.write_txn()?;
        for key in keys.iter() {
            self.pairs.put(&mut transaction, key, values.of(key))?;
        }
        Ok(transaction.commit()?)
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        self.append(&self.pairs, sorted.iter().map(|key| (key, values.of(key))))?;
        Ok(self.environment.force_sync()?)
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        self.append(&self.events, (first..).map(event_key).zip(payloads.iter().copied()))
    }

    fn snapshot(&self, directory: &Path) -> anyhow::Result<()> {
        Ok(self.environment.copy_to_path(directory.join("data.mdb"), CompactionOption::Disabled)?.sync_all()?)
    }

    fn memory(&self) -> Memory {
        let pages = self.environment.info().last_page_number + 1;
        Memory::Own(pages as u64 * 4096, "pages of the map, in the page cache")
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        self.environment.force_sync()?;
        self.environment.prepare_for_closing().wait();
        Ok(())
    }
}

struct LmdbReader<'a> {
    transaction: RoTxn<'a, WithTls>,
    pairs: &'a Pairs,
}

impl Reader for LmdbReader<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let Some(value) = self.pairs.get(&self.transaction, key)? else { return Ok(false) };
        out.clear();
        out.extend_from_slice(value);
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        // LMDB has no empty keys and refuses to search for one.
        let start = if from.is_empty() { Bound::Unbounded } else { Bound::Included(from) };
        let mut count = 0;
        for pair in self.pairs.range(&self.transaction, &(start, Bound::Unbounded))?.take(limit) {
            let (key, value) = pair?;
            visit(key, value);
            count += 1;
        }
        Ok(count)
    }
}
