//! Many keys at a time: ranges that are deleted, iterators from both ends, and which of several keys are there.

use alloc::{format, string::String, vec::Vec};

use serde_json::json;

use super::store;
use crate::{
    Result,
    limits::DELETED_KEYS_MAX,
    primitive::{Deleted, ScanOptions},
};

const MAX: u64 = DELETED_KEYS_MAX as u64;

fn numbered(count: u64) -> impl Iterator<Item = (String, u64)> {
    (0..count).map(|number| (format!("n/{number:06}"), number))
}

#[test]
fn a_range_is_deleted_in_commits_of_a_bounded_size_and_says_when_nothing_is_left() {
    for (count, batches) in [(0, &[0][..]), (3, &[3]), (MAX, &[MAX]), (MAX + 1, &[MAX, 1])] {
        let db = store();
        db.kv().put_many(numbered(count)).unwrap();
        db.kv().put("n", 1).unwrap();
        db.kv().put("n0", 1).unwrap();
        let mut deleted = Vec::new();
        loop {
            let seq = db.view().seq();
            let batch = db.kv().delete_range("n/".."n0").unwrap();
            deleted.push(batch.keys);
            assert_eq!(db.view().seq() - seq, u64::from(batch.keys > 0), "one commit");
            if batch.is_complete {
                break;
            }
        }
        assert_eq!(deleted, batches, "{count}");
        assert_eq!(db.kv().count(..).unwrap(), 2, "what is beside the range stays");
    }
}

#[test]
fn a_range_is_deleted_in_a_transaction_with_what_it_has_written_and_whole_or_not_at_all() {
    let db = store();
    db.kv().put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
    db.json().set("a", &json!({})).unwrap();
    db.state().set("a", 1).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("aa", 4).unwrap();
    assert_eq!(tx.kv().delete_range("a".."c").unwrap(), Deleted { keys: 3, is_complete: true });
    assert_eq!(tx.kv().delete_range("a".."c").unwrap(), Deleted { keys: 0, is_complete: true });
    assert_eq!(tx.json().delete_range(..).unwrap().keys + tx.state().delete_range("a"..="a").unwrap().keys, 2);
    assert_eq!(db.kv().count(..).unwrap(), 3, "nothing before the commit");
    tx.commit().unwrap();
    assert_eq!(db.kv().keys(&ScanOptions::all()).unwrap(), [b"c"]);
    assert_eq!(db.json().count(..).unwrap() + db.state().count(..).unwrap(), 0);
}

#[test]
fn a_key_that_comes_into_a_range_while_it_is_deleted_is_a_conflict() {
    let db = store();
    db.kv().put("a", 1).unwrap();
    let tx = db.begin_transaction().unwrap();
    let _ = tx.kv().delete_range("a".."c").unwrap();
    db.kv().put("b", 1).unwrap();
    assert_eq!(super::kind_of(tx.commit()), crate::ErrorKind::Conflict);
}

#[test]
fn an_iterator_gives_from_both_ends_what_a_scan_gives() {
    let db = store();
    db.kv().put_many(numbered(600)).unwrap();
    let all = ScanOptions::all();
    for options in [
        all.clone(),
        all.clone().reverse(),
        all.clone().gt("n/000010").lte("n/000321"),
        all.clone().after("n/000100").reverse(),
        ScanOptions::prefix("n/0001"),
        ScanOptions::prefix("nothing"),
    ] {
        let scanned = db.kv().scan_as::<u64>(&options).unwrap();
        let forward: Vec<_> = db.kv().iter(&options).collect::<Result<_>>().unwrap();
        assert_eq!(forward, scanned, "{options:?}");
        let mut backward: Vec<_> = db.kv().iter(&options).rev().collect::<Result<_>>().unwrap();
        backward.reverse();
        assert_eq!(backward, scanned, "{options:?}");
        for pattern in [2, 3, 7, 50] {
            let (mut pairs, mut front, mut back) = (db.kv().iter(&options), Vec::new(), Vec::new());
            for step in 0_usize.. {
                let from_front = step % pattern != 1;
                let Some(pair) = (if from_front { pairs.next() } else { pairs.next_back() }) else { break };
                if from_front { front.push(pair.unwrap()) } else { back.push(pair.unwrap()) }
            }
            front.extend(back.into_iter().rev());
            assert_eq!(front, scanned, "{options:?}, every {pattern}th from behind");
        }
    }
    let some: Vec<_> = db.kv().iter::<u64>(&all.limit(5)).map(|pair| pair.unwrap().value).collect();
    assert_eq!(some, [0, 1, 2, 3, 4]);
}

#[test]
fn an_iterator_that_is_stopped_has_read_little_and_one_that_fails_says_so_once() {
    let db = store();
    db.kv().put_many(numbered(600)).unwrap();
    let tx = db.begin_transaction().unwrap();
    assert_eq!(tx.kv().iter::<u64>(&ScanOptions::all()).next().unwrap().unwrap().value, 0);
    tx.kv().put("seen", 1).unwrap();
    // What is behind the first page was not read, so it may change.
    db.kv().put("n/000500", 7).unwrap();
    tx.commit().unwrap();

    db.kv().put("n/000003", "text").unwrap();
    let mut pairs = db.kv().iter::<u64>(&ScanOptions::all().limit(6));
    assert!(pairs.next().unwrap().is_err());
    assert!(pairs.next().is_none() && pairs.next_back().is_none());
}

#[test]
fn an_iterator_of_a_store_goes_on_behind_its_key_and_one_of_a_view_stays_in_its_version() {
    let db = store();
    db.json().set_many((0..20).map(|number| (format!("d/{number:02}"), json!(number)))).unwrap();
    let view = db.view();
    let (all, mut live) = (ScanOptions::all(), db.json().iter(&ScanOptions::all()));
    let mut of_view = view.json().iter(&all);
    assert_eq!((live.next().unwrap().unwrap().key, of_view.next().unwrap().unwrap().key.len()), (b"d/00".to_vec(), 4));
    assert_eq!(db.json().delete_range("d/10".."d/15").unwrap().keys, 5);
    assert_eq!((live.count(), of_view.count()), (14, 19));
    db.state().set("a", 1).unwrap();
    db.state().set("b", 2).unwrap();
    let cells: Vec<u64> = db.state().iter(&all).rev().map(|entry| entry.unwrap().cell.value).collect();
    assert_eq!(cells, [2, 1]);
}

#[test]
fn of_several_keys_those_that_are_there_are_told() {
    let db = store();
    db.kv().put("a", 1).unwrap();
    db.json().set("b", &json!({})).unwrap();
    db.state().set("c", 1).unwrap();
    let keys = ["a", "b", "c", "a"];
    assert_eq!(db.kv().exists_many(keys).unwrap(), [true, false, false, true]);
    assert_eq!(db.json().exists_many(keys).unwrap(), [false, true, false, false]);
    assert_eq!(db.state().exists_many(keys).unwrap(), [false, false, true, false]);
}
