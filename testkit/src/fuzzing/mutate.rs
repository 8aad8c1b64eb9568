//! Seeded mutations of stored inputs, for the ordinary tests: a small cousin of what libFuzzer does.
//!
//! Invariant: a mutation is a function of the input and of the random numbers drawn.

use crate::Random;

/// Numbers that lie at the edge of something.
const EDGES: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 48,
    i64::MAX.cast_unsigned(),
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// `input` with one to four changes; `other` is an input that pieces are taken from.
pub fn mutated(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        change(&mut bytes, other, random);
    }
    bytes.truncate(super::INPUT_BYTES_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.index(bytes.len() + 1);
    let magnitude = 1 << random.below(8);
    let run = random.index(magnitude) + 1;
    match random.below(9) {
        0 => flip(bytes, at, random),
        1 => overwrite(bytes, at, &random.bytes(run.min(8))),
        2 | 3 => {
            let width: usize = 1 << random.below(4);
            let word = EDGES[random.index(EDGES.len())].to_le_bytes();
            overwrite(bytes, at, &word[..width]);
        }
        4 => drop(bytes.splice(at..(at + run).min(bytes.len()), [])),
        5 => {
            let piece = piece(other, run, random);
            bytes.splice(at..at, piece);
        }
        6 => {
            let piece = piece(other, run, random);
            overwrite(bytes, at, &piece);
        }
        7 => {
            let piece = piece(&bytes.clone(), run, random);
            bytes.splice(at..at, piece);
        }
        _ => {
            let byte = bytes.get_mut(at);
            byte.into_iter().for_each(|byte| *byte = byte.wrapping_add(if random.chance(1, 2) { 1 } else { 0xff }));
        }
    }
}

fn flip(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(with) {
        *byte = *new;
    }
}

fn piece(from: &[u8], len: usize, random: &mut Random) -> Vec<u8> {
    let start = random.index(from.len() + 1);
    from[start..(start + len).min(from.len())].to_vec()
}
