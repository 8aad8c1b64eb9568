//! What is promised of dataset, as tests.

use super::*;

#[test]
fn the_data_set_is_whole_and_in_order() {
    let strikes = strikes().expect("the data set is well-formed");
    assert_eq!(strikes.len(), 4635);
    assert!(strikes.is_sorted_by_key(|strike| &strike.date));
    assert!(strikes.is_sorted_by(|a, b| a.id < b.id), "ids are unique and ascend");
    assert!(strikes.iter().all(|strike| strike.cost_total == strike.cost_repair + strike.cost_other));
}

#[test]
fn the_seed_alone_decides_what_is_changed() {
    let strikes = strikes().expect("the data set is well-formed");
    let (first, changes) = changed(&strikes, 1);
    let (again, _) = changed(&strikes, 1);
    let (other, _) = changed(&strikes, 2);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(first.len() + usize::try_from(changes.dropped).expect("small"), strikes.len());
    assert!(changes.dropped > 0 && changes.altered > 0);
}
