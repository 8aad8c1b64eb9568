//! What is promised of input, as tests.

use super::*;

fn message(bytes: &[u8]) -> String {
    let failure = utf8(bytes).expect_err("it is not UTF-8");
    failure.message().expect("the failure has words").to_owned()
}

#[test]
fn a_mark_in_front_is_no_part_of_the_text() {
    assert_eq!(utf8(b"\xef\xbb\xbf{}").ok(), Some("{}"));
    assert_eq!(utf8("größe\u{feff}".as_bytes()).ok(), Some("größe\u{feff}"), "behind the front it is a character");
    assert_eq!(utf8(b"").ok(), Some(""));
}

#[test]
fn utf_16_is_called_by_its_name_with_a_mark_and_without() {
    for text in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}", b"{\0\"\0a\0", b"\0{\0\"\0a"] {
        assert_eq!(message(text), "this is UTF-16, and foldb reads UTF-8", "{text:?}");
    }
}

#[test]
fn other_encodings_are_refused_with_the_place_of_the_first_byte() {
    assert_eq!(message(b"{\"a\":\"m\xfcde\"}"), "this is not UTF-8: byte 0xfc (column 8)");
    assert_eq!(
        message("{\n\"größe\": \"".as_bytes().iter().chain(b"\xe4").copied().collect::<Vec<u8>>().as_slice()),
        "this is not UTF-8: byte 0xe4 (line 2, column 11)"
    );
}
