//! [`ChangeFilter`]: which changes somebody wants to hear of.
//!
//! Invariant: whether a change is among them depends on the change alone, so it does not matter when it is asked.

use alloc::vec::Vec;
use core::fmt;

use super::{Change, Primitive};
use crate::{RunId, shown::Shown};

/// Which changes to hear of: all, or those of a space, of some primitives, of a key or a prefix of keys.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::{ChangeFilter, Primitive};
///
/// let orders = ChangeFilter::all().primitive(Primitive::Json).prefix("order/");
/// # let db = foldb_core::Db::memory();
/// # let _ = db.subscribe(orders)?;
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    space: Option<Option<RunId>>,
    /// The bits of the primitives; 0 for all.
    primitives: u8,
    /// One of these, where there are any.
    keys: Vec<Key>,
    durable: bool,
    /// Also what befalls the run itself, whatever the rest says.
    or_life: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Exact(key) => f.debug_tuple("Exact").field(&Shown(key)).finish(),
            Key::Prefix(prefix) => f.debug_tuple("Prefix").field(&Shown(prefix)).finish(),
        }
    }
}

impl ChangeFilter {
    /// All changes of the store.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only changes of this run: of its data and of its life.
    #[must_use]
    pub fn run(mut self, run: RunId) -> Self {
        self.space = Some(Some(run));
        self
    }

    /// Only changes of the default space, which is outside of all runs.
    #[must_use]
    pub fn default_space(mut self) -> Self {
        self.space = Some(None);
        self
    }

    /// Only changes of this primitive; several calls add up.
    #[must_use]
    pub fn primitive(mut self, primitive: Primitive) -> Self {
        self.primitives |= primitive.bit();
        self
    }

    /// Only changes of this key, or of the stream of this name; several keys and prefixes add up.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.push(Key::Exact(key.as_ref().to_vec()));
        self
    }

    /// Only changes of keys, or streams, that begin with this; several keys and prefixes add up.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.keys.push(Key::Prefix(prefix.as_ref().to_vec()));
        self
    }

    /// Commits are announced only once they are on stable media. Without it they are announced when they can be read, which is
    /// earlier in a store with buffered durability. In a store in memory there is no difference.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Also changes of the life of the run, or of any where none was named, whatever primitives and keys were asked for: who waits
    /// for events of a run hears of its end.
    #[must_use]
    pub fn or_life(mut self) -> Self {
        self.or_life = true;
        self
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable
    }

    pub(crate) fn matches(&self, change: &Change<'_>) -> bool {
        if self.space.is_some_and(|space| space != change.run) {
            return false;
        }
        if self.or_life && change.primitive == Primitive::Run {
            return true;
        }
        (self.primitives == 0 || self.primitives & change.primitive.bit() != 0)
            && (self.keys.is_empty() || self.keys.iter().any(|key| key.matches(change.key)))
    }
}

impl Key {
    fn matches(&self, key: &[u8]) -> bool {
        match self {
            Key::Exact(wanted) => key == wanted,
            Key::Prefix(prefix) => key.starts_with(prefix),
        }
    }
}
