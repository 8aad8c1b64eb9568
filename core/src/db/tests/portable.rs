//! The bytes of a small store, pinned: they depend on what was written, on clock and entropy, and on nothing else; not on
//! the width of a pointer, the order of bytes in a word, or the order of a hash map. Run under Miri for 32-bit and for
//! big-endian targets (`cargo xtask miri`), this is what says that files travel.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use ruint::aliases::U256;
use serde_json::json;

use crate::{
    Db, Options, RunId, RunOptions, StoreId, TransactionOptions,
    host::SteppedHost,
    primitive::{NewEvent, TraceKind, TraceRecord},
    storage::MemStorage,
};

fn open(storage: &MemStorage, begin: u64) -> Db<MemStorage> {
    let options = Options::new().segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false);
    Db::open(storage.clone(), Arc::new(SteppedHost::new(begin)), options).unwrap()
}

/// Every primitive, a snapshot, a second life, enough for several segments.
fn written() -> MemStorage {
    let storage = MemStorage::new();
    let db = open(&storage, 1_700_000_000_000_000);
    let run = db.runs().begin(RunOptions::named("run").label("key", "value").metadata(2.5)).unwrap();
    db.transaction(|tx| {
        let run = tx.run(run.id())?;
        run.kv().put("text", "naïve")?;
        run.kv().put("large", vec![7_u8; 700])?;
        run.kv().add_i64("i64", i64::MIN)?;
        run.kv().add_f64("f64", 0.1)?;
        run.kv().add_u256("u256", U256::MAX)?;
        run.json().set("document", &json!({ "z": [1, -2, 2.5, null], "a": { "b": u64::MAX } }))?;
        run.events().append_batch("stream", [NewEvent::new("kind", 1_u64 << 40), NewEvent::new("kind", 2)])?;
        run.state().set("cell", -1)?;
        run.trace().record(TraceRecord::new(TraceKind::Decision, "root").time_micros(5).data("x"))?;
        tx.kv().put([0, 255], ())
    })
    .unwrap();
    run.events().trim("stream", 2).unwrap();
    db.transaction_with(&TransactionOptions::new().idempotency_key("once"), |tx| tx.kv().add_u64("n", 1)).unwrap();
    db.snapshot().unwrap();
    for number in 0..6_u8 {
        run.kv().put([number], vec![number; 900]).unwrap();
    }
    run.end().unwrap();
    db.close().unwrap();
    let db = open(&storage, 1_700_000_001_000_000);
    db.kv().put("second life", 1).unwrap();
    db.snapshot().unwrap();
    db.close().unwrap();
    storage
}

#[test]
fn a_small_store_has_these_bytes_on_every_machine() {
    let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().chars().take(16).collect::<String>();
    let files = written().files();
    let found: Vec<_> = files.iter().map(|(name, bytes)| format!("{name} {} {}", bytes.len(), digest(bytes))).collect();
    // A change of the format changes these, and nothing else may.
    let expected = [
        "anchor-a 96 ca662e1114233404",
        "anchor-b 96 878a024de7e36dcd",
        "log-00000000000000000001 3128 825e1215865dbb41",
        "log-00000000000000000002 3904 bd14b000494dbe2c",
        "log-00000000000000000003 184 4efd27bfd6cdc73e",
        "snap-00000000000000000001 913 a577eddfb01ad7b7",
        "snap-00000000000000000002 1185 891ef22fc8ba10e8",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_small_store_reads_the_same_on_every_machine() {
    let db = open(&written(), 0);
    let digests: Vec<_> = db
        .runs()
        .list(&crate::RunFilter::all())
        .unwrap()
        .iter()
        .map(|run| db.replay(run.id).unwrap().digest().unwrap().to_string())
        .collect();
    assert_eq!(digests, ["1edf764642bb3f0fd50a0d289f528dbf6e772e428c3ec00ecbb3d356e9a59dc3"]);
    let report = db.verify(&mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{report:?}");
}

/// Computed by another implementation of BLAKE3. With another id the run would not be found, and all of its work done again.
#[test]
fn the_id_of_a_run_under_a_key_is_the_same_for_ever() {
    let id = RunId::of_key(StoreId::from_bytes([7; 16]), b"import");
    assert_eq!(id.to_string(), "9aa198a8-0774-8cbb-9910-5110d299fadc");
}
