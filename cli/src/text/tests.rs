//! What is promised of text, as tests.

use super::*;

#[test]
fn times_are_gregorian_and_in_utc() {
    assert_eq!(time(0), "1970-01-01 00:00:00.000 UTC");
    assert_eq!(time(951_782_400_000_000), "2000-02-29 00:00:00.000 UTC");
    assert_eq!(time(1_700_000_000_123_456), "2023-11-14 22:13:20.123 UTC");
    assert_eq!(time(4_102_444_799_999_999), "2099-12-31 23:59:59.999 UTC");
}

#[test]
fn counts_and_sizes_are_readable() {
    assert_eq!(count(0), "0");
    assert_eq!(count(999), "999");
    assert_eq!(count(1000), "1,000");
    assert_eq!(count(1_234_567), "1,234,567");
    assert_eq!(size(0), "0 B");
    assert_eq!(size(1023), "1023 B");
    assert_eq!(size(1024), "1.00 KiB");
    assert_eq!(size(1536), "1.50 KiB");
    assert_eq!(size(20 << 20), "20.0 MiB");
    assert_eq!(size(u64::MAX), "16383 PiB");
    assert_eq!(counted(1, "record", "records"), "1 record");
    assert_eq!(counted(2000, "record", "records"), "2,000 records");
}

#[test]
fn bytes_are_shown_as_text_only_if_they_print() {
    assert_eq!(bytes("größe".as_bytes()), "größe");
    assert_eq!(bytes(b"a\nb"), "0x610a62");
    assert_eq!(bytes(&[0xff, 0x00]), "0xff00");
    assert_eq!(unhex("ff00"), Some(vec![0xff, 0x00]));
    assert_eq!(unhex("ff0"), None);
    assert_eq!(unhex("zz"), None);
    assert_eq!(unhex("é0"), None);
}

#[test]
fn long_text_is_cut_to_its_width_on_one_line() {
    assert_eq!(shortened("abc", 3), "abc");
    assert_eq!(shortened("abcd", 3), "ab…");
    assert_eq!(shortened("a\nb", 10), "a b");
}
