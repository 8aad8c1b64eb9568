//! [`Announcement`]: what one commit has changed.
//!
//! Invariant: it is made once for each commit, however many listen; those share it, and each sees the changes that it has asked
//! for.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, ops::Range};

use super::ChangeFilter;
use crate::{
    Result, RunId,
    log::OpCode,
    shown::Shown,
    state::{DEFAULT_SPACE, Family, Space, SpaceNumber, State, Sweep, swept_keys},
    transaction::{Cause, WriteBody, WriteSet},
    tree::PageSource,
};

/// What sort of thing a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Primitive {
    /// A key-value pair or a counter; the key is the pair's.
    Kv,
    /// A JSON document; the key is its id.
    Json,
    /// An event stream that was appended to, trimmed or deleted; the key is its name.
    Events,
    /// A state cell; the key is its name.
    State,
    /// A trace entry; the key is its id.
    Trace,
    /// The life of a run: it was begun, ended, resumed, annotated or deleted. The key is empty.
    Run,
}

impl Primitive {
    /// What an operation changes; `None` for settings of the store.
    fn of(code: OpCode) -> Option<Self> {
        Some(match code {
            OpCode::KvPut | OpCode::KvDelete | OpCode::KvAdd | OpCode::KvPutExpiring | OpCode::KvExpire => {
                Primitive::Kv
            }
            OpCode::JsonPut | OpCode::JsonDelete | OpCode::JsonEdit | OpCode::JsonPutExpiring | OpCode::JsonExpire => {
                Primitive::Json
            }
            OpCode::EventAppend | OpCode::EventTrim | OpCode::StreamDelete => Primitive::Events,
            OpCode::StatePut | OpCode::StateDelete | OpCode::StatePutExpiring | OpCode::StateExpire => Primitive::State,
            OpCode::TracePut => Primitive::Trace,
            OpCode::RunBegin | OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate | OpCode::RunDelete => {
                Primitive::Run
            }
            // What a sweep removes is named key by key.
            OpCode::KeyWindow | OpCode::Sweep => return None,
        })
    }

    /// The bit of this primitive in a set of them.
    pub(super) fn bit(self) -> u8 {
        match self {
            Primitive::Kv => 1,
            Primitive::Json => 2,
            Primitive::Events => 4,
            Primitive::State => 8,
            Primitive::Trace => 16,
            Primitive::Run => 32,
        }
    }
}

/// One thing that a commit has written or removed. A key that a transaction writes several times is one change.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Change<'a> {
    /// The run whose it is; `None` for the default space.
    pub run: Option<RunId>,
    /// What sort of thing it is.
    pub primitive: Primitive,
    /// Its key, or the name of its stream.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub key: &'a [u8],
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Change");
        shown.field("run", &self.run).field("primitive", &self.primitive).field("key", &Shown(self.key)).finish()
    }
}

/// All changes of one commit, as they are shared.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) seq: u64,
    time_micros: u64,
    cause: Option<Cause>,
    changes: Vec<Piece>,
    keys: Vec<u8>,
}

#[derive(Debug)]
struct Piece {
    run: Option<RunId>,
    primitive: Primitive,
    key: Range<usize>,
}

impl Announced {
    /// What a transaction writes, before it is applied to `state`: a run that it deletes has its id there still. Seq and time
    /// are those of its commit.
    pub(crate) fn of(writes: &WriteSet, state: &State, pages: &dyn PageSource) -> Self {
        let mut announced = Announced {
            seq: 0,
            time_micros: 0,
            cause: writes.cause.clone(),
            changes: Vec::with_capacity(writes.len()),
            keys: Vec::new(),
        };
        for write in writes.iter() {
            let run = || run_of(write.space, writes, state);
            if let (OpCode::Sweep, WriteBody::Bytes(body)) = (write.code, writes.body(write)) {
                announced.push_swept(run(), body, state.space(write.space), pages);
                continue;
            }
            let Some(primitive) = Primitive::of(write.code) else { continue };
            announced.push(run(), primitive, if primitive == Primitive::Run { &[] } else { writes.key(write) });
        }
        announced
    }

    fn push(&mut self, run: Option<RunId>, primitive: Primitive, key: &[u8]) {
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        self.changes.push(Piece { run, primitive, key: start..self.keys.len() });
    }

    /// What a sweep removes. Where that cannot be read, the commit fails too, and nothing is announced.
    fn push_swept(&mut self, run: Option<RunId>, body: &[u8], space: Option<&Space>, pages: &dyn PageSource) {
        let swept = space.zip(Sweep::parse(body).ok()).map(|(space, sweep)| swept_keys(space.tree(), &sweep, pages));
        for (family, key) in swept.and_then(Result::ok).unwrap_or_default() {
            let primitive = match family {
                Family::Json => Primitive::Json,
                Family::State => Primitive::State,
                _ => Primitive::Kv,
            };
            self.push(run, primitive, &key);
        }
    }

    /// The same, as the commit with this seq.
    pub(crate) fn committed(mut self, seq: u64, time_micros: u64) -> Arc<Self> {
        (self.seq, self.time_micros) = (seq, time_micros);
        Arc::new(self)
    }

    fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.changes.iter().map(|piece| Change {
            run: piece.run,
            primitive: piece.primitive,
            // Ranges are only ever made from positions in the arena.
            key: self.keys.get(piece.key.clone()).unwrap_or_default(),
        })
    }

    /// Whether somebody with this filter hears of the commit.
    pub(crate) fn matches(&self, filter: &ChangeFilter) -> bool {
        self.changes().any(|change| filter.matches(&change))
    }

    /// What it takes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let cause = self.cause.as_ref().map_or(0, Cause::bytes);
        size_of::<Self>() + cause + self.keys.capacity() + self.changes.capacity() * size_of::<Piece>()
    }
}

fn run_of(space: SpaceNumber, writes: &WriteSet, state: &State) -> Option<RunId> {
    if space == DEFAULT_SPACE {
        return None;
    }
    state.run(space).map(|run| run.record.id()).or_else(|| writes.new_run(space))
}

/// A commit that somebody has subscribed to: see [`Db::subscribe`](crate::Db::subscribe).
#[derive(Clone)]
pub struct Announcement {
    announced: Arc<Announced>,
    filter: Arc<ChangeFilter>,
    durable: bool,
}

impl Announcement {
    pub(crate) fn new(announced: Arc<Announced>, filter: Arc<ChangeFilter>, durable: bool) -> Self {
        Announcement { announced, filter, durable }
    }

    /// Seq of the commit: its place in the order of all commits of the store. Whoever reads the store now reads this commit or
    /// a later one.
    pub fn seq(&self) -> u64 {
        self.announced.seq
    }

    /// When it was committed, in microseconds since 1970.
    pub fn time_micros(&self) -> u64 {
        self.announced.time_micros
    }

    /// Why it was made, where its author has said so: see [`TransactionOptions::because`](crate::TransactionOptions::because).
    pub fn cause(&self) -> Option<&Cause> {
        self.announced.cause.as_ref()
    }

    /// Whether the commit was on stable media when this was handed over. If not,
    /// [`Db::wait_durable`](crate::Db::wait_durable) waits for it.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// What the commit has changed, as far as the filter of the subscription asks for it; never nothing.
    pub fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.announced.changes().filter(|change| self.filter.matches(change))
    }
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<_> = self.changes().collect();
        f.debug_struct("Announcement")
            .field("seq", &self.seq())
            .field("time_micros", &self.time_micros())
            .field("cause", &self.cause())
            .field("durable", &self.durable)
            .field("changes", &changes)
            .finish()
    }
}
