//! The bytes of CBOR (RFC 8949): heads are written in the shortest form, and read only in the shortest form.
//!
//! Invariant: for every item there is exactly one sequence of bytes that [`Reader`] accepts, and it is the one that
//! the writers here produce (and ciborium as well; a test holds them together). Rule F-37.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Error, Result,
    error::check_limit,
    limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX},
    value::Integer,
};

/// Major types of section 3.1, already in the upper three bits of the initial byte.
pub(crate) mod major {
    pub(crate) const POSITIVE: u8 = 0 << 5;
    pub(crate) const NEGATIVE: u8 = 1 << 5;
    pub(crate) const BYTES: u8 = 2 << 5;
    pub(crate) const TEXT: u8 = 3 << 5;
    pub(crate) const LIST: u8 = 4 << 5;
    pub(crate) const MAP: u8 = 5 << 5;
    pub(crate) const TAG: u8 = 6 << 5;
}

pub(crate) const FALSE: u8 = 0xf4;
pub(crate) const TRUE: u8 = 0xf5;
pub(crate) const NULL: u8 = 0xf6;
const UNDEFINED: u8 = 0xf7;
const HALF: u8 = 0xf9;
const SINGLE: u8 = 0xfa;
const DOUBLE: u8 = 0xfb;

/// The one NaN. Which bits a NaN has after a conversion differs between processors and in WebAssembly, so its payload
/// must never reach bytes that two machines compare.
const CANONICAL_NAN: [u8; 3] = [HALF, 0x7e, 0x00];

/// Most items for which room is made before they have been seen. A hostile count cannot cost more than this per level.
pub(crate) const ITEMS_RESERVED_MAX: usize = 256;

/// Appends a head: the major type and its argument in the shortest form.
pub(crate) fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    if let Ok(argument) = u8::try_from(argument) {
        if argument < 24 {
            out.push(major | argument);
        } else {
            out.extend_from_slice(&[major | 24, argument]);
        }
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

/// Appends a head whose argument is the length of something in memory.
pub(crate) fn write_length(out: &mut Vec<u8>, major: u8, length: usize) {
    // A length in memory fits 64 bits on every target that exists.
    write_head(out, major, u64::try_from(length).unwrap_or(u64::MAX));
}

pub(crate) fn write_integer(out: &mut Vec<u8>, value: Integer) {
    let (negative, argument) = value.to_head();
    write_head(out, if negative { major::NEGATIVE } else { major::POSITIVE }, argument);
}

pub(crate) fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { TRUE } else { FALSE });
}

/// Appends a float in the shortest form that keeps it; every NaN as the canonical one.
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64) {
    let mut buffer = [0; 9];
    out.extend_from_slice(float_bytes(value, &mut buffer));
}

fn float_bytes(value: f64, buffer: &mut [u8; 9]) -> &[u8] {
    if value.is_nan() {
        return &CANONICAL_NAN;
    }
    let half = half::f16::from_f64(value);
    #[expect(clippy::cast_possible_truncation, reason = "whether anything is lost is looked at below")]
    let single = value as f32;
    let same = |shorter: f64| shorter.to_bits() == value.to_bits();
    let length = if same(half.to_f64()) {
        *buffer = float(HALF, half.to_be_bytes());
        3
    } else if same(f64::from(single)) {
        *buffer = float(SINGLE, single.to_be_bytes());
        5
    } else {
        *buffer = float(DOUBLE, value.to_be_bytes());
        9
    };
    buffer.get(..length).unwrap_or_default()
}

/// The initial byte of a float and its bits, with zeros behind.
fn float<const N: usize>(initial: u8, bits: [u8; N]) -> [u8; 9] {
    let mut buffer = [0; 9];
    buffer[0] = initial;
    buffer.iter_mut().skip(1).zip(bits).for_each(|(byte, bits)| *byte = bits);
    buffer
}

/// Appends a byte string. [`Error::Limit`] if its encoding is over [`VALUE_BYTES_MAX`]; then nothing is appended.
pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    write_string(out, major::BYTES, bytes)
}

/// Appends a text. [`Error::Limit`] if its encoding is over [`VALUE_BYTES_MAX`]; then nothing is appended.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) -> Result<()> {
    write_string(out, major::TEXT, text.as_bytes())
}

fn write_string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) -> Result<()> {
    // Only strings near the limit have heads of five bytes.
    check_bytes(bytes.len().saturating_add(if bytes.len() > 0xffff { 5 } else { 0 }))?;
    out.reserve(bytes.len().saturating_add(5));
    write_length(out, major, bytes.len());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Fails if an encoding of this many bytes is too large for a value.
pub(crate) fn check_bytes(encoded: usize) -> Result<()> {
    check_limit("encoded value bytes", encoded, VALUE_BYTES_MAX)
}

/// One level deeper. `depth` is how many lists, maps and tags are around; [`Error::Limit`] if there are too many.
pub(crate) fn deeper(depth: usize) -> Result<usize> {
    check_limit("value depth", depth.saturating_add(1), VALUE_DEPTH_MAX)?;
    Ok(depth + 1)
}

/// Room for this many items, as far as a count that nobody has checked may be trusted.
pub(crate) fn reserved(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).min(ITEMS_RESERVED_MAX)
}

/// What stands at the beginning of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Head {
    Null,
    Bool(bool),
    Integer(Integer),
    Float(f64),
    /// Length in bytes; the bytes follow.
    Text(u64),
    /// Length in bytes; the bytes follow.
    Bytes(u64),
    /// Number of items that follow.
    List(u64),
    /// Number of pairs that follow.
    Map(u64),
    /// The tag number; the tagged item follows.
    Tag(u64),
}

impl Head {
    /// As [`Value::type_name`](crate::value::Value::type_name).
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Head::Null => "null",
            Head::Bool(_) => "bool",
            Head::Integer(_) => "integer",
            Head::Float(_) => "float",
            Head::Text(_) => "text",
            Head::Bytes(_) => "bytes",
            Head::List(_) => "list",
            Head::Map(_) => "map",
            Head::Tag(_) => "tag",
        }
    }

    /// That this is not what was asked for.
    pub(crate) fn mismatch(self, expected: &'static str) -> Error {
        Error::Type { what: String::from("value"), expected, found: self.type_name() }
    }
}

/// Reads items from a slice, and never past its end.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// [`Error::Limit`] if there are more bytes than a value may have.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self> {
        check_bytes(bytes.len())?;
        Ok(Self { bytes, at: 0 })
    }

    /// The offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What is wrong, and where.
    pub(crate) fn invalid(at: usize, why: impl core::fmt::Display) -> Error {
        Error::Invalid { what: "CBOR value", why: format!("{why} at offset {at}") }
    }

    /// Reads the head of the next item.
    #[inline]
    pub(crate) fn head(&mut self) -> Result<Head> {
        let start = self.at;
        let [initial] = *self.array()?;
        let major = initial & 0xe0;
        if major > major::TAG {
            return self.simple_or_float(start, initial);
        }
        let argument = self.argument(start, initial & 0x1f)?;
        Ok(match major {
            major::POSITIVE => Head::Integer(Integer::from_head(false, argument)),
            major::NEGATIVE => Head::Integer(Integer::from_head(true, argument)),
            major::BYTES => Head::Bytes(argument),
            major::TEXT => Head::Text(argument),
            major::LIST => Head::List(self.count(start, argument, 1)?),
            major::MAP => Head::Map(self.count(start, argument, 2)?),
            // The three bits have no other value that is not handled above.
            _ => Head::Tag(argument),
        })
    }

    fn argument(&mut self, start: usize, additional: u8) -> Result<u64> {
        // Each width and the smallest argument that needs it.
        let (argument, needed_from) = match additional {
            0..24 => return Ok(u64::from(additional)),
            24 => (u64::from(u8::from_be_bytes(*self.array()?)), 24),
            25 => (u64::from(u16::from_be_bytes(*self.array()?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(*self.array()?)), 1 << 16),
            27 => (u64::from_be_bytes(*self.array()?), 1 << 32),
            31 => return Err(Self::invalid(start, "an item of indefinite length, or a break,")),
            _ => return Err(Self::invalid(start, "a reserved kind of head")),
        };
        if argument < needed_from {
            return Err(Self::invalid(start, format_args!("{argument} in a longer form than it needs")));
        }
        Ok(argument)
    }

    /// Checks a count of items against the bytes that are left: every item has at least one.
    fn count(&self, start: usize, count: u64, bytes_each: u64) -> Result<u64> {
        let left = u64::try_from(self.left()).unwrap_or(u64::MAX);
        if count > left / bytes_each {
            return Err(Self::invalid(start, format_args!("a count of {count} with only {left} bytes left")));
        }
        Ok(count)
    }

    fn simple_or_float(&mut self, start: usize, initial: u8) -> Result<Head> {
        match initial {
            FALSE => Ok(Head::Bool(false)),
            TRUE => Ok(Head::Bool(true)),
            NULL => Ok(Head::Null),
            UNDEFINED => Err(Self::invalid(start, "undefined, which is no value,")),
            HALF => {
                self.array().copied().map(half::f16::from_be_bytes).and_then(|half| self.float(start, half.to_f64()))
            }
            SINGLE => self.array().copied().map(f32::from_be_bytes).and_then(|single| self.float(start, single.into())),
            DOUBLE => self.array().copied().map(f64::from_be_bytes).and_then(|double| self.float(start, double)),
            0xff => Err(Self::invalid(start, "a break without a beginning")),
            _ => Err(Self::invalid(start, "an unknown simple value")),
        }
    }

    /// A float that has been read from `start` on.
    fn float(&self, start: usize, value: f64) -> Result<Head> {
        let mut buffer = [0; 9];
        if float_bytes(value, &mut buffer) != self.since(start) {
            return Err(Self::invalid(start, format_args!("{value:?} in another form than the shortest")));
        }
        Ok(Head::Float(value))
    }

    /// The bytes of a byte string whose head has been read.
    pub(crate) fn bytes(&mut self, length: u64) -> Result<&'a [u8]> {
        match usize::try_from(length) {
            Ok(length) => self.take_here(length),
            Err(_) => Err(self.short(length)),
        }
    }

    /// The text whose head has been read.
    pub(crate) fn text(&mut self, length: u64) -> Result<&'a str> {
        let start = self.at;
        let bytes = self.bytes(length)?;
        core::str::from_utf8(bytes)
            .map_err(|error| Self::invalid(start.saturating_add(error.valid_up_to()), "text that is not UTF-8"))
    }

    /// Checks the rest of an item whose head has been read, and goes past it.
    pub(crate) fn skip(&mut self, head: Head, depth: usize) -> Result<()> {
        let (items, depth) = match head {
            Head::Null | Head::Bool(_) | Head::Integer(_) | Head::Float(_) => return Ok(()),
            Head::Text(length) => return self.text(length).map(|_| ()),
            Head::Bytes(length) => return self.bytes(length).map(|_| ()),
            Head::List(count) => (count, deeper(depth)?),
            // Was checked against the bytes left, so twice the count is no overflow.
            Head::Map(count) => (count.saturating_mul(2), deeper(depth)?),
            Head::Tag(_) => (1, deeper(depth)?),
        };
        for _ in 0..items {
            let head = self.head()?;
            self.skip(head, depth)?;
        }
        Ok(())
    }

    /// All bytes from `start` up to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// Fails if anything is left.
    pub(crate) fn finish(self) -> Result<()> {
        match self.left() {
            0 => Ok(()),
            left => Err(Self::invalid(self.at, format_args!("{left} bytes behind the end of the value"))),
        }
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn short(&self, needed: impl ToString) -> Error {
        let (needed, left) = (needed.to_string(), self.left());
        Self::invalid(self.at, format_args!("the value is cut off: {needed} bytes needed, {left} left,"))
    }

    fn take_here(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..length)).ok_or_else(|| self.short(length))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let array = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or_else(|| self.short(N))?;
        self.at += N;
        Ok(array)
    }
}

/// Checks that `bytes` are one value in its only form, without building it.
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
    let mut reader = Reader::new(bytes)?;
    let head = reader.head()?;
    reader.skip(head, 0)?;
    reader.finish()
}
