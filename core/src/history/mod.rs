//! What the log says of single commits: when each was made, on what, and why.
//!
//! Nothing here changes a state; what is asked is read from the log.

mod commit;

pub use self::commit::CommitInfo;
pub(crate) use self::commit::find;
