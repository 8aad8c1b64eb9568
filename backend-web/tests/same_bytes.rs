//! The store that all backends share, in this browser: the bytes that it writes, and what it finds in those of others.
#![cfg(target_family = "wasm")]

use std::ops::ControlFlow;

use foldb_archive::{ClosedStore, export, import};
use foldb_core::{Db, storage::MemStorage};
use foldb_testkit::{SeededHost, sameness};
use foldb_web::{OpenOptions, OpfsStorage, destroy};
use sha2::{Digest as _, Sha256};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const NAME: &str = "same-bytes";

/// Room for every file of the store, and the mark of the import, which are made in one turn.
const FILES: usize = 16;

fn sum(archive: &[u8]) -> String {
    Sha256::digest(archive).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[wasm_bindgen_test]
async fn a_store_has_the_same_bytes_here_and_everywhere_else() {
    let go_on = &mut |_| ControlFlow::Continue(());
    // Written here, in 32 bits: the archive is the one that a 64-bit program writes.
    let written = MemStorage::new();
    sameness::write(&written).unwrap();
    let mut archive = Vec::new();
    export(ClosedStore::new(written, go_on).unwrap(), &mut archive, go_on).unwrap();
    assert_eq!(sum(&archive), sameness::ARCHIVE_SHA256, "what is written here");

    // Read from OPFS: the same state, replays and diffs.
    destroy(NAME).await.unwrap();
    let storage = OpfsStorage::open(NAME, &OpenOptions::new().ready(FILES)).await.unwrap();
    storage.pool().reserve(FILES).await.unwrap();
    let (imported, storage) = import(storage, archive.as_slice(), go_on).unwrap();
    assert_eq!(imported.seq, sameness::SEQ);
    let host = std::sync::Arc::new(SeededHost::new(3));
    let db = Db::open(storage, host, sameness::options()).unwrap();
    sameness::check(&db, "OPFS").unwrap();

    // And from OPFS it goes out as it came in.
    let mut again = Vec::new();
    export(db.checkpoint().unwrap(), &mut again, go_on).unwrap();
    assert!(again == archive, "exported from OPFS");
    drop(db);
    destroy(NAME).await.unwrap();
}
