//! Opening a store that was closed.

use std::{cell::LazyCell, fs::File, io::Write as _, path::PathBuf, time::Duration};

use criterion::{Criterion, Throughput};
use foldb::{Durability, Options, Store};

use crate::setting::{Shared, fresh_directory, length, open, scan, slow, timed, timed_openings};

pub(crate) fn opening(criterion: &mut Criterion) {
    let shared = Shared::new();
    let mut group = slow(criterion, "open_clean_store_and_get");
    let key = shared.keys.get(shared.keys.len() / 2);
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| {
            timed_openings(iterations, || {
                let store = open(&shared.base, Durability::buffered());
                assert!(store.kv().exists(key).expect("a read"), "lost a key");
                store
            })
        });
    });
    group.finish();

    let mut group = slow(criterion, "snapshot");
    group.throughput(Throughput::Elements(length(shared.keys.len())));
    let store = LazyCell::new(|| shared.open_base());
    group.bench_function("foldb/written", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut written = Duration::ZERO;
            for number in 0..iterations {
                // A change, so that there is something to write a snapshot of.
                store.state().set("bench", number).expect("a write");
                written += timed(|| {
                    store.snapshot().expect("a snapshot");
                });
            }
            written
        });
    });
    let bytes: Vec<u8> = shared.keys.iter().flat_map(|key| [key, shared.values.of(key)].concat()).collect();
    group.bench_function("floor/write+fdatasync", |bencher| {
        bencher.iter_custom(|iterations| {
            let write = |_| {
                let mut file = File::create(fresh_directory("floor-snapshot").join("copy")).expect("a file");
                timed(|| {
                    file.write_all(&bytes).expect("a write");
                    file.sync_data().expect("a sync");
                })
            };
            (0..iterations).map(write).sum()
        });
    });
    drop(store);
    group.bench_function("foldb/opened-and-loaded-whole", |bencher| {
        bencher.iter_custom(|iterations| {
            timed_openings(iterations, || {
                let store = open(&shared.base, Durability::buffered());
                assert_eq!(scan(&store), shared.keys.len());
                store
            })
        });
    });
    group.finish();
}

/// A store whose whole history has to be folded at the next opening.
pub(crate) fn unsnapshotted(purpose: &str, fill: impl FnOnce(&Store)) -> PathBuf {
    let path = fresh_directory(purpose);
    let options = Options::new().durability(Durability::buffered()).snapshot_log_bytes(None).snapshot_on_close(false);
    let store = foldb::open_with(&path, options).expect("the store opens");
    fill(&store);
    store.close().expect("a clean close");
    path
}
