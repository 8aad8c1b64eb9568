//! Counters: additions that commute, so that they are logged as deltas and never conflict.
//!
//! Invariant: [`apply_delta`] is a pure function of the stored bytes and the delta. Commit, recovery and replay all
//! call it, and a delta that a commit has accepted is accepted again by every fold of the same log.
//! Normative text: `docs/format.md`, rule F-37.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use ruint::aliases::U256;

use super::{Decode, Encode, ValueRef, notation};
use crate::{Error, Result};

/// The type of a counter. The numbers are part of the log format.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::{CounterKind, Delta};
/// assert_eq!(Delta::U64(1).kind(), CounterKind::U64);
/// assert_eq!(CounterKind::U256.name(), "u256");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CounterKind {
    /// Goes up and down between -2^63 and 2^63 - 1.
    I64 = 1,
    /// Only goes up, to 2^64 - 1.
    U64 = 2,
    /// A sum of floats.
    F64 = 3,
    /// Only goes up, to 2^256 - 1.
    U256 = 4,
}

impl CounterKind {
    /// The name, as error messages use it: `i64`, `u64`, `f64` or `u256`.
    ///
    /// ```
    /// # use foldb_core::value::CounterKind;
    /// assert_eq!(CounterKind::I64.name(), "i64");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            CounterKind::I64 => "i64",
            CounterKind::U64 => "u64",
            CounterKind::F64 => "f64",
            CounterKind::U256 => "u256",
        }
    }

    /// The number that stands for this kind in the log.
    ///
    /// ```
    /// # use foldb_core::value::CounterKind;
    /// assert_eq!(CounterKind::F64.number(), 3);
    /// ```
    pub const fn number(self) -> u8 {
        match self {
            CounterKind::I64 => 1,
            CounterKind::U64 => 2,
            CounterKind::F64 => 3,
            CounterKind::U256 => 4,
        }
    }

    /// The kind with this number, if there is one.
    ///
    /// ```
    /// # use foldb_core::value::CounterKind;
    /// assert_eq!(CounterKind::from_number(4), Some(CounterKind::U256));
    /// assert_eq!(CounterKind::from_number(0), None);
    /// ```
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(CounterKind::I64),
            2 => Some(CounterKind::U64),
            3 => Some(CounterKind::F64),
            4 => Some(CounterKind::U256),
            _ => None,
        }
    }
}

impl fmt::Display for CounterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is added to a counter.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::Delta;
///
/// let mut body = Vec::new();
/// Delta::I64(-1).encode(&mut body);
/// assert_eq!(body, [1, 0x20]);
/// assert_eq!(Delta::decode(&body)?, Delta::I64(-1));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delta {
    /// To an `i64` counter; may be negative.
    I64(i64),
    /// To a `u64` counter.
    U64(u64),
    /// To an `f64` counter. If the sum is NaN it is the one NaN that is stored, whatever bits the processor gave.
    F64(f64),
    /// To a 256-bit counter.
    U256(U256),
}

impl Delta {
    /// The kind of counter that this is added to.
    ///
    /// ```
    /// # use foldb_core::value::{CounterKind, Delta};
    /// assert_eq!(Delta::F64(0.5).kind(), CounterKind::F64);
    /// ```
    pub const fn kind(&self) -> CounterKind {
        match self {
            Delta::I64(_) => CounterKind::I64,
            Delta::U64(_) => CounterKind::U64,
            Delta::F64(_) => CounterKind::F64,
            Delta::U256(_) => CounterKind::U256,
        }
    }

    /// Appends the body of a counter operation: the kind's number, then the delta encoded as a value of that kind.
    ///
    /// ```
    /// # use foldb_core::value::Delta;
    /// let mut body = Vec::new();
    /// Delta::U64(24).encode(&mut body);
    /// assert_eq!(body, [2, 0x18, 24]);
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind().number());
        // Numbers are always within the limits of a value.
        let _ = self.encode_amount(out);
    }

    fn encode_amount(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Delta::I64(amount) => amount.encode(out),
            Delta::U64(amount) => amount.encode(out),
            Delta::F64(amount) => amount.encode(out),
            Delta::U256(amount) => amount.encode(out),
        }
    }

    /// Reads the body of a counter operation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the kind is unknown, [`Error::Type`] or [`Error::Invalid`] if the amount is not of it.
    ///
    /// ```
    /// # use foldb_core::value::Delta;
    /// assert!(Delta::decode(&[2, 0x20]).is_err(), "a u64 counter cannot go down");
    /// ```
    pub fn decode(body: &[u8]) -> Result<Self> {
        let Some((&number, amount)) = body.split_first() else {
            return Err(Error::Invalid { what: "counter operation", why: String::from("it is empty") });
        };
        match CounterKind::from_number(number) {
            Some(CounterKind::I64) => i64::decode(amount).map(Delta::I64),
            Some(CounterKind::U64) => u64::decode(amount).map(Delta::U64),
            Some(CounterKind::F64) => f64::decode(amount).map(Delta::F64),
            Some(CounterKind::U256) => U256::decode(amount).map(Delta::U256),
            None => Err(Error::Invalid { what: "counter operation", why: format!("unknown kind of counter {number}") }),
        }
    }
}

/// The encoded value of the counter at `key` after adding `delta` to the encoded value `existing`. An absent counter
/// starts at zero. The key is only used in errors.
///
/// # Errors
/// [`Error::CounterOverflow`] if the sum leaves the range of the delta's kind, [`Error::Type`] if the existing value is
/// not of that kind: an integer is no `f64` counter, and a negative one no `u64` counter.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::{Error, value::{Decode, Delta, apply_delta}};
///
/// let one = apply_delta(b"visits", None, &Delta::U64(1))?;
/// let three = apply_delta(b"visits", Some(&one), &Delta::U64(2))?;
/// assert_eq!(u64::decode(&three)?, 3);
/// let over = apply_delta(b"visits", Some(&three), &Delta::U64(u64::MAX));
/// assert!(matches!(over, Err(Error::CounterOverflow { kind: "u64", .. })));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn apply_delta(key: &[u8], existing: Option<&[u8]>, delta: &Delta) -> Result<Vec<u8>> {
    let overflow = || Error::CounterOverflow { key: readable(key), kind: delta.kind().name() };
    let mut out = Vec::new();
    match *delta {
        Delta::I64(amount) => {
            let value: i64 = current(key, existing, delta.kind())?;
            value.checked_add(amount).ok_or_else(overflow)?.encode(&mut out)?;
        }
        Delta::U64(amount) => {
            let value: u64 = current(key, existing, delta.kind())?;
            value.checked_add(amount).ok_or_else(overflow)?.encode(&mut out)?;
        }
        Delta::F64(amount) => {
            let value: f64 = current(key, existing, delta.kind())?;
            (value + amount).encode(&mut out)?;
        }
        Delta::U256(amount) => {
            let value: U256 = current(key, existing, delta.kind())?;
            value.checked_add(amount).ok_or_else(overflow)?.encode(&mut out)?;
        }
    }
    Ok(out)
}

/// The existing value of a counter, or zero.
fn current<T: Decode + Default>(key: &[u8], existing: Option<&[u8]>, kind: CounterKind) -> Result<T> {
    let Some(encoded) = existing else { return Ok(T::default()) };
    T::decode(encoded).map_err(|error| {
        let found = match ValueRef::decode(encoded) {
            Ok(ValueRef::Integer(_)) => "an integer that is none",
            Ok(value) => value.type_name(),
            // Not even a value: that is worth more than a word about its type.
            Err(malformed) => return malformed,
        };
        match error {
            Error::Type { .. } | Error::Invalid { .. } => {
                Error::Type { what: readable(key), expected: kind.name(), found }
            }
            other => other,
        }
    })
}

/// A key as people read it: text if it is printable, else hexadecimal as in `h'00ff'`.
fn readable(key: &[u8]) -> String {
    match core::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => String::from(text),
        _ => {
            let mut out = String::new();
            // Writing to a string cannot fail.
            let _ = notation::write_bytes(key, &mut out);
            out
        }
    }
}
