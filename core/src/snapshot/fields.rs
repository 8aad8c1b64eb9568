//! [`Fields`]: the bytes of a section, read one field after the other.
//!
//! Invariant: whatever the bytes are, reading ends at their end, allocates nothing, and fails with the file, the offset
//! and the rule.

use alloc::{format, string::String};

use super::layout::{corrupt, wide};
use crate::{
    Error, Result,
    log::varint::{Malformed, Reader},
};

pub(super) struct Fields<'a> {
    reader: Reader<'a>,
    file: &'a str,
    /// Offset in the file of the byte behind the last one.
    end: u64,
    rule: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields in `bytes`, which begin at `offset` of `file` and follow `rule`.
    pub(super) fn new(file: &'a str, offset: u64, bytes: &'a [u8], rule: &'static str) -> Self {
        Self { reader: Reader::new(bytes), file, end: offset.saturating_add(wide(bytes.len())), rule }
    }

    /// Offset in the file of the next field.
    pub(super) fn offset(&self) -> u64 {
        self.end.saturating_sub(wide(self.reader.remaining()))
    }

    pub(super) fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    /// The same place, under another rule.
    pub(super) fn with_rule(&self, rule: &'static str) -> Self {
        Self { rule, ..*self }
    }

    /// Says that what was just read, or comes next, breaks the rule.
    pub(super) fn corrupt(&self, what: String) -> Error {
        corrupt(self.file, self.offset(), self.rule, what)
    }

    fn checked<T>(&self, read: Result<T, Malformed>) -> Result<T> {
        read.map_err(|malformed| self.corrupt(format!("{malformed}")))
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        let read = self.reader.u8();
        self.checked(read)
    }

    /// Takes the next byte if it is this one.
    #[inline]
    pub(super) fn skip_byte(&mut self, byte: u8) -> bool {
        let mut ahead = self.reader;
        let found = ahead.u8() == Ok(byte);
        if found {
            self.reader = ahead;
        }
        found
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64> {
        let read = self.reader.varint();
        self.checked(read)
    }

    /// A number that fits 32 bits.
    #[inline]
    pub(super) fn varint32(&mut self) -> Result<u32> {
        let number = self.varint()?;
        u32::try_from(number).map_err(|_| self.corrupt(format!("{number} does not fit 32 bits")))
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let read = self.reader.bytes(wide(len));
        self.checked(read)
    }

    /// A number and as many bytes as it says.
    #[inline]
    pub(super) fn length_and_bytes(&mut self) -> Result<&'a [u8]> {
        let read = self.reader.length_and_bytes();
        self.checked(read)
    }

    /// A number and as many bytes of UTF-8 as it says.
    pub(super) fn text(&mut self) -> Result<&'a str> {
        let bytes = self.length_and_bytes()?;
        core::str::from_utf8(bytes).map_err(|error| self.corrupt(format!("a text is not UTF-8: {error}")))
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let read = self.reader.bytes(wide(N)).and_then(|bytes| bytes.try_into().map_err(|_| Malformed::Short));
        self.checked(read)
    }

    #[inline]
    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// 0 or 1: whether something follows.
    pub(super) fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(format!("{other} where 0 or 1 must be"))),
        }
    }

    /// Fails where something is left.
    pub(super) fn finish(self) -> Result<()> {
        if self.reader.is_empty() {
            return Ok(());
        }
        Err(self.corrupt(format!("{} bytes too many", self.remaining())))
    }
}
