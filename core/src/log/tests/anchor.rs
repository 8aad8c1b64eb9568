//! What is promised of anchor, as tests.

use proptest::prelude::*;

use super::{
    super::{ANCHOR_BYTES, Anchor, LogEnd},
    golden, hex,
};
use crate::{Error, StoreId, limits::SEQ_MAX};

fn anchor() -> Anchor {
    Anchor {
        counter: 9,
        store: StoreId::from_bytes(*b"store-id-16bytes"),
        newest_segment: 12,
        oldest_segment: 4,
        newest_snapshot: Some(3),
        proven_seq: 1000,
        end: Some(LogEnd { offset: 4096, crc: 0xdead_beef }),
    }
}

fn rule(anchor: &Anchor) -> &'static str {
    match Anchor::decode("anchor-a", &anchor.encode()) {
        Err(Error::Corrupt { rule, .. }) => rule,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_anchor_has_these_bytes() {
    let expected = golden(
        "666f6c6462616e630100000000000000
         73746f72652d69642d31366279746573
         09000000000000000c00000000000000
         04000000000000000300000000000000
         e8030000000000000010000000000000
         efbeadde0000000000000000c70204ff",
    );
    assert_eq!(hex(&anchor().encode()), expected);
    assert_eq!(Anchor::decode("anchor-a", &anchor().encode()), Ok(Some(anchor())));
    // What is behind it in the file does not matter.
    let longer = [&anchor().encode()[..], &[1; 10]].concat();
    assert_eq!(Anchor::decode("anchor-a", &longer), Ok(Some(anchor())));
}

#[test]
fn any_flipped_bit_and_any_cut_makes_it_no_anchor() {
    let bytes = anchor().encode();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Anchor::decode("anchor-a", &damaged), Ok(None), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_eq!(Anchor::decode("anchor-a", &bytes[..len]), Ok(None), "{len} bytes");
    }
    assert_eq!(Anchor::decode("anchor-a", &[0; ANCHOR_BYTES]), Ok(None));
}

#[test]
fn a_whole_anchor_that_breaks_a_rule_is_corruption() {
    assert_eq!(rule(&Anchor { counter: 0, ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { counter: u64::MAX, ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { oldest_segment: 13, ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { oldest_segment: 0, ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { newest_segment: u64::MAX, ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { newest_snapshot: Some(u64::MAX), ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { proven_seq: SEQ_MAX + 1, ..anchor() }), "F-8");
    let with = |at: usize, byte: u8| {
        let mut bytes = anchor().encode();
        bytes[at] = byte;
        let crc = crc32fast::hash(&bytes[..92]);
        bytes[92..].copy_from_slice(&crc.to_le_bytes());
        Anchor::decode("anchor-a", &bytes)
    };
    assert!(matches!(with(8, 2), Err(Error::Newer { found: 2, supported: 1, .. })));
    assert!(matches!(with(12, 1), Err(Error::Newer { what: "anchor feature flags", found: 1, supported: 0, .. })));
    assert!(matches!(with(8, 0), Err(Error::Corrupt { offset: 8, .. })), "there is no version 0");
    assert!(matches!(with(91, 1), Err(Error::Corrupt { offset: 84, .. })), "reserved bytes are zero");
    assert!(matches!(with(72, 4), Err(Error::Corrupt { offset: 72, .. })), "no frame ends there");
    assert_eq!(rule(&Anchor { end: Some(LogEnd { offset: 64, crc: 0 }), ..anchor() }), "F-8");
    assert_eq!(rule(&Anchor { end: Some(LogEnd { offset: 0, crc: 1 }), ..anchor() }), "F-8");
}

proptest! {
    #[test]
    fn an_anchor_is_read_as_it_was_written(
        store: [u8; 16], counter in 1..u64::MAX, oldest_segment in 1_u64..1 << 60, more in 0_u64..1 << 60,
        snapshot in prop::option::of(1..u64::MAX), proven_seq in 0..=SEQ_MAX,
        end in prop::option::of((16_u64..1 << 50, any::<u32>())),
    ) {
        let anchor = Anchor {
            counter, store: StoreId::from_bytes(store), newest_segment: oldest_segment + more, oldest_segment,
            newest_snapshot: snapshot, proven_seq,
            end: end.map(|(at, crc)| LogEnd { offset: at * 8, crc }),
        };
        prop_assert_eq!(Anchor::decode("anchor-b", &anchor.encode()), Ok(Some(anchor)));
    }
}
