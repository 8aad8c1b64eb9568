//! What is kept open, and what goes first.

use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::*;

/// How many files are open, and how many were at most.
#[derive(Default)]
struct System {
    open: Cell<usize>,
    most: Cell<usize>,
    /// Which were opened, in order.
    opened: RefCell<Vec<u64>>,
}

struct File {
    number: u64,
    system: Rc<System>,
}

impl Drop for File {
    fn drop(&mut self) {
        self.system.open.set(self.system.open.get() - 1);
    }
}

fn open(system: &Rc<System>, number: u64) -> File {
    system.open.set(system.open.get() + 1);
    system.most.set(system.most.get().max(system.open.get()));
    system.opened.borrow_mut().push(number);
    File { number, system: Rc::clone(system) }
}

fn get(files: &OpenFiles<File>, system: &Rc<System>, number: u64) -> Result<Arc<File>, StorageError> {
    let file = files.get(number, |number| number == 0, || Ok(open(system, number)))?;
    assert_eq!(file.number, number);
    Ok(file)
}

#[test]
fn as_many_files_are_open_as_the_bound_allows_whatever_is_read() {
    let (files, system) = (OpenFiles::new(5), Rc::new(System::default()));
    for round in 0..3 {
        (0..100).for_each(|number| drop(get(&files, &system, number).unwrap()));
        assert_eq!(system.open.get(), 5, "round {round}");
    }
    // One more, before the one that has to go is closed.
    assert_eq!(system.most.get(), 6);
}

#[test]
fn what_was_used_longest_ago_is_closed_first_and_what_is_read_often_is_opened_once() {
    let (files, system) = (OpenFiles::new(3), Rc::new(System::default()));
    for number in 1..=50 {
        get(&files, &system, number).unwrap();
        get(&files, &system, 1).unwrap();
    }
    let opened = system.opened.borrow();
    assert_eq!(opened.iter().filter(|number| **number == 1).count(), 1);
    assert_eq!(opened.len(), 50);
    drop(opened);
    // The two that came last are still there.
    for number in [49, 50] {
        get(&files, &system, number).unwrap();
    }
    assert_eq!(system.opened.borrow().len(), 50);
}

#[test]
fn the_file_that_is_written_to_stays_open_however_long_nobody_asks_for_it() {
    let (files, system) = (OpenFiles::new(3), Rc::new(System::default()));
    files.insert(0, open(&system, 0), |number| number == 0);
    (1..100).for_each(|number| drop(get(&files, &system, number).unwrap()));
    files.give_back(|number| number == 0);
    assert_eq!(system.open.get(), 1);
    get(&files, &system, 0).unwrap();
    assert_eq!(system.opened.borrow().iter().filter(|number| **number == 0).count(), 1);
}

#[test]
fn a_file_that_is_being_read_stays_open_although_it_has_to_make_room() {
    let (files, system) = (OpenFiles::new(2), Rc::new(System::default()));
    let read = get(&files, &system, 1).unwrap();
    (2..10).for_each(|number| drop(get(&files, &system, number).unwrap()));
    assert_eq!(system.open.get(), 3, "the bound, and the one that is read");
    drop(read);
    assert_eq!(system.open.get(), 2);
}

#[test]
fn what_is_given_back_is_what_nobody_uses() {
    let (files, system) = (OpenFiles::new(10), Rc::new(System::default()));
    let read: Vec<_> = (1..=2).map(|number| get(&files, &system, number).unwrap()).collect();
    (0..6).for_each(|number| drop(get(&files, &system, number).unwrap()));
    files.give_back(|number| number == 0);
    assert_eq!(system.open.get(), 3, "two are read, one is written to");
    // They are still known: nothing is opened twice.
    (0..3).for_each(|number| drop(get(&files, &system, number).unwrap()));
    assert_eq!(system.opened.borrow().len(), 6);
    drop(read);
}

#[test]
fn a_file_that_is_put_in_or_forgotten_takes_the_place_of_the_one_before() {
    let (files, system) = (OpenFiles::new(4), Rc::new(System::default()));
    get(&files, &system, 1).unwrap();
    files.insert(1, open(&system, 1), |_| false);
    assert_eq!(system.open.get(), 1);
    files.forget(1);
    files.forget(2);
    assert_eq!(system.open.get(), 0);
    get(&files, &system, 1).unwrap();
    assert_eq!(system.opened.borrow().len(), 3);
}

#[test]
fn any_history_keeps_the_bound_and_answers_with_the_right_file() {
    let mut seed = 7_u64;
    let mut random = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    for bound in 1..6 {
        let (files, system) = (OpenFiles::new(bound), Rc::new(System::default()));
        let mut read: Vec<Arc<File>> = Vec::new();
        for _ in 0..2_000 {
            match random(8) {
                0..5 => read.push(get(&files, &system, random(12)).unwrap()),
                5 => files.forget(random(12)),
                6 => files.give_back(|number| number == 0),
                _ => read.clear(),
            }
            let distinct: BTreeSet<_> = read.iter().map(Arc::as_ptr).collect();
            // Number 0 is written to: it may be one more than the bound.
            assert!(system.open.get() <= bound + 1 + distinct.len(), "{} open", system.open.get());
        }
    }
}
