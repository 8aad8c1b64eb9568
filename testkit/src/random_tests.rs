//! The generator against published values, and its ranges.

use super::*;

#[test]
fn the_sequence_is_that_of_splitmix64() {
    let mut random = Random::new(1_234_567);
    let first: Vec<u64> = std::iter::repeat_with(|| random.next()).take(3).collect();
    assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
}

#[test]
fn numbers_stay_below_their_bound_and_reach_every_value() {
    let mut random = Random::new(1);
    let mut seen = [false; 7];
    for _ in 0..1000 {
        seen[random.index(7)] = true;
    }
    assert_eq!(seen, [true; 7]);
    assert_eq!(random.below(0), 0);
    assert_eq!(random.below(1), 0);
}

#[test]
fn filling_an_odd_length_fills_all_of_it() {
    assert_eq!(Random::new(3).bytes(13)[..8], Random::new(3).bytes(8));
    assert_ne!(Random::new(3).bytes(13)[8..], [0; 5]);
}
