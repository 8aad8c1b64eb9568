//! [`Path`]: a place in a document.

use alloc::{borrow::Cow, format, string::String};
use core::{fmt, iter::Peekable, str::CharIndices, str::FromStr};

use jsonptr::{Pointer, PointerBuf, Token};

use crate::{Error, Result};

/// A place in a document, from the whole of it down through members and array indices.
///
/// Written as a JSON Pointer (RFC 6901), `/a/b/0`, or in the form that many people know from JSONPath, `$.a.b[0]` and
/// `$['a b'][0]`. A path leads to at most one place: wildcards, filters and slices are errors. In an array, a number is
/// an index and `-` is the place behind the last item.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::Path;
///
/// let path: Path = "$.steps[0]['a/b']".parse()?;
/// assert_eq!(path.to_string(), "/steps/0/a~1b");
/// assert_eq!(path, "/steps/0/a~1b".parse()?);
/// assert!(Path::parse("")?.is_root());
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(PointerBuf);

impl Path {
    /// The whole document.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert_eq!(Path::root().to_string(), "");
    /// ```
    pub fn root() -> Self {
        Self(PointerBuf::root())
    }

    /// Reads either form: a pointer if it is empty or begins with `/`, the other if it begins with `$`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the offset of what does not belong there.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert_eq!(Path::parse("$")?, Path::root());
    /// assert!(Path::parse("a.b").is_err());
    /// assert!(Path::parse("$.a[*]").is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        match text.strip_prefix('$') {
            Some(_) => parse_dollar(text),
            None => Self::from_pointer(text),
        }
    }

    /// Reads a JSON Pointer (RFC 6901).
    ///
    /// # Errors
    /// [`Error::Invalid`] if it does not begin with `/`, or has a `~` that is not followed by `0` or `1`.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert_eq!(Path::from_pointer("/m~0n")?.tokens().collect::<Vec<_>>(), ["m~n"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn from_pointer(pointer: &str) -> Result<Self> {
        match Pointer::parse(pointer) {
            Ok(pointer) => Ok(Self(pointer.to_buf())),
            Err(_) if pointer.starts_with('/') => Err(invalid(pointer, "a '~' that neither 0 nor 1 follows")),
            Err(_) => Err(invalid(pointer, "it begins neither with '/' nor with '$'")),
        }
    }

    /// Whether this is the whole document.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert!(!Path::parse("/a")?.is_root());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn is_root(&self) -> bool {
        self.0.is_root()
    }

    /// The path as a JSON Pointer.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert_eq!(Path::parse("$.a[1]")?.as_pointer(), "/a/1");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn as_pointer(&self) -> &str {
        self.0.as_str()
    }

    /// How many members and indices lead there.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert_eq!(Path::parse("/a/1")?.depth(), 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn depth(&self) -> usize {
        self.0.count()
    }

    /// The members and indices that lead there, unescaped.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// assert_eq!(Path::parse("$['a/b'][0]")?.tokens().collect::<Vec<_>>(), ["a/b", "0"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn tokens(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.tokens().map(|token| Cow::Owned(token.decoded().into_owned()))
    }

    /// Goes one step down, to a member or an index.
    ///
    /// ```
    /// # use foldb_core::json::Path;
    /// let mut path = Path::root();
    /// path.push("a/b");
    /// assert_eq!(path.as_pointer(), "/a~1b");
    /// ```
    pub fn push(&mut self, token: &str) {
        self.0.push_back(Token::new(token));
    }

    /// The pointer to what contains this place, and the last step; `None` for the whole document.
    pub(super) fn split_last(&self) -> Option<(&str, Token<'_>)> {
        self.0.split_back().map(|(parent, last)| (parent.as_str(), last))
    }

    /// Whether this place is inside `other`.
    pub(super) fn is_inside(&self, other: &Path) -> bool {
        self.0.starts_with(&other.0) && self != other
    }

    /// The path in an error message.
    pub(super) fn shown(&self) -> String {
        shown(self.as_pointer())
    }
}

/// A pointer in an error message.
pub(super) fn shown(pointer: &str) -> String {
    String::from(if pointer.is_empty() { "the document" } else { pointer })
}

fn invalid(text: &str, why: &str) -> Error {
    Error::Invalid { what: "JSON path", why: format!("{text:?}: {why}; write /a/b/0 or $.a.b[0]") }
}

fn parse_dollar(text: &str) -> Result<Path> {
    let mut path = Path::root();
    let mut rest = text.char_indices().peekable();
    rest.next();
    while let Some((at, character)) = rest.next() {
        let token = match character {
            '.' => name(&mut rest),
            '[' => bracket(&mut rest),
            _ => None,
        };
        let token = token.ok_or_else(|| invalid(text, &format!("no member or index at offset {at}")))?;
        path.push(&token);
    }
    Ok(path)
}

/// A member after a dot, up to the next dot or bracket.
fn name(rest: &mut Peekable<CharIndices<'_>>) -> Option<String> {
    let mut token = String::new();
    while let Some((_, character)) = rest.next_if(|(_, character)| !matches!(character, '.' | '[')) {
        token.push(character);
    }
    // `*` and a second dot are JSONPath for "all members" and "at any depth".
    let is_name = !token.is_empty() && !token.contains(['*', ']', '\'', '"', ' ']);
    is_name.then_some(token)
}

/// What stands in brackets: an index, or a quoted member in which a backslash takes the next character as it is.
fn bracket(rest: &mut Peekable<CharIndices<'_>>) -> Option<String> {
    let mut token = String::new();
    if let Some((_, quote)) = rest.next_if(|(_, character)| matches!(character, '\'' | '"')) {
        loop {
            match rest.next()?.1 {
                '\\' => token.push(rest.next()?.1),
                end if end == quote => break,
                other => token.push(other),
            }
        }
    } else {
        while let Some((_, digit)) = rest.next_if(|(_, character)| character.is_ascii_digit() || *character == '-') {
            token.push(digit);
        }
        let is_index =
            token == "-" || token == "0" || !token.is_empty() && !token.starts_with('0') && !token.contains('-');
        if !is_index {
            return None;
        }
    }
    (rest.next()?.1 == ']').then_some(token)
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Path {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// As a JSON Pointer.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_pointer())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_pointer(), f)
    }
}
