//! Hearing of commits: what is announced, when, in which order, and what becomes of those who are slow, who wait or who fail.
//!
//! What happens during a sync is looked at from within the sync, so that nothing depends on time.

#[path = "subscriptions/announced.rs"]
mod announced;
#[path = "subscriptions/awaited.rs"]
mod awaited;
#[path = "subscriptions/callbacks.rs"]
mod callbacks;
#[path = "subscriptions/endings.rs"]
mod endings;
#[path = "subscriptions/foreign.rs"]
mod foreign;
#[path = "subscriptions/slow.rs"]
mod slow;
#[path = "subscriptions/tails.rs"]
mod tails;

use std::{sync::Arc, time::Duration};

use foldb::{
    Announcement, ChangeFilter, Db, Durability, Error, ErrorKind, Options, Primitive, RunOptions, Subscription,
    storage::{MemStorage, Storage},
};
use foldb_testkit::{SeededHost, Syncs};

const STRICT: Durability = Durability::Strict;

fn open<S: Storage>(storage: S, durability: Durability) -> Db<S> {
    let options = Options::new().durability(durability).snapshot_on_close(false);
    Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap()
}

fn store() -> Db<MemStorage> {
    open(MemStorage::new(), Durability::buffered())
}

/// The seqs of all that there is now.
fn seqs(subscription: &mut Subscription) -> Vec<u64> {
    std::iter::from_fn(|| subscription.try_next().unwrap()).map(|commit| commit.seq()).collect()
}

/// The keys of a commit, as text.
fn keys(commit: &Announcement) -> Vec<String> {
    commit.changes().map(|change| String::from_utf8_lossy(change.key).into_owned()).collect()
}
