//! [`Db::commit_info`]: asking the log about one commit.
//!
//! Invariant: only what readers may see is told.

use alloc::vec::Vec;

use super::Db;
use crate::{CommitInfo, Error, Result, history, log::parse_segment_name, storage::Storage};

impl<S: Storage> Db<S> {
    /// When a commit was made, on what version it was decided, and why, as its author said: of the seq in a
    /// [`Receipt`](super::Receipt), or of the `version` of anything that was read. `None` for a seq that no commit has that can be
    /// read.
    ///
    /// ```
    /// # fn main() -> foldb_core::Result<()> {
    /// # use std::sync::Arc;
    /// # use foldb_core::{Cause, Db, Options, TransactionOptions, host::SteppedHost, storage::MemStorage};
    /// # let db = Db::open(MemStorage::new(), Arc::new(SteppedHost::new(1)), Options::new())?;
    /// let because = TransactionOptions::new().because("asked for by Ada");
    /// db.transaction_with(&because, |tx| tx.kv().put("limit", 500))?;
    ///
    /// let limit = db.kv().get_versioned::<i64>("limit")?.expect("it was just put");
    /// let seq = limit.version.seq().expect("it was committed");
    /// let commit = db.commit_info(seq)?.expect("it is in the log");
    /// assert_eq!(commit.cause, Some(Cause::Text("asked for by Ada".into())));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cost: the log is read from the beginning of the segment that the commit is in, half of one on average. Nothing of it is
    /// kept.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a store that was opened in memory, which keeps no log; [`Error::Corrupt`] where the log is damaged
    /// before the commit.
    pub fn commit_info(&self, seq: u64) -> Result<Option<CommitInfo>> {
        let shared = self.shared();
        if shared.is_in_memory() {
            let why = "the store was opened in memory, and keeps no log".into();
            return Err(Error::Unsupported { what: "what the log says of a commit", why });
        }
        if seq == 0 || seq > shared.state().seq() {
            return Ok(None);
        }
        // As of one moment: a segment that is being made has no header yet, and one that a reader has not come to may be of another
        // history.
        let names = shared.still()?.list()?;
        let mut segments: Vec<u64> = names.iter().filter_map(|name| parse_segment_name(name)).collect();
        crate::order::sort_by(&mut segments, Ord::cmp);
        history::find(shared, &segments, seq)
    }
}
