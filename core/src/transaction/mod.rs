//! Transactions without I/O: what one has read, what it wants to write, and whether it may.
//!
//! Optimistic and serializable: a transaction reads one fixed version, buffers its writes, and is validated against
//! everything that was committed since when it commits (see [`read_set`]).

mod appends;
mod cause;
mod edits;
mod expiries;
mod new_runs;
mod ordered;
mod read_set;
mod rollback;
#[cfg(test)]
mod tests;
mod undo;
mod waste;
mod write;
mod write_set;

pub use self::cause::Cause;
pub(crate) use self::{
    new_runs::PROVISIONAL,
    ordered::Range,
    read_set::ReadSet,
    undo::Savepoint,
    write::{Write, WriteBody, expires, is_run_operation, puts_expiring},
    write_set::{OP_OVERHEAD, WriteSet},
};
