//! What is promised of value, as tests.

use super::*;

#[test]
fn json_survives_the_way_into_a_value_and_back() {
    let json = json!({"a": [1, -1, 1.5, true, null, "text"], "b": {"c": u64::MAX, "d": i64::MIN}});
    assert_eq!(to_json(&from_json(&json).expect("its numbers are kept")), json);
}

#[test]
fn what_json_lacks_is_marked_and_not_coerced() {
    assert_eq!(to_json(&Value::Bytes(vec![0xc0, 0xff])), json!({"$bytes": "c0ff"}));
    assert_eq!(to_json(&Value::from(f64::NAN)), json!({"$number": "NaN"}));
    let map = Value::Map(vec![(Value::from(1), Value::from("one"))]);
    assert_eq!(to_json(&map), json!({"$map": [[1, "one"]]}));
    let twice = Value::Map(vec![(Value::from("a"), Value::from(1)), (Value::from("a"), Value::from(2))]);
    assert_eq!(to_json(&twice), json!({"$map": [["a", 1], ["a", 2]]}));
}

#[test]
fn a_person_sees_text_without_quotes_and_numbers_as_numbers() {
    assert_eq!(to_text(&Value::from("a b")), "a b");
    assert_eq!(to_text(&Value::from(-5)), "-5");
    assert_eq!(to_text(&Value::Bytes(b"abc".to_vec())), "abc");
    assert_eq!(to_text(&Value::Bytes(vec![0xff])), "0xff");
    assert_eq!(to_text(&Value::from(f64::INFINITY)), "inf");
}
