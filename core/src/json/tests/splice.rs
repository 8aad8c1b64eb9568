//! What is promised of splices: they make the one of the other, bit for bit, and nothing that they read is trusted.

use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::{any_document, seeded};
use crate::json::{
    encode_document, set_at,
    splice::{BadSplices, Splices, apply, between, check, composed},
};

/// Texts that share much: blocks of few sorts, some of them changed.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let block = prop_oneof![
        8 => (0_u8..4).prop_map(|sort| vec![sort; 40]),
        4 => (0_u8..8).prop_map(|sort| (0..50).map(|at| at ^ sort).collect()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    prop::collection::vec(block, 0..12).prop_map(|blocks| blocks.concat())
}

proptest! {
    #![proptest_config(seeded(256))]

    #[test]
    fn splices_make_the_one_of_the_other_bit_for_bit(old in any_bytes(), new in any_bytes()) {
        match between(&old, &new, usize::MAX) {
            Some(splices) => {
                prop_assert_eq!(check(&splices), Ok(()));
                prop_assert_eq!(apply(&old, &splices).unwrap(), new);
            }
            None => prop_assert_eq!(old, new),
        }
    }

    #[test]
    fn documents_that_changed_in_one_place_are_spliced_bit_for_bit(document in any_document(), value in any_document()) {
        let mut changed = document.clone();
        if set_at(&mut changed, &"/a".parse().unwrap(), value).is_ok() {
            let (mut old, mut new) = (vec![], vec![]);
            encode_document(&document, &mut old).unwrap();
            encode_document(&changed, &mut new).unwrap();
            let made = between(&old, &new, usize::MAX).map_or(Ok(old.clone()), |splices| apply(&old, &splices));
            prop_assert_eq!(made.unwrap(), new);
        }
    }

    #[test]
    fn composed_splices_do_what_both_do(first in any_bytes(), second in any_bytes(), third in any_bytes()) {
        if let (Some(one), Some(other)) = (between(&first, &second, usize::MAX), between(&second, &third, usize::MAX)) {
            let both = composed(&one, &other).unwrap();
            prop_assert_eq!(apply(&first, &both).unwrap(), third);
            prop_assert!(both.is_empty() || check(&both).is_ok(), "the only form");
        }
    }

    #[test]
    fn bytes_that_are_no_splices_are_an_error_and_never_a_panic(
        splices in prop::collection::vec(any::<u8>(), 0..40),
        old in any_bytes(),
    ) {
        let applied = apply(&old, &splices);
        prop_assert!(applied.is_err() || splices.is_empty() || check(&splices).is_ok());
        let both = composed(&splices, &splices);
        prop_assert_eq!(both.is_ok(), Splices::new(&splices).all(|splice| splice.is_ok()));
    }
}

#[test]
fn a_pushed_item_costs_its_own_bytes_and_a_few() {
    let item = |id: usize| serde_json::json!({ "id": id, "text": "thirty bytes of text, or so, fine" });
    let list = |count: usize| {
        let items: Vec<_> = (0..count).map(item).collect();
        let mut bytes = vec![];
        encode_document(&serde_json::json!({ "before": 1, "items": items, "title": "x" }), &mut bytes).unwrap();
        bytes
    };
    let mut of_item = vec![];
    encode_document(&item(70_000), &mut of_item).unwrap();
    // Where the count of items has more digits, its head has more bytes.
    for count in [0, 1, 23, 24, 255, 256, 1000] {
        let (old, new) = (list(count), list(count + 1));
        let splices = between(&old, &new, usize::MAX).unwrap();
        assert!(splices.len() <= of_item.len() + 20, "{count} items: {} bytes", splices.len());
        assert_eq!(apply(&old, &splices).unwrap(), new);
    }
}

#[test]
fn changes_far_apart_are_splices_of_their_own() {
    let old: Vec<u8> = (0..100_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut new = old.clone();
    for at in [10, 40_000, 80_000] {
        new[at] = 0xff;
        new.insert(at + 1, 0xfe);
    }
    let splices = between(&old, &new, usize::MAX).unwrap();
    assert_eq!(Splices::new(&splices).count(), 3);
    assert!(splices.len() < 40);
    assert_eq!(apply(&old, &splices).unwrap(), new);
}

#[test]
fn what_differs_everywhere_is_one_splice_and_costs_no_search_without_end() {
    let old: Vec<u8> = (0..200_000_u32).map(|at| (at % 256).to_le_bytes()[0]).collect();
    let new: Vec<u8> =
        old.iter().enumerate().map(|(at, byte)| if at % 40 == 0 { byte ^ 0xff } else { *byte }).collect();
    let splices = between(&old, &new, usize::MAX).unwrap();
    assert!(Splices::new(&splices).count() <= 64);
    assert_eq!(apply(&old, &splices).unwrap(), new);
    assert_eq!(between(&old, &new, 1000), None, "it would take more");
}

#[test]
fn splices_that_nobody_writes_are_refused() {
    let good = [2, 1, 2, b'a', b'b'];
    assert_eq!(apply(b"0123", &good).unwrap(), b"01ab3");
    assert_eq!(check(&[]), Err(BadSplices::NotCanonical), "nothing changes");
    assert_eq!(check(&[1, 0, 0]), Err(BadSplices::NotCanonical), "it changes nothing");
    assert_eq!(check(&[1, 1, 0, 0, 1, 0]), Err(BadSplices::NotCanonical), "two that are one");
    assert!(matches!(check(&[1, 1, 9, 0]), Err(BadSplices::Malformed(_))), "cut off");
    assert!(matches!(check(&[0x81, 0x00, 1, 0]), Err(BadSplices::Malformed(_))), "a number in a longer form");
    assert_eq!(apply(b"01", &good), Err(BadSplices::OutOfRange));
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0];
    assert_eq!(check(&huge), Ok(()));
    assert_eq!(apply(b"01", &huge), Err(BadSplices::OutOfRange));
    assert!(composed(&huge, &huge).is_ok(), "only its bytes count, not its numbers");
}
