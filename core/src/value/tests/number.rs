//! Which numbers are kept as they are written.

use std::{format, string::ToString};

use proptest::prelude::*;
use serde_json::Value as Json;

use super::seeded;
use crate::{
    Error,
    json::encode_document,
    value::{Exact, Integer, Value, exact, number::NotKept, read_literal},
};

#[test]
fn an_integer_is_kept_up_to_64_bits_and_never_becomes_a_float() {
    for (literal, kept) in [
        ("0", Integer::from(0_u64)),
        ("-0", Integer::from(0_u64)),
        ("9007199254740993", Integer::from(9_007_199_254_740_993_u64)),
        ("18446744073709551615", Integer::from(u64::MAX)),
        ("-9223372036854775808", Integer::from(i64::MIN)),
    ] {
        assert_eq!(read_literal(literal), Ok(Exact::Integer(kept)), "{literal}");
    }
    // Two ids that are one as floats: the document of the first was lost.
    for literal in ["18446744073709551616", "18446744073709551617", "12345678901234567890123", "-9223372036854775809"] {
        assert_eq!(read_literal(literal), Err(NotKept::Integer), "{literal}");
    }
}

#[test]
fn a_float_is_kept_if_the_digits_that_were_written_come_back() {
    let kept = [
        "0.1",
        "-0.0",
        "1.0",
        "100.000000000000000000000000",
        "1e23",
        "1E+2",
        "0.30000000000000004",
        // As `printf("%.17g")` prints it, and in full.
        "0.10000000000000001",
        "0.1000000000000000055511151231257827021181583404541015625",
        "1.7976931348623157e308",
        "5e-324",
        "4.94065645841247e-324",
        "0e999999999999",
        "-123456789012345.5e-300",
    ];
    for literal in kept {
        assert_eq!(read_literal(literal), Ok(Exact::Float(literal.parse().unwrap())), "{literal}");
    }
    for literal in [
        // Amounts that would come back as others.
        "12345678901234.567",
        "9007199254740993.0",
        "3.14159265358979323846",
        "0.100000000000000000",
        // Below the smallest float, and between the smallest ones.
        "1e-400",
        "7e-324",
    ] {
        let nearest = literal.parse().unwrap();
        assert_eq!(read_literal(literal), Err(NotKept::Digits(nearest)), "{literal}");
    }
    for literal in ["1e400", "-1e309", "1e99999999999999999999"] {
        assert_eq!(read_literal(literal), Err(NotKept::Range), "{literal}");
    }
    let long = format!("0.{}1", "0".repeat(1 << 20));
    assert_eq!(read_literal(&long), Err(NotKept::Digits(0.0)));
    let longer = format!("1.{}1", "0".repeat(100_000));
    assert_eq!(read_literal(&longer), Err(NotKept::Digits(1.0)));
    assert_eq!(read_literal(&format!("1.{}", "0".repeat(100_000))), Ok(Exact::Float(1.0)));
}

#[test]
fn a_refusal_names_the_number_and_says_what_to_do_in_one_line() {
    let explained = |literal: &str| read_literal(literal).unwrap_err().explain(literal);
    let message = explained("12345678901234567890123");
    assert!(message.starts_with("12345678901234567890123 is an integer beyond 64 bits"), "{message}");
    assert!(message.contains("as text, in quotes"), "{message}");
    let message = explained("12345678901234.567");
    assert!(message.contains("12345678901234.566"), "what would have been kept: {message}");
    let message = explained(&"9".repeat(1 << 20));
    assert!(message.len() < 300 && message.contains("1048576 characters"), "{message}");
}

/// Whether some crate in this build has turned on serde_json's `arbitrary_precision`.
fn keeps_every_digit() -> bool {
    serde_json::from_str::<Json>("0.10000000000000000000000001").unwrap().to_string().len() > 20
}

#[test]
fn numbers_of_serde_json_are_taken_as_they_are_or_refused_with_their_place() {
    for text in ["7", "-7", "18446744073709551615", "1.5", "-0.0", "1e300"] {
        let json: Json = serde_json::from_str(text).unwrap();
        let Json::Number(number) = &json else { panic!("{text} is a number") };
        assert!(exact(number).is_ok(), "{text}");
        assert_eq!(Json::try_from(Value::try_from(&json).unwrap()).unwrap().as_f64(), json.as_f64());
    }
    let json: Json = serde_json::from_str(r#"{"a": 1, "b/c": [0, {"wei": 12345678901234567890123}]}"#).unwrap();
    let refused = [Value::try_from(&json).map(drop), encode_document(&json, &mut std::vec::Vec::new())];
    for result in refused {
        if keeps_every_digit() {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Invalid { what: "number", .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains("12345678901234567890123 is an integer") && message.contains("/b~1c/1/wei"));
        } else {
            // It was a float before anybody could see it: that is what `json::parse` is for.
            result.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(seeded(2048))]

    #[test]
    fn whatever_a_program_prints_of_a_float_is_kept_to_the_bit(bits in any::<u64>(), digits in 17_usize..800) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite());
        for literal in [format!("{float:?}"), format!("{float:.*e}", digits - 1)] {
            let Ok(Exact::Float(kept)) = read_literal(&literal) else { panic!("{literal} is refused") };
            prop_assert_eq!(kept.to_bits(), bits, "{}", literal);
        }
    }

    #[test]
    fn two_numbers_of_equally_many_digits_are_never_kept_as_one(number in any::<u64>(), places in 1_u32..19, exponent in -330_i32..310) {
        let literal = |number: u64| {
            let one = 10_u64.pow(places);
            format!("{}.{:0places$}e{exponent}", number / one, number % one, places = usize::try_from(places).unwrap())
        };
        let (one, other) = (literal(number), literal(number.wrapping_add(1)));
        if let (Ok(one_kept), Ok(other_kept)) = (read_literal(&one), read_literal(&other)) {
            prop_assert_ne!(one_kept, other_kept, "{} and {}", one, other);
        }
    }
}
