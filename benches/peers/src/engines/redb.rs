//! redb: a copy-on-write B-tree in one file.

use std::{ops::Bound, path::Path};

use redb::{Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::{
    store::{Mode, Peer, Reader, Store, Unsupported},
    workload::{Keys, Values},
};

const PAIRS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pairs");
const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");

pub fn peer() -> Peer {
    Peer {
        name: "redb",
        version: "4.4.0",
        about: "Default cache (1 GiB) and one-phase commits. Strict: Durability::Immediate; Buffered: Durability::None. \
                Bulk load: a cursor at the end of the table in one transaction. Events: a table with u64 keys.",
        rows: None,
        volatile: false,
        open,
    }
}

struct Redb {
    database: Database,
    durability: Durability,
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let durability = match mode {
        Mode::Memory => return Err(Unsupported.into()),
        Mode::Buffered => Durability::None,
        Mode::Strict => Durability::Immediate,
    };
    let database = Database::create(directory.join("store.redb"))?;
    let transaction = database.begin_write()?;
    transaction.open_table(PAIRS)?;
    transaction.open_table(EVENTS)?;
    transaction.commit()?;
    Ok(Box::new(Redb { database, durability }))
}

impl Redb {
    fn write(
        &self,
        durability: Durability,
        work: impl FnOnce(&WriteTransaction) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        work(&transaction)?;
        Ok(transaction.commit()?)
    }
}

impl Store for Redb {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut RedbReader(self.database.begin_read()?.open_table(PAIRS)?))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.write(self.durability, |transaction| {
            transaction.open_table(PAIRS)?.insert(key, value)?;
            Ok(())
        })
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        self.write(self.durability, |transaction| {
            let mut table = transaction.open_table(PAIRS)?;
            for key in keys.iter() {
                table.insert(key, values.of(key))?;
            }
            Ok(())
        })
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        self.write(Durability::Immediate, |transaction| {
            let mut table = transaction.open_table(PAIRS)?;
            let mut cursor = table.upper_bound_mut(Bound::<&[u8]>::Unbounded)?;
            for key in sorted.iter() {
                cursor.insert_before(key, values.of(key))?;
            }
            Ok(cursor.close()?)
        })
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        self.write(self.durability, |transaction| {
            let mut table = transaction.open_table(EVENTS)?;
            let mut cursor = table.upper_bound_mut(Bound::<u64>::Unbounded)?;
            for (sequence, payload) in (first..).zip(payloads) {
                cursor.insert_before(sequence, *payload)?;
            }
            Ok(cursor.close()?)
        })
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        // An empty durable commit makes the non-durable ones before it durable.
        self.write(Durability::Immediate, |_| Ok(()))
    }
}

struct RedbReader(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Reader for RedbReader {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let Some(value) = self.0.get(key)? else { return Ok(false) };
        out.clear();
        out.extend_from_slice(value.value());
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let mut count = 0;
        for pair in self.0.range(from..)?.take(limit) {
            let (key, value) = pair?;
            visit(key.value(), value.value());
            count += 1;
        }
        Ok(count)
    }
}
