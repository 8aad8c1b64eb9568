//! SQLite through rusqlite: a B-tree in one file, with a write-ahead log.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, Statement, backup::Backup, params};

use crate::{
    store::{Memory, Mode, Peer, Reader, Store, Unsupported},
    workload::{Keys, Values},
};

pub fn peer() -> Peer {
    Peer {
        name: "SQLite",
        version: "3 (rusqlite 0.41.1)",
        about: "Bundled, WAL, WITHOUT ROWID, memory map of 4 GiB, prepared statements. Strict: synchronous=FULL; \
                Buffered: synchronous=NORMAL. Threads share one writing connection. Snapshot: the backup API in one \
                step, then fsync. Memory: what sqlite3_memory_used says.",
        rows: None,
        volatile: false,
        open,
    }
}

const PUT: &str = "INSERT OR REPLACE INTO pairs VALUES (?1, ?2)";
const APPEND: &str = "INSERT INTO events VALUES (?1, ?2)";

struct Sqlite {
    path: PathBuf,
    writer: Mutex<Connection>,
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let synchronous = match mode {
        Mode::Memory => return Err(Unsupported.into()),
        Mode::Buffered => "NORMAL",
        Mode::Strict => "FULL",
    };
    let path = directory.join("store.sqlite");
    let writer = Connection::open(&path)?;
    tune(&writer)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", synchronous)?;
    writer.execute_batch(
        "CREATE TABLE IF NOT EXISTS pairs (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY, payload BLOB NOT NULL);",
    )?;
    Ok(Box::new(Sqlite { path, writer: Mutex::new(writer) }))
}

fn tune(connection: &Connection) -> anyhow::Result<()> {
    connection.pragma_update(None, "mmap_size", 4_i64 << 30)?;
    // Negative: KiB instead of pages. Writers keep their dirty pages here.
    connection.pragma_update(None, "cache_size", -256 * 1024)?;
    Ok(())
}

impl Sqlite {
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_transaction(
        &self,
        sql: &str,
        work: impl FnOnce(&mut Statement<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut writer = self.writer();
        let transaction = writer.transaction()?;
        work(&mut *transaction.prepare_cached(sql)?)?;
        Ok(transaction.commit()?)
    }

    fn checkpoint(&self) -> anyhow::Result<()> {
        self.writer().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}

impl Store for Sqlite {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        tune(&connection)?;
        connection.execute_batch("BEGIN")?;
        work(&mut SqliteReader {
            get: connection.prepare("SELECT value FROM pairs WHERE key = ?1")?,
            range: connection.prepare("SELECT key, value FROM pairs WHERE key >= ?1 ORDER BY key LIMIT ?2")?,
        })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.writer().prepare_cached(PUT)?.execute(params![key, value])?;
        Ok(())
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        self.in_transaction(PUT, |put| {
            for key in keys.iter() {
                put.execute(params![key, values.of(key)])?;
            }
            Ok(())
        })
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        self.put_many(sorted, values)?;
        self.checkpoint()
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        self.in_transaction(APPEND, |append| {
            for (sequence, payload) in (first..).zip(payloads) {
                append.execute(params![sequence.cast_signed(), payload])?;
            }
            Ok(())
        })
    }

    fn settle(&self) -> anyhow::Result<()> {
        self.checkpoint()
    }

    fn snapshot(&self, directory: &Path) -> anyhow::Result<()> {
        let path = directory.join("store.sqlite");
        let mut copy = Connection::open(&path)?;
        Backup::new(&self.writer(), &mut copy)?.step(-1)?;
        drop(copy);
        Ok(File::open(&path)?.sync_all()?)
    }

    fn memory(&self) -> Memory {
        // SAFETY: the function only reads a counter of the library.
        let used = unsafe { rusqlite::ffi::sqlite3_memory_used() };
        Memory::Own(u64::try_from(used).unwrap_or(0), "page cache of the writer; the map is not in it")
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        self.checkpoint()?;
        let writer = self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        writer.close().map_err(|(_, error)| error)?;
        Ok(File::open(&self.path)?.sync_all()?)
    }
}

struct SqliteReader<'a> {
    get: Statement<'a>,
    range: Statement<'a>,
}

impl Reader for SqliteReader<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let mut rows = self.get.query(params![key])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        out.clear();
        out.extend_from_slice(row.get_ref(0)?.as_blob()?);
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = self.range.query(params![from, limit])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            visit(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            count += 1;
        }
        Ok(count)
    }
}
