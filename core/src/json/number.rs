//! Numbers of JSON, which has one type where the machine has three: comparing and adding without losing anything.

use alloc::{borrow::ToOwned, format, string::String};

use serde_json::{Number, Value as Json};

use super::codec::sorted;
use crate::{
    Error, Result,
    value::{Exact, Integer, exact},
};

/// The float that is exactly this integer, if there is one: if at most 53 bits of it matter.
fn exact_float(value: Integer) -> Option<f64> {
    let value = value.as_i128();
    let magnitude = value.unsigned_abs();
    let significant = magnitude.checked_shr(magnitude.trailing_zeros()).unwrap_or(0);
    if significant >= 1 << 53 {
        return None;
    }
    // Both halves are exact, and so is their sum.
    let high = f64::from(u32::try_from(magnitude >> 32).ok()?);
    let low = f64::from(u32::try_from(magnitude & 0xffff_ffff).ok()?);
    let float = high * 4_294_967_296.0 + low;
    Some(if value < 0 { -float } else { float })
}

/// Whether two numbers have the same numerical value: `1` and `1.0` do.
fn same_number(a: &Number, b: &Number) -> bool {
    match (exact(a), exact(b)) {
        (Ok(Exact::Integer(a)), Ok(Exact::Integer(b))) => a == b,
        (Ok(Exact::Float(a)), Ok(Exact::Float(b))) => a == b,
        (Ok(Exact::Integer(a)), Ok(Exact::Float(b))) | (Ok(Exact::Float(b)), Ok(Exact::Integer(a))) => {
            exact_float(a) == Some(b)
        }
        // What no value keeps is nowhere in a store.
        (Err(_), _) | (_, Err(_)) => a == b,
    }
}

/// Equality as RFC 6902, section 4.6, defines it: numbers by their numerical value, members in any order.
pub(super) fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Null, Json::Null) => true,
        (Json::Bool(a), Json::Bool(b)) => a == b,
        (Json::Number(a), Json::Number(b)) => same_number(a, b),
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            let (a, b) = (sorted(a), sorted(b));
            a.len() == b.len() && a.iter().zip(&b).all(|((key_a, a), (key_b, b))| key_a == key_b && same(a, b))
        }
        _ => false,
    }
}

/// The sum. Two integers give an integer, and anything else a float.
///
/// `at` is for errors: [`Error::CounterOverflow`] if the sum is outside `i64` and `u64`, or not finite;
/// [`Error::Invalid`] if an integer would have to be rounded to be added to a float, and for a number that no value keeps.
pub(super) fn add(at: &str, value: &Number, by: &Number) -> Result<Number> {
    let overflow = |kind| Error::CounterOverflow { key: at.to_owned(), kind };
    let rounded = || Error::Invalid {
        what: "increment",
        why: format!("{value} + {by} at {at} mixes an integer that is no exact f64 with a float"),
    };
    let float = |a: f64, b: f64| Number::from_f64(a + b).ok_or_else(|| overflow("f64"));
    match (exact(value)?, exact(by)?) {
        (Exact::Integer(a), Exact::Integer(b)) => {
            // Both are of 65 bits at most.
            let sum = a.as_i128() + b.as_i128();
            let kind = if sum < 0 { "i64" } else { "u64" };
            integer_number(sum).ok_or_else(|| overflow(kind))
        }
        (Exact::Float(a), Exact::Float(b)) => float(a, b),
        (Exact::Integer(a), Exact::Float(b)) => float(exact_float(a).ok_or_else(rounded)?, b),
        (Exact::Float(a), Exact::Integer(b)) => float(a, exact_float(b).ok_or_else(rounded)?),
    }
}

fn integer_number(value: i128) -> Option<Number> {
    u64::try_from(value).map(Number::from).or_else(|_| i64::try_from(value).map(Number::from)).ok()
}

/// A value in an error message: cut where it is long.
pub(super) fn shown(value: &Json) -> String {
    const SHOWN_MAX: usize = 120;
    let text = format!("{value}");
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
