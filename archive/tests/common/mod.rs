//! What the tests share: stores, and archives of them.
#![allow(dead_code, unreachable_pub, reason = "a module of several test programs, each of which uses a part of it")]

use std::{ops::ControlFlow, sync::Arc};

use foldb_archive::{ClosedStore, Imported, Progress, Result, Source, export, import};
use foldb_core::{
    Db, Durability, Options,
    storage::{MemStorage, Storage},
};
use foldb_testkit::{SeededHost, sameness};

/// Goes on.
pub fn quiet(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub fn archive(source: impl Source) -> Vec<u8> {
    let mut bytes = Vec::new();
    let exported = export(source, &mut bytes, &mut quiet).unwrap();
    assert_eq!(exported.bytes, bytes.len() as u64, "the length was known before");
    bytes
}

/// The archive of the store in a storage that nobody has open.
pub fn closed(storage: &MemStorage) -> Vec<u8> {
    archive(ClosedStore::new(storage.clone(), &mut quiet).unwrap())
}

pub fn imported(bytes: &[u8]) -> Result<(Imported, MemStorage)> {
    import(MemStorage::new(), bytes, &mut quiet)
}

/// The store of [`sameness`], closed.
pub fn same_store() -> MemStorage {
    let storage = MemStorage::new();
    sameness::write(&storage).unwrap();
    storage
}

/// A store with one segment and a few commits, closed.
pub fn small_store() -> MemStorage {
    let storage = MemStorage::new();
    let db = open(&storage, 1);
    db.kv().put("key", "value").unwrap();
    db.kv().put("other", 2).unwrap();
    db.close().unwrap();
    storage
}

pub fn open<S: Storage + Clone>(storage: &S, seed: u64) -> Db<S> {
    Db::open(storage.clone(), Arc::new(SeededHost::new(seed)), options()).unwrap()
}

pub fn options() -> Options {
    Options::new().durability(Durability::Strict).snapshot_log_bytes(None)
}

/// Names and bytes of the entries of an archive that is known to be whole.
pub fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (name, content)
    });
    entries.collect()
}
