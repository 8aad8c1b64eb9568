//! [`Integer`]: every integer that CBOR writes without a tag.

use core::{cmp::Ordering, fmt};

use crate::{Error, Result};

/// An integer between -2^64 and 2^64 - 1, the range of CBOR's major types 0 and 1.
///
/// It is kept the way CBOR writes it, so every bit pattern is a valid integer and no integer has two.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::Integer;
///
/// let big = Integer::from(u64::MAX);
/// assert_eq!(big.as_u64(), Some(u64::MAX));
/// assert_eq!(big.as_i64(), None);
/// assert_eq!(Integer::MIN.as_i128(), -(1 << 64));
/// assert!(Integer::from(-1) < Integer::from(1_u8));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Integer {
    /// Whether the integer is `-1 - distance` rather than `distance`.
    negative: bool,
    distance: u64,
}

impl Integer {
    /// The smallest: -2^64.
    ///
    /// ```
    /// # use foldb_core::value::Integer;
    /// assert_eq!(Integer::MIN.to_string(), "-18446744073709551616");
    /// ```
    pub const MIN: Self = Self { negative: true, distance: u64::MAX };

    /// The largest: 2^64 - 1.
    ///
    /// ```
    /// # use foldb_core::value::Integer;
    /// assert_eq!(Integer::MAX, Integer::from(u64::MAX));
    /// ```
    pub const MAX: Self = Self { negative: false, distance: u64::MAX };

    /// From the argument of a CBOR head: `distance`, or `-1 - distance`.
    pub(crate) const fn from_head(negative: bool, distance: u64) -> Self {
        Self { negative, distance }
    }

    /// Whether it is below zero, and the argument of its CBOR head.
    pub(crate) const fn to_head(self) -> (bool, u64) {
        (self.negative, self.distance)
    }

    /// As `i64`, if it fits.
    ///
    /// ```
    /// # use foldb_core::value::Integer;
    /// assert_eq!(Integer::from(i64::MIN).as_i64(), Some(i64::MIN));
    /// ```
    pub fn as_i64(self) -> Option<i64> {
        let distance = i64::try_from(self.distance).ok()?;
        // `!n` is `-1 - n`, and cannot overflow.
        Some(if self.negative { !distance } else { distance })
    }

    /// As `u64`, if it fits.
    ///
    /// ```
    /// # use foldb_core::value::Integer;
    /// assert_eq!(Integer::from(-1).as_u64(), None);
    /// ```
    pub fn as_u64(self) -> Option<u64> {
        (!self.negative).then_some(self.distance)
    }

    /// As `i128`, which always fits.
    ///
    /// ```
    /// # use foldb_core::value::Integer;
    /// assert_eq!(Integer::from(-7).as_i128(), -7);
    /// ```
    pub fn as_i128(self) -> i128 {
        let distance = i128::from(self.distance);
        if self.negative { !distance } else { distance }
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.distance.cmp(&other.distance),
            (true, true) => other.distance.cmp(&self.distance),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_i128(), f)
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Self { negative: false, distance: value }
    }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        match u64::try_from(value) {
            Ok(distance) => Self { negative: false, distance },
            // Below zero `!value` is `-1 - value`, which is not below zero.
            Err(_) => Self { negative: true, distance: (!value).unsigned_abs() },
        }
    }
}

macro_rules! from_narrower {
    ($($narrow:ident => $wide:ident),+) => {$(
        impl From<$narrow> for Integer {
            fn from(value: $narrow) -> Self {
                Self::from($wide::from(value))
            }
        }
    )+};
}

from_narrower!(u8 => u64, u16 => u64, u32 => u64, i8 => i64, i16 => i64, i32 => i64);

/// That an integer is outside the range of a type. The range is said, and not what a compiler calls the type: whoever reads this
/// may have a form of a program before them.
fn does_not_fit(value: impl fmt::Display, low: impl fmt::Display, high: impl fmt::Display) -> Error {
    Error::Invalid { what: "integer", why: alloc::format!("{value} is not a whole number from {low} to {high}") }
}

/// That an integer is outside the range of all values.
fn is_no_value(value: impl fmt::Display) -> Error {
    does_not_fit(value, "-2^64", "2^64 - 1")
}

impl TryFrom<i128> for Integer {
    type Error = Error;

    fn try_from(value: i128) -> Result<Self> {
        let negative = value < 0;
        match u64::try_from(if negative { !value } else { value }) {
            Ok(distance) => Ok(Self { negative, distance }),
            Err(_) => Err(is_no_value(value)),
        }
    }
}

impl TryFrom<u128> for Integer {
    type Error = Error;

    fn try_from(value: u128) -> Result<Self> {
        u64::try_from(value).map(Self::from).map_err(|_| is_no_value(value))
    }
}

impl TryFrom<usize> for Integer {
    type Error = Error;

    fn try_from(value: usize) -> Result<Self> {
        u64::try_from(value).map(Self::from).map_err(|_| is_no_value(value))
    }
}

impl TryFrom<isize> for Integer {
    type Error = Error;

    fn try_from(value: isize) -> Result<Self> {
        i64::try_from(value).map(Self::from).map_err(|_| is_no_value(value))
    }
}

macro_rules! try_into {
    ($($target:ident),+) => {$(
        impl TryFrom<Integer> for $target {
            type Error = Error;

            fn try_from(value: Integer) -> Result<Self> {
                let narrowed = match value.to_head() {
                    (false, distance) => $target::try_from(distance).ok(),
                    (true, _) => value.as_i64().and_then(|value| $target::try_from(value).ok()),
                };
                narrowed.ok_or_else(|| does_not_fit(value, $target::MIN, $target::MAX))
            }
        }
    )+};
}

try_into!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl From<Integer> for i128 {
    fn from(value: Integer) -> Self {
        value.as_i128()
    }
}

impl TryFrom<Integer> for u128 {
    type Error = Error;

    fn try_from(value: Integer) -> Result<Self> {
        value.as_u64().map(u128::from).ok_or_else(|| does_not_fit(value, u128::MIN, u128::MAX))
    }
}
