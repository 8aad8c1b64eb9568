//! Names of files: `log-<number>`, `snap-<generation>`, `anchor-a` and `anchor-b`.
//!
//! Invariant: a number and its name determine each other. A name that is not exactly as written here (fewer digits, a
//! sign, a number out of range) is not ours, so that no two names ever mean the same segment. Rule F-2.

use alloc::string::String;

/// Names of the two anchor files, in the order of [`AnchorSlot`](super::AnchorSlot).
pub const ANCHOR_NAMES: [&str; 2] = ["anchor-a", "anchor-b"];

const SEGMENT_PREFIX: &str = "log-";
const SNAPSHOT_PREFIX: &str = "snap-";
/// As many digits as the largest number has, so that names sort like their numbers.
const NUMBER_DIGITS: usize = 20;

/// The name of segment `number`.
///
/// ```
/// assert_eq!(foldb_core::log::segment_name(7), "log-00000000000000000007");
/// ```
pub fn segment_name(number: u64) -> String {
    numbered(SEGMENT_PREFIX, number)
}

/// The number of the segment with this name; `None` where the name is not that of a segment (rule F-2).
///
/// ```
/// use foldb_core::log::{parse_segment_name, segment_name};
/// assert_eq!(parse_segment_name(&segment_name(7)), Some(7));
/// assert_eq!(parse_segment_name("log-7"), None);
/// ```
pub fn parse_segment_name(name: &str) -> Option<u64> {
    parse_number(name.strip_prefix(SEGMENT_PREFIX)?)
}

/// The name of the snapshot of this generation.
pub fn snapshot_name(generation: u64) -> String {
    numbered(SNAPSHOT_PREFIX, generation)
}

/// Written digit by digit: an opening makes a few dozen names, and padding in the standard library goes through a call for
/// each zero.
fn numbered(prefix: &str, number: u64) -> String {
    let mut name = String::with_capacity(prefix.len() + NUMBER_DIGITS);
    name.push_str(prefix);
    let mut power = 10_u64.pow(19);
    while power > 0 {
        // A digit is below 10.
        name.push(char::from(b'0' + u8::try_from(number / power % 10).unwrap_or(0)));
        power /= 10;
    }
    name
}

/// The generation of the snapshot with this name; `None` where the name is not that of a snapshot (rule F-2).
pub fn parse_snapshot_name(name: &str) -> Option<u64> {
    parse_number(name.strip_prefix(SNAPSHOT_PREFIX)?)
}

/// Numbers begin at 1, because 0 says "none" in headers and anchors, and end before the largest `u64`, so that "the next
/// number" always exists, whatever a directory contains.
fn parse_number(digits: &str) -> Option<u64> {
    let plain = digits.len() == NUMBER_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u64 = plain.then(|| digits.parse().ok())??;
    (1..u64::MAX).contains(&number).then_some(number)
}
