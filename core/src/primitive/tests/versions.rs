//! Which commit what is read came with, and the order of events over all streams.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use serde_json::json;

use crate::{
    Db, ErrorKind, Options,
    host::SteppedHost,
    primitive::{EventPlace, Events, NewEvent, ScanOptions, TraceId, TraceKind, TraceRecord, Version, access::Access},
    storage::{MemStorage, Storage},
    tree::Direction,
};

fn open(storage: &MemStorage) -> Db<MemStorage> {
    Db::open(storage.clone(), Arc::new(SteppedHost::new(1)), Options::new()).unwrap()
}

fn tick(number: u64) -> NewEvent<'static, u64> {
    NewEvent::new("tick", number)
}

/// The commits that one thing of each sort says it came with.
fn commits<S: Storage>(db: &Db<S>, entry: TraceId) -> [Option<u64>; 6] {
    let event = |seq| db.events().get("log", seq).unwrap().unwrap().version.seq();
    let cell = db.state().get_versioned::<i64>("cell").unwrap().unwrap();
    assert_eq!(db.state().list(&ScanOptions::all()).unwrap()[0].version, cell.version);
    let document = db.json().get_versioned("document").unwrap().unwrap();
    let entry = db.trace().get(entry).unwrap().unwrap();
    [event(1), event(2), event(3), cell.version.seq(), entry.version.seq(), document.version.seq()]
}

#[test]
fn what_is_read_says_which_commit_it_came_with_also_after_it_was_opened_again() {
    let storage = MemStorage::new();
    let db = open(&storage);
    db.events().append_batch("log", [tick(1), tick(2)]).unwrap();
    db.state().set("cell", 1).unwrap();
    let entry = db.trace().record(TraceRecord::new(TraceKind::Query, "tea")).unwrap();
    db.json().set("document", &json!({"a": 1})).unwrap();
    assert_eq!(commits_before(&db), 4);
    db.events().append("log", "tick", 3).unwrap();
    assert_eq!(commits(&db, entry), [Some(1), Some(1), Some(5), Some(2), Some(3), Some(4)]);
    db.state().set("cell", 2).unwrap();
    db.trace().finish(entry, None, Some(1)).unwrap();
    db.json().set_at("document", "/a", &json!(2)).unwrap();
    let expected = [Some(1), Some(1), Some(5), Some(6), Some(7), Some(8)];
    assert_eq!(commits(&db, entry), expected);
    db.snapshot().unwrap();
    db.close().unwrap();
    assert_eq!(commits(&open(&storage), entry), expected);
}

fn commits_before<S: Storage>(db: &Db<S>) -> u64 {
    db.view().seq()
}

#[test]
fn a_document_is_set_only_if_nobody_has_changed_it_or_a_place_in_it() {
    let db = Db::memory();
    db.json().cas_version("a", None, &json!({"count": 1})).unwrap();
    assert_eq!(db.json().cas_version("a", None, &json!(0)).unwrap_err().kind(), ErrorKind::Precondition);
    let read = db.json().get_versioned("a").unwrap().unwrap();
    assert_eq!(read.value, json!({"count": 1}));
    db.json().increment_at("a", "/count", 1).unwrap();
    let stale = db.json().cas_version("a", Some(read.version), &json!(0)).unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Precondition, "{stale}");
    let read = db.json().get_versioned("a").unwrap().unwrap();
    db.json().cas_version("a", Some(read.version), &json!({"count": 7})).unwrap();
    assert_eq!(db.json().get("a").unwrap(), Some(json!({"count": 7})));
    assert_eq!(db.json().get_versioned("b").unwrap(), None);
}

type Place = (u64, Vec<u8>, u64);

/// All events in pages of this size.
fn in_pages<A: Access>(events: &Events<A>, size: usize, direction: Direction) -> Vec<Place> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = events.all(after, size, direction).unwrap();
        assert!(page.len() <= size);
        let Some(last) = page.last() else { return found };
        after = Some(last.place());
        found.extend(page.into_iter().map(|found| (found.event.version.seq().unwrap(), found.stream, found.event.seq)));
    }
}

/// A store of five streams that grew together, one of them trimmed, one deleted and begun again; and its events in order.
fn grown_together() -> (Db<MemStorage>, Vec<Place>) {
    let db = open(&MemStorage::new());
    let (mut expected, mut heads) = (Vec::new(), BTreeMap::<String, u64>::new());
    let mut random = 1_u64;
    let mut below = |bound: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % bound
    };
    for _ in 0..120 {
        let names: BTreeSet<String> = (0..=below(3)).map(|_| format!("stream {}", below(5))).collect();
        let counts: Vec<(String, u64)> = names.into_iter().map(|name| (name, 1 + below(4))).collect();
        db.transaction(|tx| {
            counts.iter().try_for_each(|(name, count)| tx.events().append_batch(name, (0..*count).map(tick)).map(drop))
        })
        .unwrap();
        for (name, count) in counts {
            let head = heads.entry(name.clone()).or_default();
            expected.extend((1..=count).map(|number| (db.view().seq(), name.clone().into_bytes(), *head + number)));
            *head += count;
        }
    }
    let keep = heads["stream 1"] / 2;
    db.events().trim("stream 1", keep).unwrap();
    db.events().delete_stream("stream 2").unwrap();
    db.events().append("stream 2", "tick", 0).unwrap();
    expected.retain(|(_, stream, seq)| match stream.as_slice() {
        b"stream 1" => *seq >= keep,
        b"stream 2" => false,
        _ => true,
    });
    expected.push((db.view().seq(), b"stream 2".to_vec(), 1));
    (db, expected)
}

#[test]
fn events_of_all_streams_come_in_the_order_of_their_commits_page_by_page_in_both_directions() {
    let (db, mut expected) = grown_together();
    for size in [1, 2, 7, 100_000] {
        assert_eq!(in_pages(&db.events(), size, Direction::Forward), expected, "pages of {size}");
    }
    expected.reverse();
    for size in [1, 3, 100_000] {
        assert_eq!(in_pages(&db.events(), size, Direction::Backward), expected, "pages of {size}, backwards");
    }
    assert_eq!(db.events().all(None, 0, Direction::Forward).unwrap(), []);
}

#[test]
fn the_order_goes_on_behind_a_place_whose_event_is_gone_or_never_was() {
    let (db, expected) = grown_together();
    for at in [(0, "", 0), (1, "stream 1", 1), (40, "stream 2", 3), (60, "stream 9", 1), (1_000_000, "a", 1)] {
        let place = (at.0, at.1.as_bytes().to_vec(), at.2);
        let after = EventPlace { version: Version::from_seq(at.0.max(1)), stream: place.1.clone(), seq: at.2 };
        let wanted = (at.0.max(1), place.1, at.2);
        let behind: Vec<&Place> = expected.iter().filter(|place| **place > wanted).collect();
        let found = db.events().all(after.clone(), None, Direction::Forward).unwrap();
        assert_eq!(found.len(), behind.len(), "{at:?}");
        let before = expected.iter().filter(|place| **place < wanted).count();
        assert_eq!(db.events().all(after, None, Direction::Backward).unwrap().len(), before, "{at:?}");
    }
}

#[test]
fn what_a_transaction_has_appended_itself_comes_behind_all_that_is_committed() {
    let (db, expected) = grown_together();
    db.transaction(|tx| {
        tx.events().append("a", "new", 1)?;
        tx.events().append("stream 3", "new", 2)?;
        let all = tx.events().all(None, None, Direction::Forward)?;
        let new: Vec<_> = all.iter().skip(expected.len()).map(|found| found.stream.as_slice()).collect();
        assert_eq!(new, [b"a".as_slice(), b"stream 3"]);
        assert!(all.iter().skip(expected.len()).all(|found| found.event.version == Version::UNCOMMITTED));
        let first = all[expected.len()].place();
        assert_eq!(tx.events().all(first.clone(), None, Direction::Forward)?.len(), 1);
        assert_eq!(tx.events().all(first, None, Direction::Backward)?.len(), expected.len());
        Ok::<_, crate::Error>(())
    })
    .unwrap();
}
