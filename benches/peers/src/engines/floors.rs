//! The floors: the plain work for the same bytes, without any of the promises.
//!
//! A map in memory is the floor of reads and of writes that are not logged; bare system calls are the floor of writes
//! that are. Nothing that keeps the data searchable *and* durable can be faster than both.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    ops::Bound,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock},
};

use crate::{
    store::{Mode, Peer, Reader, Store, Unsupported},
    workload::{Keys, Values},
};

pub const MAP: &str = "BTreeMap";
pub const WRITE: &str = "write(2)";
pub const OVERWRITE: &str = "overwrite + fdatasync";
pub const APPEND: &str = "append + fdatasync";

pub fn all() -> Vec<Peer> {
    let reads =
        &["get", "get-2", "get-scaling", "range", "scan", "memory", "put-memory", "put-memory-p99", "batch", "bulk"];
    vec![
        Peer {
            name: MAP,
            version: "",
            about: "BTreeMap<Vec<u8>, Vec<u8>>, behind a lock that nobody contends for.",
            rows: Some(reads),
            volatile: true,
            open: open_map,
        },
        Peer {
            name: WRITE,
            version: "",
            about: "One write(2) per transaction with its keys and values, appended; durable rows end with fdatasync.",
            rows: Some(&[
                "put-buffered",
                "put-buffered-p99",
                "batch",
                "bulk",
                "events-64",
                "events-1024",
                "snapshot",
                "load",
            ]),
            volatile: false,
            open: |directory, mode| open_file(directory, mode, Placement::Append),
        },
        Peer {
            name: OVERWRITE,
            version: "",
            about: "The same bytes into a file that is already written, then fdatasync; threads share one sync.",
            rows: Some(&["put-strict", "put-strict-p99", "put-strict-16"]),
            volatile: false,
            open: |directory, mode| open_file(directory, mode, Placement::Overwrite),
        },
        Peer {
            name: APPEND,
            version: "",
            about: "The same bytes at the end of a growing file, then fdatasync; threads share one sync.",
            rows: Some(&["put-strict", "put-strict-p99", "put-strict-16"]),
            volatile: false,
            open: |directory, mode| open_file(directory, mode, Placement::Append),
        },
    ]
}

#[derive(Default)]
struct Map(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

fn open_map(_: &Path, _: Mode) -> anyhow::Result<Box<dyn Store>> {
    Ok(Box::new(Map::default()))
}

impl Store for Map {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        work(&mut MapReader(&map))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.iter().for_each(|key| drop(map.insert(key.to_vec(), values.of(key).to_vec())));
        Ok(())
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        let pairs = sorted.iter().map(|key| (key.to_vec(), values.of(key).to_vec()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pairs.collect();
        Ok(())
    }

    fn append_events(&self, _: u64, _: &[&[u8]]) -> anyhow::Result<()> {
        Err(Unsupported.into())
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        Ok(())
    }
}

struct MapReader<'a>(&'a BTreeMap<Vec<u8>, Vec<u8>>);

impl Reader for MapReader<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let Some(value) = self.0.get(key) else { return Ok(false) };
        out.clear();
        out.extend_from_slice(value);
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let mut count = 0;
        for (key, value) in self.0.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)).take(limit) {
            visit(key, value);
            count += 1;
        }
        Ok(count)
    }
}

/// Where the next record goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placement {
    Append,
    Overwrite,
}

/// The overwritten file: zeros that were written and synced once, so that no write changes its metadata.
const FILE_BYTES: u64 = 64 << 20;

struct Records {
    file: File,
    sync: bool,
    placement: Placement,
    state: Mutex<Group>,
    synced: Condvar,
}

/// Group commit in its plainest form: whoever finds no leader writes and syncs what everybody has left here.
#[derive(Default)]
struct Group {
    pending: Vec<u8>,
    spare: Vec<u8>,
    /// Tickets of the group that is being collected, and the newest that is on disk.
    collecting: u64,
    durable: u64,
    leading: bool,
    offset: u64,
}

fn open_file(directory: &Path, mode: Mode, placement: Placement) -> anyhow::Result<Box<dyn Store>> {
    let path = directory.join("records");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut offset = file.metadata()?.len();
    if placement == Placement::Overwrite {
        let zeros = vec![0; 1 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        offset = 0;
    }
    let state = Mutex::new(Group { collecting: 1, offset, ..Group::default() });
    Ok(Box::new(Records { file, sync: mode == Mode::Strict, placement, state, synced: Condvar::new() }))
}

/// What a log cannot do without: two lengths before the bytes.
fn encode(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Group> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_at(&self, bytes: &[u8], offset: &mut u64, sync: bool) -> anyhow::Result<()> {
        if self.placement == Placement::Overwrite && *offset + bytes.len() as u64 > FILE_BYTES {
            *offset = 0;
        }
        self.file.write_all_at(bytes, *offset)?;
        *offset += bytes.len() as u64;
        if sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn commit(&self, encode: impl FnOnce(&mut Vec<u8>), sync: bool) -> anyhow::Result<()> {
        let mut group = self.lock();
        encode(&mut group.pending);
        let ticket = group.collecting;
        while group.durable < ticket {
            if group.leading {
                group = self.synced.wait(group).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            group.leading = true;
            group.collecting += 1;
            let spare = std::mem::take(&mut group.spare);
            let mut bytes = std::mem::replace(&mut group.pending, spare);
            let (mut offset, leads) = (group.offset, group.collecting - 1);
            drop(group);
            let written = self.write_at(&bytes, &mut offset, sync);
            bytes.clear();
            group = self.lock();
            (group.spare, group.offset, group.durable, group.leading) = (bytes, offset, leads, false);
            self.synced.notify_all();
            written?;
        }
        Ok(())
    }
}

impl Store for Records {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut RecordsReader(&self.file))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.commit(|bytes| encode(key, value, bytes), self.sync)
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        self.commit(|bytes| keys.iter().for_each(|key| encode(key, values.of(key), bytes)), self.sync)
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        let (mut bytes, mut offset) = (Vec::with_capacity(2 << 20), 0);
        for key in sorted.iter() {
            encode(key, values.of(key), &mut bytes);
            if bytes.len() >= 1 << 20 {
                self.write_at(&bytes, &mut offset, false)?;
                bytes.clear();
            }
        }
        self.write_at(&bytes, &mut offset, true)
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        let _ = first;
        let encode = |bytes: &mut Vec<u8>| {
            for payload in payloads {
                bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
                bytes.extend_from_slice(payload);
            }
        };
        self.commit(encode, self.sync)
    }

    fn snapshot(&self, directory: &Path) -> anyhow::Result<()> {
        let (mut bytes, copy) = (vec![0; 1 << 20], File::create(directory.join("copy"))?);
        let (length, mut at) = (self.file.metadata()?.len(), 0);
        while at < length {
            let read = self.file.read_at(&mut bytes, at)?;
            copy.write_all_at(&bytes[..read], at)?;
            at += read as u64;
        }
        Ok(copy.sync_data()?)
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.file.sync_all()?)
    }
}

/// Reads the records in the order of the file, which is all that a file can do.
struct RecordsReader<'a>(&'a File);

impl Reader for RecordsReader<'_> {
    fn get(&mut self, _: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        out.resize(crate::workload::VALUE_BYTES, 0);
        self.0.read_exact_at(out, 0)?;
        Ok(true)
    }

    fn range(&mut self, _: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        let mut bytes = vec![0; usize::try_from(self.0.metadata()?.len())?];
        self.0.read_exact_at(&mut bytes, 0)?;
        let (mut rest, mut count) = (bytes.as_slice(), 0);
        while let (Some((key, value, behind)), true) = (decode(rest), count < limit) {
            visit(key, value);
            (rest, count) = (behind, count + 1);
        }
        Ok(count)
    }
}

fn decode(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (key_bytes, rest) = bytes.split_first_chunk::<4>()?;
    let (value_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_bytes) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value_bytes) as usize)?;
    Some((key, value, rest))
}
