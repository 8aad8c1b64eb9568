//! Counters: sums that stay in the range of their kind.

use foldb_core::{ErrorKind, value::Value};
use ruint::aliases::U256;

use super::operation::Delta;

/// The tag of a big number in CBOR.
const BIGNUM: u64 = 2;

/// What a counter has after an addition. Anything that is no number of the kind is refused, and so is a sum out of range.
pub(super) fn sum(existing: Option<&Value>, delta: Delta) -> Result<Value, ErrorKind> {
    let wrong = ErrorKind::Invalid;
    match delta {
        Delta::I64(by) => {
            let value = existing.map_or(Some(0), Value::as_i64).ok_or(wrong)?;
            value.checked_add(by).map(Value::from).ok_or(wrong)
        }
        Delta::U64(by) => {
            let value = existing.map_or(Some(0), Value::as_u64).ok_or(wrong)?;
            value.checked_add(by).map(Value::from).ok_or(wrong)
        }
        Delta::F64(by) => match existing {
            None => Ok(float(0.0 + by)),
            Some(Value::Float(value)) => Ok(float(value + by)),
            Some(_) => Err(wrong),
        },
        Delta::U256(by) => {
            let value = existing.map_or(Some(U256::ZERO), big).ok_or(wrong)?;
            value.checked_add(by).map(Value::from).ok_or(wrong)
        }
    }
}

/// There is one NaN.
fn float(value: f64) -> Value {
    Value::Float(if value.is_nan() { f64::NAN } else { value })
}

/// Two additions of one transaction are one: they are of one kind, and their sum is in its range too.
pub(super) fn both(left: Delta, right: Delta) -> Result<Delta, ErrorKind> {
    let sum = match (left, right) {
        (Delta::I64(left), Delta::I64(right)) => left.checked_add(right).map(Delta::I64),
        (Delta::U64(left), Delta::U64(right)) => left.checked_add(right).map(Delta::U64),
        (Delta::F64(left), Delta::F64(right)) => Some(Delta::F64(left + right)),
        (Delta::U256(left), Delta::U256(right)) => left.checked_add(right).map(Delta::U256),
        _ => None,
    };
    sum.ok_or(ErrorKind::Invalid)
}

/// A number of 256 bits in its shortest form.
fn big(value: &Value) -> Option<U256> {
    match value {
        Value::Tag(BIGNUM, inner) => match &**inner {
            Value::Bytes(bytes) if bytes.first() != Some(&0) => U256::try_from_be_slice(bytes),
            _ => None,
        },
        _ => None,
    }
}
