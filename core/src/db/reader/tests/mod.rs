//! Readers beside writers: what a reader may see, and that it changes nothing.
//!
//! Each commit of the writer here adds the next number in every primitive, so a version that is not the fold of a prefix of the log
//! shows by itself.

mod alone;
mod beside;
mod storages;

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec,
};

use self::storages::Beside;
use crate::{
    Db, Durability, Options,
    host::SteppedHost,
    storage::{MemStorage, Storage},
    tree::KeyRange,
};

fn host() -> Arc<SteppedHost> {
    Arc::new(SteppedHost::new(7))
}

fn reading() -> Options {
    Options::new().read_only(true)
}

/// Opens a reader that may not touch anything.
fn reader(storage: &MemStorage) -> Db<Beside> {
    Db::open(Beside::reader(storage), host(), reading()).unwrap()
}

fn writing() -> Options {
    // The smallest segments, so that a few commits make several.
    Options::new().durability(Durability::buffered()).segment_bytes(4096)
}

/// Commits the next number.
fn commit<S: Storage>(db: &Db<S>) {
    db.transaction(|tx| {
        let number = tx.kv().get_or("count", 0_i64)? + 1;
        tx.kv().put("count", number)?;
        tx.kv().put(alloc::format!("n/{number}"), number)?;
        // Larger than what the tree holds itself.
        tx.kv().put("large", vec![number.to_string(); 300].join("."))?;
        tx.events().append("numbers", "n", number)?;
        Ok::<_, crate::Error>(())
    })
    .unwrap();
}

/// The number of the last commit in a version, which has to have all commits up to that one.
fn number<S: Storage>(db: &Db<S>) -> i64 {
    let view = db.view();
    let count = view.kv().get::<i64>("count").unwrap().unwrap_or(0);
    let pairs = view.kv().count(KeyRange::prefix(b"n/")).unwrap();
    assert_eq!(pairs, count.unsigned_abs(), "a pair for each commit");
    assert_eq!(view.events().len("numbers").unwrap(), count.unsigned_abs(), "an event for each commit");
    if count > 0 {
        let large = view.kv().get::<String>("large").unwrap().unwrap();
        assert!(large.split('.').all(|word| word == count.to_string()), "the value of the last commit");
    }
    count
}
