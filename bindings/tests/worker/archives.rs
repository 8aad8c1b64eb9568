//! A store as one file: out of OPFS, into OPFS, and nothing in between that counts as a store.

use std::ops::ControlFlow;

use foldb_archive::{ClosedStore, export};
use foldb_core::storage::MemStorage;
use foldb_testkit::sameness;
use foldb_wasm::{Operation, StoreImport, destroy_store};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::{Client, Opening, thrown},
    wire::{Failure, Id, STORE, view},
};

/// The store that all backends share, as an archive.
fn shared() -> Vec<u8> {
    let go_on = &mut |_| ControlFlow::Continue(());
    let written = MemStorage::new();
    sameness::write(&written).unwrap();
    let mut archive = Vec::new();
    export(ClosedStore::new(written, go_on).unwrap(), &mut archive, go_on).unwrap();
    archive
}

/// Writes all of these bytes, in pieces, as `ts/archive.ts` does it.
async fn pour(import: &mut StoreImport, archive: &[u8]) -> Result<(), Failure> {
    for piece in archive.chunks(3000) {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = import.write(rest).map_err(thrown)?;
            rest = &rest[taken..];
            if !rest.is_empty() {
                JsFuture::from(import.reserve()).await.map_err(thrown)?;
            }
        }
    }
    Ok(())
}

async fn begin(name: &str) -> StoreImport {
    StoreImport::into_opfs(name.into(), 0).await.map_err(thrown).unwrap()
}

/// Makes a store of an archive, which must work.
async fn imported(name: &str, archive: &[u8]) -> f64 {
    destroy_store(name.into()).await.unwrap();
    let mut import = begin(name).await;
    pour(&mut import, archive).await.unwrap();
    import.finish().map_err(thrown).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[wasm_bindgen_test]
async fn the_store_that_all_backends_share_is_read_here_as_everywhere() {
    let archive = shared();
    assert_eq!(imported("test-same", &archive).await, sameness::SEQ as f64);
    let mut client = Client::open("test-same", Opening::STRICT).await.unwrap();
    assert_eq!(client.archive(), archive, "and goes out as it came in");
    let expected = |name: &str| sameness::FINDINGS.iter().find(|(other, _)| *other == name).unwrap().1;
    assert_eq!(hex(&client.digest(STORE)), expected("default space"));
    client.replay(1, None);
    assert_eq!(hex(&client.digest(view(1))), expected("default space, replayed"));
    for name in ["first", "second", "orphaned"] {
        let list = STORE.ask(Operation::RunList).none(1).flag(true).bytes(name).none(1).u32(0).none(3);
        let mut found = client.ask(&list);
        assert_eq!(found.u32(), 1);
        let run: Id = found.array();
        assert_eq!(hex(&client.digest(STORE.run(run))), expected(&format!("{name}, live")));
        client.replay(2, Some(run));
        assert_eq!(hex(&client.digest(view(2))), expected(&format!("{name}, replayed")));
        client.release(2);
    }
    assert_eq!(client.violations(), []);
    client.close();
}

#[wasm_bindgen_test]
async fn an_archive_of_an_open_store_is_its_moment() {
    let mut client = Client::fresh("test-moment", Opening::STRICT).await;
    client.put(STORE, "a", 1);
    client.ask(&view(1).ask(Operation::ExportOpen));
    let digest = client.digest(STORE);
    let (mut finished, mut archive) = client.exported(view(1));
    while !finished {
        // Commits go on while it is read.
        client.put(STORE, "a", 2);
        let piece;
        (finished, piece) = client.exported(view(1));
        archive.extend(piece);
    }
    assert_eq!(client.refused(&view(1).ask(Operation::ExportStep)), "Invalid", "it has ended");
    client.close();
    imported("test-moment-2", &archive).await;
    let mut client = Client::open("test-moment-2", Opening::STRICT).await.unwrap();
    assert_eq!(client.digest(STORE), digest);
    assert_eq!(client.number_at(STORE, "a"), Some(1));
    client.close();
}

#[wasm_bindgen_test]
async fn no_part_of_an_import_that_stopped_anywhere_opens() {
    let name = "test-stopped";
    let archive = shared();
    let steps = 12;
    for step in 0..=steps {
        destroy_store(name.into()).await.unwrap();
        let mut import = begin(name).await;
        pour(&mut import, &archive[..archive.len() * step / steps]).await.unwrap();
        // As if the worker had died: neither finished nor cancelled.
        drop(import);
        match Client::open(name, Opening { create: false, ..Opening::STRICT }).await {
            Ok(_) => panic!("a store was opened after {step} of {steps} parts"),
            Err(failure) if failure.code == "ImportUnfinished" => {}
            // Nothing was written yet.
            Err(failure) => assert_eq!((failure.kind.as_str(), step < 2), ("NotAStore", true), "{step}: {failure:?}"),
        }
        // It is begun again in its place, without destroying what is there.
        let mut import = begin(name).await;
        pour(&mut import, &archive).await.unwrap();
        assert_eq!(import.finish().map_err(thrown), Ok(sameness::SEQ as f64), "after {step} of {steps} parts");
        drop(import);
    }
}

#[wasm_bindgen_test]
async fn a_damaged_archive_makes_no_store_and_a_cancelled_one_leaves_none() {
    let name = "test-damaged";
    let archive = shared();
    destroy_store(name.into()).await.unwrap();
    for at in (0..archive.len()).step_by(archive.len() / 16) {
        let mut damaged = archive.clone();
        damaged[at] ^= 0x10;
        let mut import = begin(name).await;
        let poured = pour(&mut import, &damaged).await;
        let outcome = match poured {
            Ok(()) => import.finish().map_err(thrown),
            Err(failure) => Err(failure),
        };
        let failure = outcome.expect_err(&format!("byte {at} is damaged"));
        assert!(["Corrupt", "Invalid", "Unsupported"].contains(&failure.kind.as_str()), "byte {at}: {failure:?}");
        drop(import);
        let missing = Client::open(name, Opening { create: false, ..Opening::STRICT }).await.err().unwrap();
        assert_eq!(missing.kind, "NotAStore", "byte {at}: {missing:?}");
    }
    let mut import = begin(name).await;
    pour(&mut import, &archive[..archive.len() / 2]).await.unwrap();
    import.cancel().map_err(thrown).unwrap();
    assert!(import.write(&archive).is_err(), "it has ended");
    drop(import);
    let mut client = Client::open(name, Opening::STRICT).await.unwrap();
    assert_eq!(client.pairs(STORE), []);
    client.close();
}

#[wasm_bindgen_test]
async fn an_archive_is_not_imported_over_a_store() {
    let mut client = Client::fresh("test-over", Opening::STRICT).await;
    client.put(STORE, "a", 1);
    let locked = StoreImport::into_opfs("test-over".into(), 0).await.map_err(thrown).err().unwrap();
    assert_eq!(locked.kind, "Locked");
    client.close();
    let failure = StoreImport::into_opfs("test-over".into(), 0).await.map_err(thrown).err().unwrap();
    assert_eq!((failure.kind.as_str(), failure.code.as_str()), ("Precondition", "NotEmpty"));
    let mut client = Client::open("test-over", Opening::STRICT).await.unwrap();
    assert_eq!(client.number_at(STORE, "a"), Some(1));
    client.close();
}
