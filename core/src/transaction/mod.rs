//! Transactions without I/O: what one has read, what it wants to write, and whether it may.
//!
//! Optimistic and serializable: a transaction reads one fixed version, buffers its writes, and is validated against
//! everything that was committed since when it commits (see [`read_set`]).

mod read_set;
mod write_set;

pub(crate) use self::{
    read_set::ReadSet,
    write_set::{OP_OVERHEAD, PROVISIONAL, Write, WriteBody, WriteSet},
};
