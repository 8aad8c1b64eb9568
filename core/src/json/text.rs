//! JSON text to documents, with nothing altered on the way.
//!
//! Invariant: what is read is what was written, or an error that says where it stands. Two things that other readers alter in
//! silence are refused: numbers that no value keeps (a common parser makes 18446744073709551617 of 18446744073709551616, or
//! a float), and a member name that comes twice, of which only one would be left.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use serde_json::{Map, Value as Json};

use crate::{
    Error,
    limits::VALUE_DEPTH_MAX,
    value::{Exact, read_literal},
};

/// Why a text is refused, and where.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::parse;
///
/// let error = parse("{\"wei\": [1, 12345678901234567890123]}").unwrap_err();
/// assert_eq!((error.line(), error.column(), error.path()), (1, 13, "/wei/1"));
/// assert!(error.what().starts_with("12345678901234567890123 is an integer beyond 64 bits"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct TextError {
    what: String,
    line: u64,
    column: u64,
    path: String,
}

impl TextError {
    /// What is wrong, with what was found.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The line, counted from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> u64 {
        self.column
    }

    /// The place in the document as a JSON Pointer; empty for the document itself.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {}", self.what, self.line, self.column)?;
        if self.path.is_empty() { f.write_str(")") } else { write!(f, ", at {})", self.path) }
    }
}

impl From<TextError> for Error {
    fn from(error: TextError) -> Self {
        Error::Invalid { what: "JSON text", why: error.to_string() }
    }
}

/// Reads one JSON value (RFC 8259) that fills the text, and alters nothing of it.
///
/// - A number without fraction and exponent is an integer. It must fit `i64` or `u64`, and never becomes a float.
/// - Any other number is the nearest `f64`, rounded correctly. It is refused if it is out of range, and if the float,
///   written with as many digits, would not be the number again: `0.1`, `1e23` and `0.30000000000000004` are kept,
///   `1e400` and `12345678901234.567` are not. With 15 digits or fewer only the range matters, and everything that a
///   program prints of an `f64` is kept.
/// - The members of an object have different names.
///
/// `serde_json::from_str` does none of this: it rounds integers beyond 64 bits to floats, floats to a neighbour of the nearest
/// one (without its feature `float_roundtrip`), and keeps the last of several members of one name. Cost: one pass.
///
/// # Errors
/// [`TextError`], which is [`Error::Invalid`] behind a `?`: for a text that is not JSON, a number that is not kept, a name that
/// comes twice, and nesting beyond [`VALUE_DEPTH_MAX`].
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::parse;
///
/// assert_eq!(parse(r#"{"id": 18446744073709551615, "price": 0.1}"#)?["id"], u64::MAX);
/// assert!(parse("18446744073709551616").is_err(), "one more than 64 bits hold");
/// assert!(parse(r#"{"id": 1, "id": 2}"#).is_err(), "which of the two?");
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Json, TextError> {
    let mut reader = Reader { text, at: 0 };
    let read = reader.value(0).and_then(|value| {
        reader.skip_blanks();
        if reader.peek().is_none() { Ok(value) } else { Err(reader.unexpected("nothing behind the value")) }
    });
    read.map_err(|trouble| trouble.locate(text))
}

/// What is wrong at an offset, with the steps towards it, the innermost first.
struct Trouble {
    what: String,
    at: usize,
    steps: Vec<String>,
}

impl Trouble {
    /// The same, seen from outside.
    fn below(mut self, step: impl fmt::Display) -> Self {
        self.steps.push(step.to_string());
        self
    }

    fn locate(self, text: &str) -> TextError {
        let before = text.get(..self.at).unwrap_or(text);
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let steps = self.steps.iter().rev();
        TextError {
            what: self.what,
            line: count(before.matches('\n').count()),
            column: count(before.get(line_start..).unwrap_or_default().chars().count()),
            path: steps.map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect(),
        }
    }
}

type Read<T> = Result<T, Trouble>;

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether this character is next; it is read over.
    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn trouble_at<T>(&self, at: usize, what: impl Into<String>) -> Read<T> {
        Err(Trouble { what: what.into(), at, steps: Vec::new() })
    }

    /// That something else stands here than what belongs here.
    fn unexpected(&self, expected: &str) -> Trouble {
        let what = match self.rest().chars().next() {
            Some(found) => format!("expected {expected}, found {found:?}"),
            None => format!("expected {expected}, found the end"),
        };
        Trouble { what, at: self.at, steps: Vec::new() }
    }

    /// A value, with the blanks before it.
    fn value(&mut self, depth: usize) -> Read<Json> {
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
                    if self.rest().starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.unexpected("a value"))
            }
        }
    }

    fn deeper(&self, depth: usize) -> Read<usize> {
        if depth < VALUE_DEPTH_MAX {
            return Ok(depth + 1);
        }
        self.trouble_at(self.at, format!("nested deeper than {VALUE_DEPTH_MAX} levels, which is the limit"))
    }

    fn object(&mut self, depth: usize) -> Read<Json> {
        self.at += 1;
        let mut members = Map::new();
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("the name of a member, in quotes"));
            }
            let name = self.string()?;
            self.skip_blanks();
            if !self.take(b':') {
                return Err(self.unexpected("':'"));
            }
            let value = self.value(depth).map_err(|trouble| trouble.below(&name))?;
            if members.contains_key(&name) {
                let twice = self.trouble_at(at, format!("the member {name:?} comes twice in one object"));
                return twice.map_err(|trouble: Trouble| trouble.below(&name));
            }
            members.insert(name, value);
            self.skip_blanks();
            if self.take(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.take(b',') {
                return Err(self.unexpected("',' or '}'"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Read<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            let item = self.value(depth).map_err(|trouble| trouble.below(items.len()))?;
            items.push(item);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.unexpected("',' or ']'"));
            }
        }
    }

    fn string(&mut self) -> Read<String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let (mut at, mut is_plain) = (start + 1, true);
        let end = loop {
            match bytes.get(at) {
                None => return self.trouble_at(start, "text whose closing quote is missing"),
                Some(b'"') => break at,
                Some(b'\\') => {
                    is_plain = false;
                    at += 2;
                }
                Some(0..=0x1f) => {
                    return self.trouble_at(at, "a control character in text; write it escaped, as in \\n");
                }
                Some(_) => at += 1,
            }
        };
        self.at = end + 1;
        let (token, inner) = (self.text.get(start..=end), self.text.get(start + 1..end));
        match inner {
            Some(inner) if is_plain => Ok(inner.to_owned()),
            // Escapes, and pairs of surrogates among them, are read by those who know them.
            _ => serde_json::from_str(token.unwrap_or_default()).or_else(|_| {
                self.trouble_at(start, "text with an escape that JSON does not have, or with half of a surrogate pair")
            }),
        }
    }

    fn number(&mut self) -> Read<Json> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        } else if matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.trouble_at(start, "a number that begins with a zero");
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let literal = self.text.get(start..self.at).unwrap_or_default();
        match read_literal(literal).map(Exact::to_number) {
            Ok(Some(number)) => Ok(Json::Number(number)),
            Ok(None) => self.trouble_at(start, format!("{literal} is no number of JSON")),
            Err(why) => self.trouble_at(start, why.explain(literal)),
        }
    }

    /// One digit or more.
    fn digits(&mut self) -> Read<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        Ok(())
    }
}
