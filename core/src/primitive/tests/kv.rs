//! What is promised of kv, as tests.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::ControlFlow;

use ruint::aliases::U256;

use super::{kind_of, store, texts, unmet};
use crate::{
    Error, ErrorKind,
    limits::{INLINE_VALUE_BYTES_MAX, KEY_BYTES_MAX},
    primitive::{ScanOptions, Version},
    tree::{Direction, KeyRange},
    value::{Value, ValueRef},
};

#[test]
fn a_value_is_read_back_as_the_type_that_it_has() {
    let db = store();
    let kv = db.kv();
    kv.put("text", "abc").unwrap();
    kv.put("number", -7).unwrap();
    kv.put("bytes", [1_u8, 2]).unwrap();
    kv.put("nothing", ()).unwrap();
    assert_eq!(kv.get::<String>("text").unwrap().as_deref(), Some("abc"));
    assert_eq!(kv.get::<i64>("number").unwrap(), Some(-7));
    assert_eq!(kv.get::<Vec<u8>>("bytes").unwrap(), Some(vec![1, 2]));
    assert_eq!(kv.get::<Value>("nothing").unwrap(), Some(Value::Null));
    assert_eq!(kv.get::<Value>("absent").unwrap(), None);
}

#[test]
fn reading_another_type_than_stored_names_the_key() {
    let db = store();
    db.kv().put("user/7", "abc").unwrap();
    let Err(Error::Type { what, expected, found }) = db.kv().get::<i64>("user/7") else { panic!("text is no number") };
    assert_eq!((what.as_str(), expected, found), ("user/7", "integer", "text"));
}

#[test]
fn a_value_over_the_inline_limit_is_read_from_the_log() {
    let db = store();
    for length in [INLINE_VALUE_BYTES_MAX - 3, INLINE_VALUE_BYTES_MAX, 100_000] {
        db.kv().put("large", vec![7_u8; length]).unwrap();
        assert_eq!(db.kv().get::<Vec<u8>>("large").unwrap(), Some(vec![7; length]));
        let seen = db.kv().get_with("large", |value| matches!(value, ValueRef::Bytes(bytes) if bytes.len() == length));
        assert_eq!(seen.unwrap(), Some(true));
    }
}

#[test]
fn keys_over_the_limit_are_refused_and_the_longest_is_not() {
    let db = store();
    db.kv().put(vec![b'k'; KEY_BYTES_MAX], 1).unwrap();
    db.kv().put(b"", 2).unwrap();
    assert_eq!(kind_of(db.kv().put(vec![b'k'; KEY_BYTES_MAX + 1], 1)), ErrorKind::Limit);
    assert_eq!(db.kv().get::<i64>(vec![b'k'; KEY_BYTES_MAX]).unwrap(), Some(1));
    assert_eq!(db.kv().get::<i64>(b"").unwrap(), Some(2));
    assert_eq!(db.kv().get::<i64>(vec![b'k'; KEY_BYTES_MAX + 1]).unwrap(), None);
}

#[test]
fn deleting_says_whether_something_was_there() {
    let db = store();
    db.kv().put("a", 1).unwrap();
    assert!(db.kv().exists("a").unwrap());
    assert!(db.kv().delete("a").unwrap());
    assert!(!db.kv().delete("a").unwrap());
    assert!(!db.kv().exists("a").unwrap());
    db.kv().put("b", 1).unwrap();
    db.kv().remove("b").unwrap();
    db.kv().remove("b").unwrap();
    assert_eq!(db.kv().get::<i64>("b").unwrap(), None);
}

#[test]
fn a_default_is_returned_and_not_written() {
    let db = store();
    assert_eq!(db.kv().get_or("a", 5).unwrap(), 5);
    assert!(!db.kv().exists("a").unwrap());
    db.kv().put("a", 6).unwrap();
    assert_eq!(db.kv().get_or("a", 5).unwrap(), 6);
}

#[test]
fn an_update_sees_the_value_and_replaces_it() {
    let db = store();
    let add = |value: Option<i64>| value.unwrap_or(0) + 2;
    assert_eq!(db.kv().update("a", add).unwrap(), 2);
    assert_eq!(db.kv().update("a", add).unwrap(), 4);
    let refused = db.kv().try_update("a", |_: Option<i64>| -> crate::Result<i64> {
        Err(Error::Invalid { what: "test", why: "no".into() })
    });
    assert_eq!(kind_of(refused), ErrorKind::Invalid);
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(4));
}

#[test]
fn put_if_absent_names_what_is_there() {
    let db = store();
    db.kv().put_if_absent("a", "first").unwrap();
    let (expected, found) = unmet(db.kv().put_if_absent("a", "second"));
    assert_eq!((expected.as_str(), found.as_str()), ("no value", "text \"first\""));
    assert_eq!(db.kv().get::<String>("a").unwrap().as_deref(), Some("first"));
}

#[test]
fn a_version_holds_until_the_next_write_of_its_key() {
    let db = store();
    db.kv().cas_version("a", None, 1).unwrap();
    let read = db.kv().get_versioned::<i64>("a").unwrap().unwrap();
    assert_eq!(read.value, 1);
    db.kv().put("other", 1).unwrap();
    db.kv().cas_version("a", Some(read.version), 2).unwrap();
    let (expected, found) = unmet(db.kv().cas_version("a", Some(read.version), 3));
    assert_eq!(expected, format!("{}", read.version));
    assert_ne!(expected, found);
    let (_, found) = unmet(db.kv().cas_version("absent", Some(read.version), 3));
    assert_eq!(found, "no value");
    assert_eq!(kind_of(db.kv().cas_version("a", None, 3)), ErrorKind::Precondition);
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(2));
}

#[test]
fn a_value_is_compared_by_its_encoding() {
    let db = store();
    db.kv().cas_value::<i64>("a", None, 1).unwrap();
    db.kv().cas_value("a", Some(&1), 2).unwrap();
    let (expected, found) = unmet(db.kv().cas_value("a", Some(&2.0), 3));
    assert_eq!((expected.as_str(), found.as_str()), ("float 2.0", "integer 2"));
    let (_, found) = unmet(db.kv().cas_value("absent", Some("x"), 3));
    assert_eq!(found, "no value");
}

#[test]
fn a_long_value_is_not_shown_whole_in_an_error() {
    let db = store();
    db.kv().put("a", vec![0_u8; 5000]).unwrap();
    let (_, found) = unmet(db.kv().put_if_absent("a", 1));
    assert_eq!(found, "bytes of 5003 bytes");
    db.kv().put("a", "ä".repeat(100)).unwrap();
    let (_, found) = unmet(db.kv().put_if_absent("a", 1));
    assert!(found.ends_with('…') && found.chars().count() < 80, "{found}");
}

#[test]
fn get_and_put_and_get_and_delete_return_what_was_there() {
    let db = store();
    assert_eq!(db.kv().get_and_put::<i64>("a", 1).unwrap(), None);
    assert_eq!(db.kv().get_and_put::<i64>("a", 2).unwrap(), Some(1));
    assert_eq!(kind_of(db.kv().get_and_put::<String>("a", 3)), ErrorKind::Invalid);
    assert_eq!(db.kv().get_and_delete::<i64>("a").unwrap(), Some(2));
    assert_eq!(db.kv().get_and_delete::<i64>("a").unwrap(), None);
}

#[test]
fn a_rename_moves_the_value_and_overwrites_nothing() {
    let db = store();
    assert_eq!(kind_of(db.kv().rename("a", "b")), ErrorKind::NotFound);
    db.kv().put("a", vec![9_u8; 3000]).unwrap();
    db.kv().rename("a", "b").unwrap();
    db.kv().rename("b", "b").unwrap();
    assert!(!db.kv().exists("a").unwrap());
    assert_eq!(db.kv().get::<Vec<u8>>("b").unwrap(), Some(vec![9; 3000]));
    db.kv().put("c", 1).unwrap();
    assert_eq!(kind_of(db.kv().rename("b", "c")), ErrorKind::Precondition);
}

#[test]
fn many_pairs_are_one_commit() {
    let db = store();
    let before = db.view().seq();
    db.kv().put_many([("a", 1), ("b", 2), ("a", 3)]).unwrap();
    assert_eq!(db.view().seq(), before + 1);
    assert_eq!(db.kv().get_many::<i64, _>(["b", "x", "a"]).unwrap(), [Some(2), None, Some(3)]);
    assert_eq!(db.kv().delete_many(["a", "x", "b"]).unwrap(), 2);
    assert_eq!(db.kv().count(KeyRange::all()).unwrap(), 0);
    db.kv().put_many::<&str, i64>([]).unwrap();
}

#[test]
fn one_key_too_long_stops_all_of_many() {
    let db = store();
    let long = "k".repeat(KEY_BYTES_MAX + 1);
    assert_eq!(kind_of(db.kv().put_many([("a", 1), (long.as_str(), 2)])), ErrorKind::Limit);
    assert!(!db.kv().exists("a").unwrap());
}

#[test]
fn counters_of_every_kind_add_up() {
    let db = store();
    let kv = db.kv();
    kv.add_i64("i", -5).unwrap();
    kv.add_i64("i", 3).unwrap();
    kv.add_u64("u", u64::MAX).unwrap();
    kv.add_f64("f", 0.5).unwrap();
    kv.add_f64("f", 0.25).unwrap();
    kv.add_u256("big", U256::MAX - U256::from(1)).unwrap();
    kv.add_u256("big", U256::from(1)).unwrap();
    assert_eq!(kv.get::<i64>("i").unwrap(), Some(-2));
    assert_eq!(kv.get::<u64>("u").unwrap(), Some(u64::MAX));
    assert_eq!(kv.get::<f64>("f").unwrap(), Some(0.75));
    assert_eq!(kv.get::<U256>("big").unwrap(), Some(U256::MAX));
    assert_eq!(kind_of(kv.add_u64("u", 1)), ErrorKind::Invalid);
    assert!(matches!(kv.add_u256("big", U256::from(1)), Err(Error::CounterOverflow { kind: "u256", .. })));
}

#[test]
fn adding_to_something_else_than_a_counter_is_a_type_error() {
    let db = store();
    db.kv().put("a", "text").unwrap();
    assert!(matches!(db.kv().add_i64("a", 1), Err(Error::Type { found: "text", .. })));
    db.kv().put("large", vec![1_u8; 5000]).unwrap();
    assert_eq!(kind_of(db.kv().add_i64("large", 1)), ErrorKind::Invalid);
    assert_eq!(db.kv().get::<String>("a").unwrap().as_deref(), Some("text"));
}

#[test]
fn a_counter_is_right_inside_the_transaction_that_adds_to_it() {
    let db = store();
    db.kv().put("a", 10).unwrap();
    db.transaction(|tx| {
        tx.kv().add_i64("a", 1)?;
        tx.kv().add_i64("a", 1)?;
        assert_eq!(tx.kv().get::<i64>("a")?, Some(12));
        tx.kv().put("b", 1)?;
        tx.kv().add_i64("b", 1)?;
        tx.kv().delete("a")?;
        tx.kv().add_i64("a", 1)?;
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(db.kv().get_many::<i64, _>(["a", "b"]).unwrap(), [Some(1), Some(2)]);
}

#[test]
fn additions_to_one_counter_do_not_conflict() {
    let db = store();
    let first = db.begin_transaction().unwrap();
    let second = db.begin_transaction().unwrap();
    first.kv().add_i64("a", 1).unwrap();
    second.kv().add_i64("a", 2).unwrap();
    first.commit().unwrap();
    second.commit().unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(3));
}

#[test]
fn a_scan_goes_both_ways_and_stops_at_its_limit() {
    let db = store();
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        db.kv().put(key, key).unwrap();
    }
    let keys = |options: ScanOptions| db.kv().keys(&options).unwrap();
    assert_eq!(texts(&keys(ScanOptions::all())), ["a", "b/1", "b/2", "b/3", "c"]);
    assert_eq!(texts(&keys(ScanOptions::prefix("b/"))), ["b/1", "b/2", "b/3"]);
    assert_eq!(texts(&keys(ScanOptions::prefix("b/").reverse().limit(2))), ["b/3", "b/2"]);
    assert_eq!(texts(&keys(ScanOptions::all().limit(0))), Vec::<&str>::new());
    assert_eq!(texts(&keys(ScanOptions::all().after("b/2"))), ["b/3", "c"]);
    assert_eq!(texts(&keys(ScanOptions::all().after("b/2").reverse())), ["b/1", "a"]);
    // A cursor outside of the range begins at the range's own end, or passes all of it.
    assert_eq!(texts(&keys(ScanOptions::prefix("b/").after("a"))), ["b/1", "b/2", "b/3"]);
    assert_eq!(texts(&keys(ScanOptions::prefix("b/").after("c"))), Vec::<&str>::new());
    assert_eq!(texts(&keys(ScanOptions::prefix("b/").after("c").reverse())), ["b/3", "b/2", "b/1"]);
    assert_eq!(db.kv().count(KeyRange::prefix(b"b/")).unwrap(), 3);
    let pairs = db.kv().scan(&ScanOptions::prefix("b/").limit(1)).unwrap();
    assert_eq!((pairs[0].key.as_slice(), &pairs[0].value), (b"b/1".as_slice(), &Value::from("b/1")));
    assert_eq!(db.kv().get_versioned::<String>("b/1").unwrap().unwrap().version, pairs[0].version);
    assert_eq!(db.kv().scan_as::<String>(&ScanOptions::all()).unwrap().len(), 5);
}

#[test]
fn pages_cover_every_key_once_though_keys_come_and_go() {
    let db = store();
    let all: Vec<_> = (0..100).map(|number| format!("k{number:03}")).collect();
    db.kv().put_many(all.iter().map(|key| (key, 1))).unwrap();
    let (mut options, mut seen) = (ScanOptions::all().limit(7), vec![]);
    loop {
        let page = db.kv().keys(&options).unwrap();
        let Some(last) = page.last() else { break };
        // Neither the cursor's own key nor what is before it matters any more.
        db.kv().delete(last).unwrap();
        db.kv().put(format!("k000/{}", seen.len()), 1).unwrap();
        options = options.after(last);
        seen.extend(page);
    }
    let expected: Vec<_> = all.iter().map(|key| key.as_bytes().to_vec()).collect();
    seen.retain(|key| !key.starts_with(b"k000/"));
    assert_eq!(seen, expected);
}

#[test]
fn for_each_borrows_and_stops_when_told() {
    let db = store();
    db.kv().put_many((0..10).map(|number| (format!("{number}"), number))).unwrap();
    let mut sum = 0;
    db.kv()
        .for_each(KeyRange::all(), Direction::Backward, |_, value| {
            let ValueRef::Integer(number) = value else { panic!("all are integers") };
            sum += number.as_i64().unwrap_or_default();
            if sum > 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(sum, 9 + 8 + 7);
}

#[test]
fn a_transaction_scans_its_own_writes_in_their_places() {
    let db = store();
    db.kv().put_many([("a", 1), ("c", 3), ("e", 5)]).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("b", 2).unwrap();
    tx.kv().put("c", 33).unwrap();
    tx.kv().delete("e").unwrap();
    tx.kv().put("f", 6).unwrap();
    let pairs = tx.kv().scan_as::<i64>(&ScanOptions::all()).unwrap();
    let seen: Vec<_> = pairs.iter().map(|pair| (pair.key[0], pair.value, pair.version.seq().is_some())).collect();
    assert_eq!(seen, [(b'a', 1, true), (b'b', 2, false), (b'c', 33, false), (b'f', 6, false)]);
    assert_eq!(texts(&tx.kv().keys(&ScanOptions::all().reverse().limit(2)).unwrap()), ["f", "c"]);
    assert_eq!(tx.kv().get_versioned::<i64>("b").unwrap().unwrap().version, Version::UNCOMMITTED);
    tx.kv().cas_version("b", Some(Version::UNCOMMITTED), 22).unwrap();
    drop(tx);
    assert_eq!(texts(&db.kv().keys(&ScanOptions::all()).unwrap()), ["a", "c", "e"]);
}
