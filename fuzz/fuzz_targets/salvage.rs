//! The target `salvage`; its body and what it asserts are in `foldb_testkit::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| foldb_fuzz::run("salvage", input));
