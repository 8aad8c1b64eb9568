//! Sorting that is not hot: one compiled copy of the sort for all types.
//!
//! Invariant: stable, like `slice::sort_by`. The standard library's sort is some 6 KB of code for each type that is sorted, which
//! everybody pays for who visits a page that ships a store. What is on the path of a commit sorts for itself.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// Sorts by a comparison. Elements are moved twice; the sort is of their places.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let places = places(items.len(), &|left, right| match (items.get(left), items.get(right)) {
        (Some(left), Some(right)) => compare(left, right),
        _ => Ordering::Equal,
    });
    let mut unsorted: Vec<Option<T>> = core::mem::take(items).into_iter().map(Some).collect();
    items.extend(places.into_iter().filter_map(|place| unsorted.get_mut(place)?.take()));
}

/// The places 0 to `len` in the order of what is there.
fn places(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..len).collect();
    places.sort_by(|left, right| compare(*left, *right));
    places
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use proptest::prelude::*;

    use super::sort_by;

    proptest! {
        #![proptest_config(crate::value::tests::seeded(200))]

        #[test]
        fn equal_elements_keep_their_order(items in prop::collection::vec((0..8_u8, any::<String>()), 0..100)) {
            let mut expected: Vec<(u8, String)> = items.clone();
            expected.sort_by_key(|left| left.0);
            let mut sorted = items;
            sort_by(&mut sorted, |left, right| left.0.cmp(&right.0));
            prop_assert_eq!(sorted, expected);
        }
    }
}
