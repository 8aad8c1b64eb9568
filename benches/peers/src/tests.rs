//! Every adapter tells the truth: what it is given comes back, in order, also after closing and opening again.

use std::path::PathBuf;

use crate::{
    engines, files,
    store::{Mode, Store, Unsupported},
    workload::{Keys, SEED, Values},
};

fn contents(store: &dyn Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    store
        .with_reader(&mut |reader| {
            reader.range(b"", usize::MAX, &mut |key, value| pairs.push((key.to_vec(), value.to_vec())))?;
            Ok(())
        })
        .expect("a full scan");
    pairs
}

fn scratch(name: &str, purpose: &str) -> PathBuf {
    let slug: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/peers-test").join(format!("{purpose}-{slug}"));
    files::fresh(path).expect("a scratch directory")
}

#[test]
fn every_engine_returns_what_was_written_also_after_reopening() {
    let (all, values) = (Keys::random(SEED, 77, 3000), Values::new(SEED));
    let expected: Vec<_> = all.sorted().iter().map(|key| (key.to_vec(), values.of(key).to_vec())).collect();
    for peer in engines::all().into_iter().filter(|peer| peer.rows.is_none()) {
        for mode in [Mode::Buffered, Mode::Strict] {
            let path = scratch(peer.name, "model");
            let store = (peer.open)(&path, mode).expect("a new store");
            store.put_many(&all.slice(0..2900), &values).expect("a batch");
            all.slice(2900..3000).iter().for_each(|key| store.put(key, values.of(key)).expect("a put"));
            let payloads: Vec<&[u8]> = (1..=1000).map(|at| values.payload(at, 64)).collect();
            store.append_events(1, &payloads).expect("events");
            store.append_events(1001, &payloads).expect("more events");
            assert!(contents(store.as_ref()) == expected, "{} in {mode:?}", peer.name);
            store.settle().expect("rest");
            store.close().expect("a clean close");
            let store = (peer.open)(&path, mode).expect("the same store");
            assert!(contents(store.as_ref()) == expected, "{} in {mode:?}, opened again", peer.name);
            store
                .with_reader(&mut |reader| {
                    let mut value = Vec::new();
                    for key in all.iter() {
                        assert!(reader.get(key, &mut value)?, "{} lost a key", peer.name);
                        assert_eq!(value, values.of(key));
                    }
                    assert!(!reader.get(b"no such key at all", &mut value)?);
                    let mut seen = Vec::new();
                    let from = expected[500].0.as_slice();
                    assert_eq!(reader.range(from, 100, &mut |key, _| seen.push(key.to_vec()))?, 100);
                    assert!(seen.iter().zip(&expected[500..600]).all(|(seen, pair)| *seen == pair.0));
                    Ok(())
                })
                .expect("reads");
            store.close().expect("a second close");
        }
    }
}

#[test]
fn every_engine_loads_in_bulk_and_copies_itself_if_it_can() {
    let (sorted, values) = (Keys::random(SEED, 78, 25_000).sorted(), Values::new(SEED));
    for peer in engines::all().into_iter().filter(|peer| peer.rows.is_none()) {
        let store = (peer.open)(&scratch(peer.name, "bulk"), Mode::Strict).expect("a new store");
        store.bulk_load(&sorted, &values).expect("a bulk load");
        assert_eq!(contents(store.as_ref()).len(), sorted.len(), "{}", peer.name);
        match store.snapshot(&scratch(peer.name, "copy")) {
            Err(error) => assert!(error.is::<Unsupported>(), "{}: {error:#}", peer.name),
            Ok(()) => (),
        }
        store.close().expect("a clean close");
    }
}
