//! [`Cause`]: why a transaction was made, in its author's words.
//!
//! Invariant: what is logged is within the limits of a record: neither empty nor longer than [`CAUSE_BYTES_MAX`].

use alloc::string::String;
use core::fmt;

use crate::{Error, Result, error::check_limit, limits::CAUSE_BYTES_MAX, log::CauseRef, primitive::TraceId};

/// Why a transaction was made: the trace entry that it follows from, or a word of one's own, such as who has asked for it.
///
/// It is given with [`TransactionOptions::because`](crate::TransactionOptions::because) or
/// [`Transaction::because`](crate::Transaction::because), stands in the log beside what the transaction wrote, and comes back
/// from [`Db::commit_info`](crate::Db::commit_info).
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// A trace entry, of the space that the transaction is about.
    Trace(TraceId),
    /// Text of at most [`CAUSE_BYTES_MAX`] bytes.
    Text(String),
}

impl Cause {
    /// Bytes of it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Cause::Trace(id) => id.to_bytes().len(),
            Cause::Text(text) => text.len(),
        }
    }

    /// # Errors
    /// [`Error::Limit`] for a text that is too long, and [`Error::Invalid`] for an empty one.
    pub(crate) fn check(&self) -> Result<()> {
        check_limit("cause bytes", self.bytes(), CAUSE_BYTES_MAX)?;
        match self.bytes() {
            0 => {
                Err(Error::Invalid { what: "cause of a transaction", why: "it is empty; leave it out instead".into() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn borrowed(&self) -> CauseRef<'_> {
        match self {
            Cause::Trace(id) => CauseRef::Trace(id.to_bytes()),
            Cause::Text(text) => CauseRef::Text(text),
        }
    }
}

impl From<CauseRef<'_>> for Cause {
    fn from(cause: CauseRef<'_>) -> Self {
        match cause {
            CauseRef::Trace(id) => Cause::Trace(TraceId::from_bytes(id)),
            CauseRef::Text(text) => Cause::Text(text.into()),
        }
    }
}

impl From<TraceId> for Cause {
    fn from(id: TraceId) -> Self {
        Cause::Trace(id)
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Cause::Text(text.into())
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Cause::Text(text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Trace(id) => write!(f, "trace entry {id}"),
            Cause::Text(text) => f.write_str(text),
        }
    }
}
