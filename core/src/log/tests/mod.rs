//! Tests of the log's bytes, one file for each structure.
#![allow(clippy::cast_possible_truncation, reason = "numbers in tests are small")]

mod anchor;
mod frame;
mod names;
mod range_checksum;
mod record;
mod resync;
mod segment;
mod varint;

use alloc::{string::String, vec::Vec};

/// Bytes as hexadecimal digits, sixteen to a line, for golden tests.
fn hex(bytes: &[u8]) -> String {
    let lines: Vec<String> =
        bytes.chunks(16).map(|line| line.iter().map(|byte| alloc::format!("{byte:02x}")).collect()).collect();
    lines.join("\n")
}

/// The same from a test's source, where lines are indented.
fn golden(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("\n")
}
