//! What commits have touched, for those who listen; and whether they still wait for their sync.
//!
//! Invariants: only what was committed is announced, once, in the order of the commits. A commit whose sync was put off is
//! told to nobody before that sync has returned.

use core::{
    cell::{Cell, RefCell},
    time::Duration,
};

use foldb_core::{
    Durability, Result, RunId, TransactionOptions,
    host::Host,
    log::OpCode,
    primitive::{
        EventBatch,
        access::{DocumentEdit, OnItem, OnPair, OnPendingEvents, PendingStream, Reads, Writes},
    },
    state::{Family, Source, SpaceNumber},
    tree::{Direction, KeyRange},
};

use crate::wire::Output;

/// One write: the run, the sort of thing, its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) run: Option<RunId>,
    pub(crate) primitive: u8,
    pub(crate) key: Vec<u8>,
}

/// The number of a run's own life among the primitives; the others are those of their families.
pub(crate) const RUN: u8 = 5;

/// The number of the primitive that an operation belongs to, as in `ts/commits.ts`.
fn primitive(code: OpCode) -> u8 {
    match code {
        OpCode::KvPut | OpCode::KvDelete | OpCode::KvAdd | OpCode::KvPutExpiring | OpCode::KvExpire => 0,
        OpCode::JsonPut | OpCode::JsonDelete | OpCode::JsonEdit | OpCode::JsonPutExpiring | OpCode::JsonExpire => 1,
        OpCode::EventAppend | OpCode::EventTrim | OpCode::StreamDelete => 2,
        OpCode::StatePut | OpCode::StateDelete | OpCode::StatePutExpiring | OpCode::StateExpire => 3,
        OpCode::TracePut => 4,
        _ => RUN,
    }
}

/// The durability of a commit whose sync is left to whoever answers, however long that takes.
pub(crate) const UNTIL_ANSWERED: Durability = Durability::Buffered { interval: Duration::MAX, bytes: usize::MAX };

/// Collects what is written, while somebody listens.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) active: bool,
    /// What the present operation has written.
    pub(crate) touched: RefCell<Vec<Touched>>,
    commits: RefCell<Vec<(u64, Vec<Touched>)>>,
    /// Whether commits leave their sync to the end of the message, and whether one has.
    pub(crate) together: Cell<bool>,
    pub(crate) unsynced: Cell<bool>,
}

impl Journal {
    /// Notes a write of the present operation.
    pub(crate) fn touch(&self, run: Option<RunId>, primitive: u8, key: &[u8]) {
        if self.active {
            self.touched.borrow_mut().push(Touched { run, primitive, key: key.to_vec() });
        }
    }

    /// How a commit of the present operation is made: at once, or with those of the whole message.
    pub(crate) fn options(&self) -> TransactionOptions {
        if !self.together.get() {
            return TransactionOptions::new();
        }
        self.unsynced.set(true);
        TransactionOptions::new().durability(UNTIL_ANSWERED)
    }

    /// Nothing of this message was committed, as far as anybody is told.
    pub(crate) fn forget(&self) {
        self.commits.borrow_mut().clear();
    }

    /// What the present operation has written was committed.
    pub(crate) fn committed(&self, seq: u64) {
        let touched = self.touched.take();
        if !touched.is_empty() {
            self.commits.borrow_mut().push((seq, touched));
        }
    }

    pub(crate) fn has_commits(&self) -> bool {
        !self.commits.borrow().is_empty()
    }

    /// Writes and forgets the commits so far.
    pub(crate) fn write(&self, out: &mut Output) {
        let commits = self.commits.take();
        out.count(commits.len());
        for (seq, touched) in commits {
            out.number(seq);
            out.count(touched.len());
            for Touched { run, primitive, key } in touched {
                out.optional(run, |out, run| out.0.extend_from_slice(&run.to_bytes()));
                out.u8(primitive);
                out.bytes(&key);
            }
        }
    }
}

/// Writes that are noted on their way.
pub(crate) struct Noted<'a> {
    pub(crate) writes: &'a dyn Writes,
    pub(crate) journal: &'a Journal,
    pub(crate) run: Option<RunId>,
}

impl Reads for Noted<'_> {
    fn get_with(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()> {
        self.writes.get_with(space, family, key, found)
    }

    fn visit(
        &self,
        space: SpaceNumber,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        each: OnPair<'_>,
    ) -> Result<()> {
        self.writes.visit(space, family, range, direction, each)
    }

    fn pending_stream(&self, space: SpaceNumber, stream: &[u8]) -> Result<PendingStream> {
        self.writes.pending_stream(space, stream)
    }

    fn visit_pending(
        &self,
        space: SpaceNumber,
        stream: &[u8],
        range: (u64, u64),
        direction: Direction,
        each: OnPendingEvents<'_>,
    ) -> Result<()> {
        self.writes.visit_pending(space, stream, range, direction, each)
    }

    fn now_micros(&self) -> u64 {
        self.writes.now_micros()
    }

    fn source(&self) -> &dyn Source {
        self.writes.source()
    }
}

impl Writes for Noted<'_> {
    fn write(&self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
        self.writes.write(space, code, key, body)?;
        self.journal.touch(self.run, primitive(code), key);
        Ok(())
    }

    fn write_edited(&self, space: SpaceNumber, key: &[u8], document: &[u8], edit: DocumentEdit<'_>) -> Result<()> {
        self.writes.write_edited(space, key, document, edit)?;
        self.journal.touch(self.run, primitive(OpCode::JsonEdit), key);
        Ok(())
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<()> {
        self.writes.append(space, stream, events)?;
        self.journal.touch(self.run, primitive(OpCode::EventAppend), stream);
        Ok(())
    }

    fn host(&self) -> &dyn Host {
        self.writes.host()
    }
}
