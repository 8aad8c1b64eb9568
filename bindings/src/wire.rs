//! Requests and answers as bytes. Little-endian; lengths are `u32`, numbers that JavaScript has are `f64`.
//!
//! Invariant: a request is checked as it is read. Nothing in it can panic, read past its end, or allocate more than it
//! has bytes. The other side is `ts/wire/`.

use foldb_core::{
    Cause, Error, Result, RunId,
    primitive::{ScanOptions, TraceId},
    tree::{Direction, KeyRange},
    value::Value,
};

/// The largest integer that a JavaScript number holds exactly.
const SAFE_MAX: f64 = 9_007_199_254_740_991.0;

/// Most bytes of a request. With the message that it is in, and what it is decoded into, it has to fit into the memory of a
/// 32-bit module several times over.
pub(crate) const REQUEST_BYTES_MAX: usize = 256 << 20;
/// Most bytes of an answer. Several of them, up to [`PART_BYTES`](crate::execute::PART_BYTES), stay below the 512 MiB whose
/// length a call can return. Only reads come near: what a write answers with is one value at most.
pub(crate) const ANSWER_BYTES_MAX: usize = 480 << 20;

/// What is left of a request.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a>(&'a [u8]);

pub(crate) fn malformed(why: &str) -> Error {
    Error::Invalid { what: "request", why: why.into() }
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Input(bytes)
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Fails where something is left: whoever sent it means another operation than the one that was read. Comes before
    /// anything is written: afterwards it would tell of a failure what was done.
    #[inline(never)]
    pub(crate) fn finish(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("it is longer than its operation")) }
    }

    /// The last argument, behind which nothing is left.
    pub(crate) fn last<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let last = read(self)?;
        self.finish()?;
        Ok(last)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk().ok_or_else(|| malformed("it is cut off"))?;
        self.0 = rest;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(malformed("a flag is neither 0 nor 1")),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// An integer from 0 to 2^53 - 1.
    pub(crate) fn number(&mut self) -> Result<u64> {
        let number = self.f64()?;
        if !(0.0..=SAFE_MAX).contains(&number) || number.fract() != 0.0 {
            return Err(Error::Invalid {
                what: "number",
                why: format!("{number} is not an integer from 0 to 2^53 - 1"),
            });
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just now")]
        Ok(number as u64)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("it is cut off"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        core::str::from_utf8(self.bytes()?).map_err(|_| malformed("a text is not UTF-8"))
    }

    pub(crate) fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Items behind their number. Each has a byte at least, so that a count is never believed before it is seen.
    pub(crate) fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > self.0.len() {
            return Err(malformed("it is cut off"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub(crate) fn run(&mut self) -> Result<RunId> {
        self.array().map(RunId::from_bytes)
    }

    /// Why a transaction is made.
    pub(crate) fn cause(&mut self) -> Result<Cause> {
        Ok(if self.flag()? { Cause::Trace(self.array().map(TraceId::from_bytes)?) } else { self.text()?.into() })
    }

    pub(crate) fn value(&mut self) -> Result<Value> {
        Value::decode(self.bytes()?)
    }

    pub(crate) fn document(&mut self) -> Result<serde_json::Value> {
        foldb_core::json::decode_document(self.bytes()?)
    }

    pub(crate) fn range(&mut self) -> Result<KeyRange> {
        let mut range = self.optional(Self::bytes)?.map_or_else(KeyRange::all, KeyRange::prefix);
        // Each takes keys away from what there is: a prefix stays one. The last two are `from` and `to`.
        let bounds: [fn(KeyRange, &[u8]) -> KeyRange; 6] = [
            |range, key| range.gt(key),
            |range, key| range.gte(key),
            |range, key| range.lt(key),
            |range, key| range.lte(key),
            |range, key| range.gte(key),
            |range, key| range.lt(key),
        ];
        for bounded in bounds {
            if let Some(key) = self.optional(Self::bytes)? {
                range = bounded(range, key);
            }
        }
        Ok(range)
    }

    pub(crate) fn scan(&mut self) -> Result<ScanOptions> {
        let mut options = ScanOptions::range(self.range()?);
        self.page(&mut options)?;
        Ok(options)
    }

    /// Limit, direction and cursor.
    pub(crate) fn page(&mut self, options: &mut ScanOptions) -> Result<()> {
        options.limit = self.limit()?;
        options.direction = self.direction()?;
        options.after = self.optional(Self::bytes)?.map(<[u8]>::to_vec);
        Ok(())
    }

    pub(crate) fn limit(&mut self) -> Result<Option<usize>> {
        Ok(self.optional(Self::number)?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    pub(crate) fn direction(&mut self) -> Result<Direction> {
        Ok(if self.flag()? { Direction::Backward } else { Direction::Forward })
    }
}

/// An answer that is being written.
#[derive(Default)]
pub(crate) struct Output(pub(crate) Vec<u8>);

impl Output {
    pub(crate) fn u8(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn f64(&mut self, number: f64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Seqs, counts, sizes and times all stay below 2^53 for centuries; past that a number would be rounded.
    pub(crate) fn number(&mut self, number: u64) {
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        self.f64(number as f64);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Why a transaction was made, if that was said.
    pub(crate) fn cause(&mut self, cause: Option<&Cause>) {
        match cause {
            Some(Cause::Trace(id)) => {
                self.u8(2);
                self.0.extend_from_slice(&id.to_bytes());
            }
            Some(Cause::Text(text)) => {
                self.u8(1);
                self.text(text);
            }
            _ => self.u8(0),
        }
    }

    pub(crate) fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// What `write` adds, behind its length.
    pub(crate) fn nested(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let at = self.0.len();
        self.u32(0);
        write(&mut self.0)?;
        let length = self.0.len().saturating_sub(at + 4);
        self.patch(at, length);
        Ok(())
    }

    /// Fails where an answer that begins at `at` has become too long, with `more` bytes that are still to come.
    #[inline(never)]
    pub(crate) fn check(&self, at: usize, more: usize) -> Result<()> {
        let size = self.0.len().saturating_sub(at).saturating_add(more);
        if size <= ANSWER_BYTES_MAX {
            return Ok(());
        }
        Err(Error::Limit { what: "answer bytes", size: size as u64, limit: ANSWER_BYTES_MAX as u64 })
    }

    /// Overwrites the `u32` at `at`.
    pub(crate) fn patch(&mut self, at: usize, number: usize) {
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&length_bytes(number));
        }
    }

    pub(crate) fn value(&mut self, value: &Value) -> Result<()> {
        self.nested(|out| value.encode(out))
    }

    pub(crate) fn document(&mut self, document: &serde_json::Value) -> Result<()> {
        self.nested(|out| foldb_core::json::encode_document(document, out))
    }
}

/// Entries that are being written. All heads and keys come first and all values behind them, so that JavaScript can take the
/// values into a buffer of their own by one copy.
pub(crate) struct Entries {
    at: usize,
    count: usize,
    values: Vec<u8>,
}

/// Bytes before the first head: the number of entries, and the length of all heads and keys.
const ENTRIES_HEAD: usize = 8;

impl Entries {
    pub(crate) fn begin(out: &mut Output) -> Self {
        let at = out.0.len();
        out.0.extend_from_slice(&[0; ENTRIES_HEAD]);
        Entries { at, count: 0, values: Vec::new() }
    }

    /// Adds an entry; `write` adds its value to the bytes that it is given.
    pub(crate) fn push(
        &mut self,
        out: &mut Output,
        key: &[u8],
        seq: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let before = self.values.len();
        write(&mut self.values)?;
        // Noticed now and not at the end: the whole of a large store would not fit into memory.
        out.check(self.at, self.values.len())?;
        let length = self.values.len() - before;
        let mut head = [0; 16];
        head[..4].copy_from_slice(&length_bytes(key.len()));
        head[4..8].copy_from_slice(&length_bytes(length));
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53; see `Output::number`")]
        head[8..].copy_from_slice(&(seq as f64).to_le_bytes());
        out.0.extend_from_slice(&head);
        out.0.extend_from_slice(key);
        self.count += 1;
        Ok(())
    }

    pub(crate) fn finish(self, out: &mut Output) {
        out.patch(self.at, self.count);
        let keys = out.0.len().saturating_sub(self.at + ENTRIES_HEAD);
        out.patch(self.at + 4, keys);
        out.0.extend_from_slice(&self.values);
    }
}

fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}
