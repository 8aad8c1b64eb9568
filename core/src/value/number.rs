//! Numbers as they are written: which of them a value keeps, and why others are refused.
//!
//! Invariant: **the digits that were written come back.** A number without fraction and exponent is an integer, is kept if it
//! fits 64 bits, and never becomes a float. Any other is the nearest 64-bit float, and is kept if that float, written with as
//! many digits, is the number again. So `0.1`, and whatever a program prints of a float, is kept to the last bit, and
//! `12345678901234.567`, which would come back as `….566`, is refused. Of two numbers that are written with equally many digits and
//! differ, no two are kept as one: two amounts, or two ids, never become the same.

use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt;

use serde_json::{Number, Value as Json};

use super::Integer;
use crate::{Error, Result};

/// A number that a value keeps as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exact {
    /// Between -2^63 and 2^64 - 1.
    Integer(Integer),
    /// Finite.
    Float(f64),
}

impl Exact {
    /// As serde_json has it.
    pub(crate) fn to_number(self) -> Option<Number> {
        match self {
            Exact::Integer(value) => super::integer_to_number(value),
            Exact::Float(value) => Number::from_f64(value),
        }
    }
}

/// Why a number is not kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NotKept {
    /// An integer of more than 64 bits.
    Integer,
    /// A float beyond the largest one.
    Range,
    /// Digits that the nearest float does not have.
    Digits(f64),
}

/// Decimal digits of a float that is written in full: no float has more that are not zero.
const DIGITS_MAX: usize = 767;
/// Whatever has at most so many digits comes back from a float of the ordinary range.
const DIGITS_ALWAYS_KEPT: usize = 15;

/// The number that a literal of JSON stands for. What is no literal of JSON is [`NotKept::Integer`] or
/// [`NotKept::Range`].
pub(crate) fn read_literal(literal: &str) -> Result<Exact, NotKept> {
    if !literal.contains(['.', 'e', 'E']) {
        let integer = match literal.strip_prefix('-') {
            Some(_) => literal.parse::<i64>().map(Integer::from),
            None => literal.parse::<u64>().map(Integer::from),
        };
        return integer.map(Exact::Integer).map_err(|_| NotKept::Integer);
    }
    let nearest: f64 = literal.parse().map_err(|_| NotKept::Range)?;
    if !nearest.is_finite() {
        return Err(NotKept::Range);
    }
    if comes_back(literal, nearest) { Ok(Exact::Float(nearest)) } else { Err(NotKept::Digits(nearest)) }
}

/// Whether the nearest float, written with the digits that the literal has, is the literal.
fn comes_back(literal: &str, nearest: f64) -> bool {
    let mantissa = literal.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // Zeros at the end are digits like others: of `0.100` they say that it is not `0.101`.
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() || (digits.len() <= DIGITS_ALWAYS_KEPT && nearest.is_normal()) {
        return true;
    }
    let (digits, rest) = digits.split_at_checked(DIGITS_MAX).unwrap_or((digits, ""));
    let written = format!("{:.*e}", digits.len() - 1, nearest.abs());
    let written = written.split('e').next().unwrap_or_default();
    // Both begin with a digit that is not zero, so the exponents are the same where the digits are.
    written.chars().filter(char::is_ascii_digit).eq(digits.chars()) && rest.chars().all(|digit| digit == '0')
}

/// The number that serde_json holds.
///
/// A [`Number`] is a `u64`, an `i64` or a finite `f64`, unless some crate of the program has turned on serde_json's feature
/// `arbitrary_precision`: then it is whatever was written, and is refused with [`Error::Invalid`] where no value keeps it.
pub(crate) fn exact(number: &Number) -> Result<Exact> {
    if let Some(value) = number.as_u64() {
        return Ok(Exact::Integer(Integer::from(value)));
    }
    if let Some(value) = number.as_i64() {
        return Ok(Exact::Integer(Integer::from(value)));
    }
    let nearest = number.as_f64().filter(|value| Number::from_f64(*value).is_some_and(|again| again == *number));
    if let Some(value) = nearest {
        return Ok(Exact::Float(value));
    }
    let literal = number.to_string();
    read_literal(&literal).map_err(|why| Error::Invalid { what: "number", why: why.explain(&literal) })
}

/// The first number in a document that no value keeps, with its place as a JSON Pointer.
pub(crate) fn refused_number(document: &Json) -> Option<Error> {
    let mut path = String::new();
    let why = first_refused(document, &mut path)?;
    Some(Error::Invalid { what: "number", why: format!("{why} (at {path:?})") })
}

fn first_refused(value: &Json, path: &mut String) -> Option<String> {
    let mut below = |step: &str, value: &Json| {
        let length = path.len();
        path.push('/');
        path.push_str(&step.replace('~', "~0").replace('/', "~1"));
        let found = first_refused(value, path);
        if found.is_none() {
            path.truncate(length);
        }
        found
    };
    match value {
        Json::Number(number) => match exact(number) {
            Err(Error::Invalid { why, .. }) => Some(why),
            _ => None,
        },
        Json::Array(items) => items.iter().enumerate().find_map(|(index, item)| below(&index.to_string(), item)),
        Json::Object(members) => members.iter().find_map(|(name, member)| below(name, member)),
        Json::Null | Json::Bool(_) | Json::String(_) => None,
    }
}

impl NotKept {
    /// What is wrong with this literal, and what to do.
    pub(crate) fn explain(self, literal: &str) -> String {
        let number = Shown(literal);
        match self {
            NotKept::Integer => format!(
                "{number} is an integer beyond 64 bits (-9223372036854775808 to 18446744073709551615); to keep it, write it as text, in quotes"
            ),
            NotKept::Range => {
                format!("{number} is larger than any 64-bit float; to keep it, write it as text, in quotes")
            }
            NotKept::Digits(nearest) => format!(
                "{number} has more digits than a 64-bit float keeps (the nearest is {nearest:?}); write it with fewer, or, to keep all of them, as text, in quotes"
            ),
        }
    }
}

/// A literal in a message: a number may be longer than a screen.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 60;
        match self.0.get(..SHOWN_MAX) {
            Some(start) if self.0.len() > SHOWN_MAX => write!(f, "{start}… ({} characters)", self.0.len()),
            _ => f.write_str(self.0),
        }
    }
}
