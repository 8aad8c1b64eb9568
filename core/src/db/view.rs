//! One consistent version of a store, for reading.
//!
//! Invariant: a view never changes and never blocks anybody. It keeps what it shows alive for as long as it lives.

use alloc::{sync::Arc, vec::Vec};
use core::ops::ControlFlow;

use super::{
    detached::foreign,
    hiding::{Hider, Moment},
    shared::Shared,
};
use crate::{
    Error, Result, RunId,
    primitive::{
        access::{Access, Item, OnItem, OnPair, OnPendingEvents, PendingStream, Reads},
        judged,
    },
    replay::{Diff, Digest, Side, diff, digest_space},
    state::{DEFAULT_SPACE, Family, RunInfo, Source, Space, SpaceNumber, State},
    storage::Storage,
    tree::{Direction, EntryRef, KeyRange, Tree},
};

/// One version of a whole store, read-only. Cheap to take: no data is copied.
///
/// ```
/// # extern crate foldb_core as foldb;
/// let db = foldb::Db::memory();
/// db.kv().put("answer", 41)?;
/// let before = db.view();
/// db.kv().put("answer", 42)?;
/// assert_eq!(before.kv().get::<i64>("answer")?, Some(41));
/// assert_eq!(db.kv().get::<i64>("answer")?, Some(42));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub struct View<'db, S: Storage> {
    shared: &'db Shared<S>,
    state: Arc<State>,
    /// The space of a replay that has not begun by then: a place with nothing in it.
    place: Option<Arc<(SpaceNumber, Space)>>,
    moment: Moment,
    /// Of a replay: it shows what is over too.
    shows_all: bool,
}

impl<S: Storage> Clone for View<'_, S> {
    fn clone(&self) -> Self {
        // Two of one version have one moment.
        self.reads().now_micros();
        let (state, place) = (Arc::clone(&self.state), self.place.clone());
        View { shared: self.shared, state, place, moment: self.moment.clone(), shows_all: self.shows_all }
    }
}

impl<'db, S: Storage> View<'db, S> {
    pub(crate) fn new(shared: &'db Shared<S>, state: Arc<State>) -> Self {
        Self::at(shared, state, Moment::default())
    }

    /// One that goes by this moment.
    pub(crate) fn at(shared: &'db Shared<S>, state: Arc<State>, moment: Moment) -> Self {
        View { shared, state, place: None, moment, shows_all: false }
    }

    /// One that shows what is over too.
    pub(crate) fn showing_all(mut self) -> Self {
        self.shows_all = true;
        self
    }

    /// A space that is empty where it does not exist.
    pub(crate) fn with_place(mut self, space: SpaceNumber) -> Self {
        self.place = self.state.space(space).is_none().then(|| Arc::new((space, Space::default())));
        self
    }

    pub(crate) fn reads(&self) -> StateReads<'_> {
        let hider = self.shared.hider(&self.moment);
        let hider = if self.shows_all { hider.showing_all() } else { hider };
        StateReads { state: &self.state, source: self.shared, place: self.place.as_deref(), hider }
    }

    /// Reads that show what is over too: what is there depends on no clock.
    fn all(&self) -> StateReads<'_> {
        StateReads { hider: self.shared.hider(&self.moment).showing_all(), ..self.reads() }
    }

    pub(crate) fn into_parts(self) -> (&'db Shared<S>, Arc<State>, Moment) {
        // From here on it may be attached again and again: they all go by one moment.
        self.reads().now_micros();
        (self.shared, self.state, self.moment)
    }

    /// Seq of the last commit in this version.
    pub fn seq(&self) -> u64 {
        self.state.seq()
    }

    /// The folded state itself: trees, catalog, live-byte counts.
    pub fn folded(&self) -> &State {
        &self.state
    }

    /// Where the state finds what it does not hold.
    pub fn source(&self) -> &dyn Source {
        self.shared
    }

    /// A run, as of this version. Fails with [`Error::UnknownRun`] where it does not exist.
    pub fn run(&self, id: RunId) -> Result<SpaceView<'_, 'db, S>> {
        Ok(SpaceView { view: self, space: self.state.number(id)? })
    }

    /// What is known of a run.
    pub fn run_info(&self, id: RunId) -> Result<RunInfo> {
        let number = self.state.number(id)?;
        self.state.run_info(number, self.shared.epoch()).ok_or(Error::UnknownRun(id))
    }

    /// What is known of every run, in the order of their beginning.
    pub fn runs(&self) -> Vec<RunInfo> {
        self.state.run_numbers().filter_map(|number| self.state.run_info(number, self.shared.epoch())).collect()
    }

    /// The default space, as of this version.
    pub fn default_space(&self) -> SpaceView<'_, 'db, S> {
        SpaceView { view: self, space: DEFAULT_SPACE }
    }

    super::primitive_handles!(&Self, |view| view, |_view| DEFAULT_SPACE);
}

/// One run (or the default space) of a [`View`].
pub struct SpaceView<'view, 'db, S: Storage> {
    view: &'view View<'db, S>,
    space: SpaceNumber,
}

impl<'view, 'db, S: Storage> SpaceView<'view, 'db, S> {
    pub(crate) fn new(view: &'view View<'db, S>, space: SpaceNumber) -> Self {
        SpaceView { view, space }
    }

    /// The number of the space.
    pub fn number(&self) -> SpaceNumber {
        self.space
    }

    /// The digest of the space's content: equal for equal pairs, documents, cells, events and trace entries, whatever
    /// their times and ids, and wherever and how often they were written. Reads everything.
    pub fn digest(&self) -> Result<Digest> {
        digest_space(&self.view.all(), self.space)
    }

    /// What is different in `newer`, compared by content, primitive by primitive. What the two share (two versions of one
    /// run, say) is skipped without being read.
    ///
    /// Fails with [`Error::Invalid`] where the two are of different stores (what lies in two logs cannot be told apart by where
    /// it lies), with [`Error::NotFound`] where one of the spaces does not exist, and with the source's error where something
    /// cannot be read.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{Db, RunOptions};
    /// let db = Db::memory();
    /// let first = db.runs().begin(RunOptions::named("first"))?;
    /// let second = db.runs().begin(RunOptions::named("second"))?;
    /// first.json().set("doc", &serde_json::json!({"a": 1, "b": 2}))?;
    /// second.json().set("doc", &serde_json::json!({"a": 1, "b": 3}))?;
    /// let view = db.view();
    /// let diff = view.run(first.id())?.diff(&view.run(second.id())?)?;
    /// assert_eq!(diff.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn diff(&self, newer: &SpaceView<'_, 'db, S>) -> Result<Diff> {
        if !core::ptr::eq(self.view.shared, newer.view.shared) {
            return Err(foreign());
        }
        let (older_reads, newer_reads) = (self.view.all(), newer.view.all());
        diff(self.side(&older_reads)?, newer.side(&newer_reads)?)
    }

    fn side<'a>(&'a self, reads: &'a StateReads<'a>) -> Result<Side<'a>> {
        Ok(Side { reads, number: self.space, space: reads.space(self.space)?, source: reads.source })
    }

    /// The view that it belongs to.
    pub fn view(&self) -> &'view View<'db, S> {
        self.view
    }

    super::primitive_handles!(&'view View<'db, S>, |space| space.view, |space| space.space);
}

impl<S: Storage> Access for &View<'_, S> {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        operation(&self.reads())
    }
}

/// Reads of a committed state.
pub(crate) struct StateReads<'a> {
    pub(crate) state: &'a State,
    pub(crate) source: &'a dyn Source,
    /// A space that is empty where the state does not have it.
    pub(crate) place: Option<&'a (SpaceNumber, Space)>,
    /// What it does not show.
    pub(crate) hider: Hider<'a>,
}

impl StateReads<'_> {
    fn space(&self, number: SpaceNumber) -> Result<&Space> {
        let place = self.place.filter(|(place, _)| *place == number).map(|(_, space)| space);
        self.state
            .space(number)
            .or(place)
            .ok_or_else(|| Error::NotFound { what: "run", name: alloc::format!("number {number}") })
    }
}

impl Reads for StateReads<'_> {
    fn get_with(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()> {
        let tree = self.space(space)?.tree();
        let entry = with_tree_key(family, key, |key| tree.get(key, self.source))?;
        show(tree, (family, key), entry, self.source, self.hider, found)
    }

    fn visit(
        &self,
        space: SpaceNumber,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        each: OnPair<'_>,
    ) -> Result<()> {
        let shown = Shown { tree: self.space(space)?.tree(), family, source: self.source, hider: self.hider };
        shown.visit(range, direction, each)
    }

    fn pending_stream(&self, _: SpaceNumber, _: &[u8]) -> Result<PendingStream> {
        Ok(PendingStream::default())
    }

    fn visit_pending(
        &self,
        _: SpaceNumber,
        _: &[u8],
        _: (u64, u64),
        _: Direction,
        _: OnPendingEvents<'_>,
    ) -> Result<()> {
        Ok(())
    }

    fn source(&self) -> &dyn Source {
        self.source
    }

    fn now_micros(&self) -> u64 {
        self.hider.now_micros()
    }
}

/// Builds a tree key on the stack where it is short: a point read should not allocate.
pub(crate) fn with_tree_key<T>(family: Family, key: &[u8], f: impl FnOnce(&[u8]) -> T) -> T {
    let mut short = [0; 64];
    match short.get_mut(..=key.len()) {
        Some(buffer) => {
            if let Some((first, rest)) = buffer.split_first_mut() {
                *first = family.byte();
                rest.copy_from_slice(key);
            }
            f(buffer)
        }
        None => f(&family.key(key)),
    }
}

/// Gives an entry of a tree to `found`, if it is not hidden, and says what it means if that fails.
pub(crate) fn show(
    tree: &Tree,
    (family, key): (Family, &[u8]),
    entry: Option<EntryRef<'_>>,
    source: &dyn Source,
    hider: Hider<'_>,
    found: OnItem<'_>,
) -> Result<()> {
    let item = entry.map(|entry| Item::committed(entry, source));
    found(item.filter(|item| !hider.hides(item.expires_at()))).map_err(|error| match &entry {
        Some(entry) => judged(error, tree, &family.key(key), entry, source),
        None => error,
    })
}

/// A family of a tree, as a reader sees it.
pub(crate) struct Shown<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) family: Family,
    pub(crate) source: &'a dyn Source,
    pub(crate) hider: Hider<'a>,
}

impl Shown<'_> {
    /// Visits a range, with the user's keys.
    pub(crate) fn visit(&self, range: &KeyRange, direction: Direction, each: OnPair<'_>) -> Result<()> {
        let mut failed = None;
        self.tree.visit(&self.family.range(range), direction, self.source, &mut |key, entry| {
            let item = Item::committed(entry, self.source);
            if self.hider.hides(item.expires_at()) {
                return ControlFlow::Continue(());
            }
            match each(key.get(1..).unwrap_or_default(), &item) {
                Ok(flow) => flow,
                Err(error) => {
                    failed = Some(judged(error, self.tree, key, &entry, self.source));
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }
}
