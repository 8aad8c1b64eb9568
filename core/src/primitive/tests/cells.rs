//! What is promised of cells, as tests.

use alloc::{string::String, vec};

use super::{kind_of, store, texts, unmet};
use crate::{
    Error, ErrorKind, Result,
    primitive::{Cell, ScanOptions},
    tree::KeyRange,
};

#[test]
fn a_cell_counts_its_changes() {
    let db = store();
    let cells = db.state();
    cells.init("job", "waiting").unwrap();
    assert_eq!(cells.get::<String>("job").unwrap(), Some(Cell { counter: 1, value: "waiting".into() }));
    assert_eq!(cells.set("job", "running").unwrap(), 2);
    assert_eq!(cells.cas("job", 2, "done").unwrap(), 3);
    assert_eq!(cells.get::<String>("job").unwrap(), Some(Cell { counter: 3, value: "done".into() }));
    assert_eq!(cells.set("other", 1).unwrap(), 1);
}

#[test]
fn a_cell_is_made_once() {
    let db = store();
    db.state().init("job", 7).unwrap();
    let (expected, found) = unmet(db.state().init("job", 8));
    assert_eq!((expected.as_str(), found.as_str()), ("no cell", "counter 1 and integer 7"));
}

#[test]
fn a_compare_and_set_names_the_counter_that_it_found() {
    let db = store();
    let (expected, found) = unmet(db.state().cas("job", 1, 1));
    assert_eq!((expected.as_str(), found.as_str()), ("counter 1", "no cell"));
    db.state().set("job", 1).unwrap();
    db.state().set("job", 2).unwrap();
    let (_, found) = unmet(db.state().cas("job", 1, 3));
    assert_eq!(found, "counter 2");
    assert_eq!(db.state().get::<i64>("job").unwrap(), Some(Cell { counter: 2, value: 2 }));
}

#[test]
fn a_transition_that_is_refused_changes_nothing() {
    let db = store();
    assert_eq!(kind_of(db.state().transition("job", |value: i64| Ok(value))), ErrorKind::NotFound);
    db.state().init("job", 1).unwrap();
    let cell = db.state().transition("job", |value: i64| Ok(value + 1)).unwrap();
    assert_eq!(cell, Cell { counter: 2, value: 2 });
    let refused = db.state().transition("job", |_: i64| -> Result<i64> {
        Err(Error::Invalid { what: "transition", why: "not from here".into() })
    });
    assert_eq!(kind_of(refused), ErrorKind::Invalid);
    assert_eq!(kind_of(db.state().transition("job", |text: String| Ok(text))), ErrorKind::Invalid);
    assert_eq!(db.state().get::<i64>("job").unwrap(), Some(Cell { counter: 2, value: 2 }));
}

#[test]
fn a_transition_can_make_its_cell() {
    let db = store();
    let next = |value: i64| Ok(value + 1);
    assert_eq!(db.state().transition_or_init("job", 10, next).unwrap(), Cell { counter: 2, value: 11 });
    assert_eq!(db.state().transition_or_init("job", 10, next).unwrap(), Cell { counter: 3, value: 12 });
}

#[test]
fn a_deleted_cell_begins_again() {
    let db = store();
    db.state().set("job", 1).unwrap();
    db.state().set("job", 2).unwrap();
    assert!(db.state().delete("job").unwrap());
    assert!(!db.state().delete("job").unwrap());
    assert!(!db.state().exists("job").unwrap());
    db.state().init("job", 3).unwrap();
    assert_eq!(db.state().get::<i64>("job").unwrap(), Some(Cell { counter: 1, value: 3 }));
}

#[test]
fn cells_are_listed_by_key() {
    let db = store();
    for key in ["lease/b", "lease/a", "other"] {
        db.state().set(key, key).unwrap();
    }
    db.state().set("lease/a", vec![5_u8; 4000]).unwrap();
    let cells = db.state().list(&ScanOptions::prefix("lease/")).unwrap();
    assert_eq!(cells.iter().map(|entry| entry.cell.counter).collect::<vec::Vec<_>>(), [2, 1]);
    assert_eq!(cells[0].cell.value.as_bytes().map(<[u8]>::len), Some(4000));
    assert_eq!(texts(&db.state().keys(&ScanOptions::all().reverse()).unwrap()), ["other", "lease/b", "lease/a"]);
    assert_eq!(db.state().count(KeyRange::all()).unwrap(), 3);
    assert!(
        matches!(db.state().list_as::<String>(&ScanOptions::all()), Err(Error::Type { what, .. }) if what == "lease/a")
    );
}

#[test]
fn cells_and_pairs_of_one_key_are_different_things() {
    let db = store();
    db.state().set("a", 1).unwrap();
    db.kv().put("a", 2).unwrap();
    db.kv().delete("a").unwrap();
    assert!(db.state().exists("a").unwrap());
}

#[test]
fn a_transaction_sees_the_counters_that_it_made() {
    let db = store();
    db.transaction(|tx| {
        tx.state().init("job", 1)?;
        assert_eq!(tx.state().set("job", 2)?, 2);
        assert_eq!(tx.state().cas("job", 2, 3)?, 3);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(db.state().get::<i64>("job").unwrap(), Some(Cell { counter: 3, value: 3 }));
}
