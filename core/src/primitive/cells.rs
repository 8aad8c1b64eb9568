//! State cells: [`Cells`].
//!
//! Invariant: a cell's counter is 1 when the cell is made and grows by one with every change, so that whoever has seen
//! a counter can tell whether anything happened since.

use alloc::{format, string::String, vec::Vec};

use serde::Serialize;

use super::{
    Deleted,
    access::{Access, AccessMut, Item, Reads, Writes},
    closures,
    entry::{self, described, exists, lookup, missing, named, unmet},
    expiry,
    kv::{Version, Versioned},
    pages::Pages,
    ranges,
    scan::{ScanOptions, count, keys, scan},
};
use crate::{
    Error, Result,
    log::{
        OpCode,
        varint::{self, Reader},
    },
    shown::debug_by_key,
    state::{Family, SpaceNumber},
    tree::KeyRange,
    value::{Decode, Encode, Value},
};

/// The counter of a cell that has just been made.
const FIRST: u64 = 1;

/// The state cells of a space, reached through a store, a run, a transaction or a view.
///
/// A cell is a value with a counter of its changes: the thing to use for a state machine, a lease or a cursor, where
/// what may happen next depends on what has happened.
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`](crate::Error::Storage),
/// [`Error::Corrupt`](crate::Error::Corrupt)), and every write as a commit does. Reading a value as another type than
/// it has is [`Error::Type`](crate::Error::Type). What else can happen stands with each operation.
#[derive(Clone, Copy, Debug)]
pub struct Cells<A> {
    pub(super) access: A,
    pub(super) space: SpaceNumber,
}

/// A cell: how often it has changed, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell<T = Value> {
    /// 1 for a new cell, and one more after every change.
    pub counter: u64,
    /// The value.
    pub value: T,
}

/// A cell and its key, as a scan finds them.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct CellEntry<T = Value> {
    /// The key.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub key: Vec<u8>,
    /// The cell.
    pub cell: Cell<T>,
    /// Which commit changed it last.
    pub version: Version,
}

debug_by_key!(CellEntry<T>, key, cell);

impl<A> Cells<A> {
    /// The cells of a space, through an access of one's own: for a host that wraps those of this crate. The handles of
    /// stores, runs, transactions and views give theirs.
    pub fn new(access: A, space: SpaceNumber) -> Self {
        Cells { access, space }
    }
}

impl<A: Access> Cells<A> {
    /// The cell of a key, if there is one.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type) if its value is not a `T`.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().init("job", "waiting")?;
    /// let cell = db.state().get::<String>("job")?.expect("it was just made");
    /// assert_eq!((cell.counter, cell.value.as_str()), (1, "waiting"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<Cell<T>>> {
        self.access.read(|reads| get(reads, self.space, key.as_ref()))
    }

    /// The cell of a key, and which commit changed it last.
    ///
    /// # Errors
    /// As [`Cells::get`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().init("job", "waiting")?;
    /// let found = db.state().get_versioned::<String>("job")?.expect("it was just made");
    /// assert_eq!((found.value.counter, found.version.seq()), (1, Some(db.view().seq())));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_versioned<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<Versioned<Cell<T>>>> {
        let key = key.as_ref();
        self.access.read(|reads| {
            lookup(reads, self.space, Family::State, key, |item| {
                Ok(Versioned { value: decoded(key, item)?, version: Version::of(item) })
            })
        })
    }

    /// Whether a key has a cell.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert!(!db.state().exists("job")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.access.read(|reads| exists(reads, self.space, Family::State, key.as_ref()))
    }

    /// Which of several keys have cells, in the order of the keys, all of one version.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().set("job", "waiting")?;
    /// assert_eq!(db.state().exists_many(["job", "other"])?, [true, false]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<bool>> {
        let there = |reads: &dyn Reads, key: K| exists(reads, self.space, Family::State, key.as_ref());
        self.access.read(|reads| keys.into_iter().map(|key| there(reads, key)).collect())
    }

    /// How many cells a range of keys has. The cost is linear in that number.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::KeyRange;
    /// db.state().init("job/1", "waiting")?;
    /// assert_eq!(db.state().count(KeyRange::prefix("job/"))?, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn count(&self, range: impl Into<KeyRange>) -> Result<u64> {
        let range = range.into();
        self.access.read(|reads| count(reads, self.space, Family::State, &range))
    }

    /// The keys that the options choose.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.state().init("job/1", "waiting")?;
    /// assert_eq!(db.state().keys(&ScanOptions::prefix("job/"))?, [b"job/1"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn keys(&self, options: &ScanOptions) -> Result<Vec<Vec<u8>>> {
        self.access.read(|reads| keys(reads, self.space, Family::State, options))
    }

    /// The cells that the options choose, whatever their types are.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.state().init("job/1", "waiting")?;
    /// let cells = db.state().list(&ScanOptions::all())?;
    /// assert_eq!(cells[0].cell.value, "waiting".into());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn list(&self, options: &ScanOptions) -> Result<Vec<CellEntry>> {
        self.list_as(options)
    }

    /// The cells that the options choose, one after the other, from either end, as [`Kv::iter`](super::Kv::iter) gives pairs.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.state().set("job/1", "waiting")?;
    /// db.state().set("job/2", "running")?;
    /// let last = db.state().iter::<String>(&ScanOptions::prefix("job/")).next_back().transpose()?;
    /// assert_eq!(last.map(|entry| entry.cell.value).as_deref(), Some("running"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Cells::list_as`], as the last item.
    pub fn iter<T: Decode>(
        &self,
        options: &ScanOptions,
    ) -> impl DoubleEndedIterator<Item = Result<CellEntry<T>>> + use<A, T>
    where
        A: Clone,
    {
        let cells = self.clone();
        Pages::new(options, move |page| cells.list_as(page))
    }

    /// The cells that the options choose, all of one type.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type), naming the key, if one of them is not a `T`.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.state().init("cursor", 17)?;
    /// assert_eq!(db.state().list_as::<u64>(&ScanOptions::all())?[0].cell.value, 17);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn list_as<T: Decode>(&self, options: &ScanOptions) -> Result<Vec<CellEntry<T>>> {
        let mut cells = Vec::new();
        self.access.read(|reads| {
            scan(reads, self.space, Family::State, options, &mut |key, item| {
                cells.push(CellEntry { key: key.to_vec(), cell: decoded(key, item)?, version: Version::of(item) });
                Ok(true)
            })
        })?;
        Ok(cells)
    }
}

impl<A: AccessMut> Cells<A> {
    /// Makes a cell.
    ///
    /// # Errors
    /// [`Error::Precondition`](crate::Error::Precondition), naming what is there, if there is one;
    /// [`Error::Limit`](crate::Error::Limit) if key or value are too large.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().init("job", "waiting")?;
    /// assert!(db.state().init("job", "waiting").is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn init(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<()> {
        let key = key.as_ref();
        self.access.write(|writes| init(writes, self.space, key, &value, None))
    }

    /// Sets a cell, whatever it had before, makes it where there is none, and returns its new counter.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if key or value are too large.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.state().set("job", "waiting")?, 1);
    /// assert_eq!(db.state().set("job", "running")?, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<u64> {
        let key = key.as_ref();
        self.access.write(|writes| set(writes, self.space, key, &value, None))
    }

    /// Deletes a cell and says whether there was one. A cell that is made under the same key later counts from 1 again.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().init("job", "waiting")?;
    /// assert!(db.state().delete("job")?);
    /// assert!(!db.state().delete("job")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.access.write(|writes| entry::delete(writes, self.space, (Family::State, OpCode::StateDelete), key))
    }

    /// Deletes the cells of a range, in one commit, at most [`DELETED_KEYS_MAX`](crate::limits::DELETED_KEYS_MAX) of them, the first
    /// ones: where the answer says that it is not complete, call again. So others commit between two calls, and the whole range is not
    /// deleted at one moment; [`Deleted`] has the loop. Each key is logged.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().set("job/1", "done")?;
    /// assert_eq!(db.state().delete_range("job/".."job0")?.keys, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete_range(&self, range: impl Into<KeyRange>) -> Result<Deleted> {
        let range = range.into();
        self.access.write(|writes| ranges::delete(writes, self.space, (Family::State, OpCode::StateDelete), &range))
    }

    /// Replaces a cell's value by what `change` makes of it (of `None`, if there is no cell), and returns the new cell: 1 is its
    /// counter where it was made.
    ///
    /// `change` runs again if somebody else changes the cell at the same time, so it must have no effects of its own.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// let cell = db.state().update("cursor", |at: Option<u64>| at.unwrap_or(0) + 10)?;
    /// assert_eq!((cell.counter, cell.value), (1, 10));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Cells::get`] and [`Cells::set`].
    pub fn update<T: Decode + Encode>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> T,
    ) -> Result<Cell<T>> {
        self.try_update(key, |value| Ok::<_, Error>(change(value)))
    }

    /// As [`Cells::update`], for a `change` that can fail, with any error that the store's can be made into: then the cell stays as
    /// it is, and the error is returned.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// let next = |state: Option<String>| match state.as_deref() {
    ///     None => Ok(String::from("waiting")),
    ///     Some("waiting") => Ok(String::from("running")),
    ///     Some(other) => Err(Box::<dyn std::error::Error>::from(format!("a job that is {other} cannot start"))),
    /// };
    /// db.state().try_update("job", next)?;
    /// assert_eq!(db.state().try_update("job", next)?.value, "running");
    /// assert!(db.state().try_update("job", next).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What `change` returns, and as [`Cells::update`].
    pub fn try_update<T: Decode + Encode, E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> Result<T, E>,
    ) -> Result<Cell<T>, E> {
        let key = key.as_ref();
        closures::write(&self.access, |writes| {
            let (counter, before, expires) = match get_expiring(writes, self.space, key)? {
                Some((cell, expires)) => (advanced(cell.counter), Some(cell.value), expires),
                None => (FIRST, None, None),
            };
            let cell = Cell { counter, value: change(before)? };
            put(writes, self.space, key, (counter, &cell.value), expires)?;
            Ok(cell)
        })
    }

    /// Sets a cell if its counter is `expected`, and returns its new counter.
    ///
    /// # Errors
    /// [`Error::Precondition`](crate::Error::Precondition), naming the counter that is there, if it is another one or
    /// there is no cell; [`Error::Limit`](crate::Error::Limit) if the value is too large.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.state().init("lease", "node 1")?;
    /// assert_eq!(db.state().cas("lease", 1, "node 2")?, 2);
    /// let error = db.state().cas("lease", 1, "node 3").unwrap_err();
    /// assert!(error.to_string().contains("counter 2"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn cas(&self, key: impl AsRef<[u8]>, expected: u64, value: impl Encode) -> Result<u64> {
        let (key, counter) = (key.as_ref(), advanced(expected));
        let body = body(counter, &value)?;
        self.access.write(|writes| {
            let found = counter_at(writes, self.space, key)?;
            if found != Some(expected) {
                let found = found.map_or(String::from("no cell"), |found| format!("counter {found}"));
                return Err(unmet(key, format!("counter {expected}"), found));
            }
            writes.write(self.space, OpCode::StatePut, key, &body)?;
            Ok(counter)
        })
    }

    /// Replaces a cell's value by what `change` makes of it, and returns the new cell.
    ///
    /// `change` runs again if somebody else changes the cell at the same time, so it must have no effects of its own.
    /// An error that it returns leaves the cell as it is: the way to refuse a transition that is not allowed.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if there is no cell, what `change` returns, and as [`Cells::get`].
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::{Error, Result};
    /// db.state().init("job", "waiting")?;
    /// let start = |state: String| match state.as_str() {
    ///     "waiting" => Ok(String::from("running")),
    ///     other => Err(Error::Invalid { what: "transition", why: format!("a job that is {other} cannot start") }),
    /// };
    /// assert_eq!(db.state().transition("job", start)?.counter, 2);
    /// assert!(db.state().transition("job", start).is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn transition<T: Decode + Encode>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(T) -> Result<T>,
    ) -> Result<Cell<T>> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let before = get_expiring(writes, self.space, key)?.ok_or_else(|| missing("cell", key))?;
            advance(writes, self.space, key, before, &mut change)
        })
    }

    /// As [`Cells::transition`], from `init` where there is no cell: the cell is then made and changed in one commit,
    /// and so has the counter 2.
    ///
    /// # Errors
    /// As [`Cells::transition`], without [`Error::NotFound`](crate::Error::NotFound).
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// let cell = db.state().transition_or_init("cursor", 0, |at: u64| Ok(at + 10))?;
    /// assert_eq!((cell.counter, cell.value), (2, 10));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn transition_or_init<T: Decode + Encode + Clone>(
        &self,
        key: impl AsRef<[u8]>,
        init: T,
        mut change: impl FnMut(T) -> Result<T>,
    ) -> Result<Cell<T>> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let found = get_expiring(writes, self.space, key)?;
            let before = found.unwrap_or_else(|| (Cell { counter: FIRST, value: init.clone() }, None));
            advance(writes, self.space, key, before, &mut change)
        })
    }
}

fn advance<T: Encode>(
    writes: &dyn Writes,
    space: SpaceNumber,
    key: &[u8],
    (before, expires): (Cell<T>, Option<u64>),
    change: &mut dyn FnMut(T) -> Result<T>,
) -> Result<Cell<T>> {
    let cell = Cell { counter: advanced(before.counter), value: change(before.value)? };
    put(writes, space, key, (cell.counter, &cell.value), expires)?;
    Ok(cell)
}

/// Makes a cell that is over at a time, or never.
pub(super) fn init<V: Encode + ?Sized>(
    writes: &dyn Writes,
    space: SpaceNumber,
    key: &[u8],
    value: &V,
    expires: Option<u64>,
) -> Result<()> {
    if let Some(found) = described_at(writes, space, key)? {
        return Err(unmet(key, "no cell", found));
    }
    put(writes, space, key, (FIRST, value), expires)
}

/// Sets or makes a cell that is over at a time, or never, and returns its counter.
pub(super) fn set<V: Encode + ?Sized>(
    writes: &dyn Writes,
    space: SpaceNumber,
    key: &[u8],
    value: &V,
    expires: Option<u64>,
) -> Result<u64> {
    let counter = counter_at(writes, space, key)?.map_or(FIRST, advanced);
    put(writes, space, key, (counter, value), expires)?;
    Ok(counter)
}

/// The counter after one more change. There is one commit to a change, and a store has fewer than 2^48 commits.
fn advanced(counter: u64) -> u64 {
    counter.saturating_add(1)
}

/// How a cell is stored: its counter, then its value (rule F-38).
fn body<V: Encode + ?Sized>(counter: u64, value: &V) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(64);
    varint::write(&mut body, counter);
    value.encode(&mut body)?;
    Ok(body)
}

fn split(body: &[u8]) -> Result<(u64, &[u8])> {
    let mut reader = Reader::new(body);
    let counter = reader.varint()?;
    Ok((counter, reader.rest()))
}

fn put<V: Encode + ?Sized>(
    writes: &dyn Writes,
    space: SpaceNumber,
    key: &[u8],
    (counter, value): (u64, &V),
    expires: Option<u64>,
) -> Result<()> {
    expiry::put(writes, (space, Family::State), key, &body(counter, value)?, expires)
}

impl Cell<Value> {
    /// A cell from what the tree keeps of it.
    pub(crate) fn decode(stored: &[u8]) -> Result<Self> {
        let (counter, value) = split(stored)?;
        Ok(Cell { counter, value: Value::decode(value)? })
    }
}

fn decoded<T: Decode>(key: &[u8], item: &Item<'_>) -> Result<Cell<T>> {
    let bytes = item.bytes()?;
    let (counter, value) = split(&bytes)?;
    Ok(Cell { counter, value: T::decode(value).map_err(|error| named(error, key))? })
}

fn get<T: Decode>(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<Option<Cell<T>>> {
    lookup(reads, space, Family::State, key, |item| decoded(key, item))
}

/// The cell of a key, and when it is over.
fn get_expiring<T: Decode>(
    reads: &dyn Reads,
    space: SpaceNumber,
    key: &[u8],
) -> Result<Option<(Cell<T>, Option<u64>)>> {
    lookup(reads, space, Family::State, key, |item| Ok((decoded(key, item)?, item.expires_at())))
}

fn counter_at(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<Option<u64>> {
    lookup(reads, space, Family::State, key, |item| Ok(split(&item.bytes()?)?.0))
}

/// The cell that is there, as an error shows it.
fn described_at(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<Option<String>> {
    lookup(reads, space, Family::State, key, |item| {
        let bytes = item.bytes()?;
        let (counter, value) = split(&bytes)?;
        Ok(format!("counter {counter} and {}", described(value)))
    })
}
