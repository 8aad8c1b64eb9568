//! [`Recent`]: the newest announcements, in bounded memory, for all who listen.
//!
//! Invariants:
//! - Announcements are in the order of their seqs, and those that are kept are all behind [`Recent::gone`].
//! - The newest is kept, whatever it takes: who keeps up misses nothing, also not a commit of 100,000 keys.

use alloc::{collections::VecDeque, sync::Arc};

use super::Announced;

/// Most announcements that are kept.
pub(crate) const ANNOUNCEMENTS_MAX: usize = 4096;

/// Most bytes of memory that they take together, where there are several.
pub(super) const BYTES_MAX: usize = 8 << 20;

/// The newest announcements.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    commits: VecDeque<Arc<Announced>>,
    bytes: usize,
    gone: u64,
}

impl Recent {
    /// Forgets everything: what was committed up to `seq` was told to nobody.
    pub(crate) fn begin(&mut self, seq: u64) {
        *self = Recent { gone: seq, ..Recent::default() };
    }

    /// What was committed up to here is not known any more.
    pub(crate) fn gone(&self) -> u64 {
        self.gone
    }

    pub(crate) fn push(&mut self, announced: Arc<Announced>) {
        debug_assert!(self.commits.back().is_none_or(|last| last.seq < announced.seq), "commits come in order");
        self.bytes += announced.bytes();
        self.commits.push_back(announced);
        while self.commits.len() > ANNOUNCEMENTS_MAX || self.bytes > BYTES_MAX {
            let Some(first) = (self.commits.len() > 1).then(|| self.commits.pop_front()).flatten() else { return };
            self.bytes -= first.bytes();
            self.gone = first.seq;
        }
    }

    /// The announcements behind one seq and up to another, as far as they are kept.
    pub(crate) fn between(&self, after: u64, to: u64) -> impl Iterator<Item = &Arc<Announced>> {
        let start = self.commits.partition_point(|commit| commit.seq <= after);
        self.commits.range(start..).take_while(move |commit| commit.seq <= to)
    }
}
