//! [`Fault`]: the nth operation of a kind fails.

use std::collections::BTreeMap;

use foldb_core::storage::StorageError;

/// The kinds of calls to a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// [`Storage::list`](foldb_core::storage::Storage::list)
    List,
    /// [`Storage::create`](foldb_core::storage::Storage::create)
    Create,
    /// [`Storage::open`](foldb_core::storage::Storage::open)
    Open,
    /// [`Storage::remove`](foldb_core::storage::Storage::remove)
    Remove,
    /// [`StorageFile::len`](foldb_core::storage::StorageFile::len)
    Len,
    /// [`StorageFile::read_at`](foldb_core::storage::StorageFile::read_at)
    Read,
    /// [`StorageFile::write_at`](foldb_core::storage::StorageFile::write_at)
    Write,
    /// [`StorageFile::set_len`](foldb_core::storage::StorageFile::set_len)
    SetLen,
    /// [`StorageFile::sync`](foldb_core::storage::StorageFile::sync)
    Sync,
}

impl OperationKind {
    fn action(self) -> &'static str {
        match self {
            OperationKind::List => "listing",
            OperationKind::Create => "creating",
            OperationKind::Open => "opening",
            OperationKind::Remove => "removing",
            OperationKind::Len => "reading the length of",
            OperationKind::Read => "reading",
            OperationKind::Write => "writing",
            OperationKind::SetLen => "extending",
            OperationKind::Sync => "syncing",
        }
    }
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// [`StorageError::Io`]
    Io,
    /// [`StorageError::Full`]
    Full,
    /// [`StorageError::Denied`]
    Denied,
}

/// What was done all the same before the failure was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Of a write, the first so many bytes; of anything else, nothing.
    Prefix(usize),
    /// All of it: the operation succeeded and only the answer is wrong.
    Whole,
}

/// A failure to come. It counts from the moment in which it is injected.
///
/// ```
/// use foldb_core::storage::{Storage, StorageError, StorageFile};
/// use foldb_testkit::crash::{CrashStorage, Failure, Fault, OperationKind};
///
/// let disk = CrashStorage::new();
/// let file = disk.create("log-1")?;
/// disk.inject(Fault::on(OperationKind::Write).nth(2).failing_with(Failure::Full));
/// file.write_at(0, b"fits")?;
/// assert!(matches!(file.write_at(4, b"does not"), Err(StorageError::Full { .. })));
/// file.write_at(4, b"fits again")?;
/// # Ok::<(), StorageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Option<OperationKind>,
    name_prefix: String,
    /// How many matching operations come before the one that fails.
    skipped: u64,
    for_ever: bool,
    failure: Failure,
    effect: Effect,
    /// Nothing is reported: a write that the device loses.
    unnoticed: bool,
}

impl Fault {
    /// The next operation of this kind fails, once, with [`Failure::Io`], and has no effect.
    pub fn on(kind: OperationKind) -> Self {
        Self { kind: Some(kind), ..Self::on_any() }
    }

    /// The same for the next operation of any kind.
    pub fn on_any() -> Self {
        Self {
            kind: None,
            name_prefix: String::new(),
            skipped: 0,
            for_ever: false,
            failure: Failure::Io,
            effect: Effect::Nothing,
            unnoticed: false,
        }
    }

    /// The next write is reported as done and was not: what a device does that loses it, or puts it elsewhere.
    pub fn lost_write() -> Self {
        Self { unnoticed: true, ..Self::on(OperationKind::Write) }
    }

    /// Only operations on files whose names begin like this count.
    #[must_use]
    pub fn of_files(self, name_prefix: &str) -> Self {
        Self { name_prefix: name_prefix.into(), ..self }
    }

    /// The nth matching operation fails instead of the next; 1 is the next.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { skipped: nth.saturating_sub(1), ..self }
    }

    /// And every one after it.
    #[must_use]
    pub fn for_ever(self) -> Self {
        Self { for_ever: true, ..self }
    }

    /// It fails like this.
    #[must_use]
    pub fn failing_with(self, failure: Failure) -> Self {
        Self { failure, ..self }
    }

    /// This is done all the same.
    #[must_use]
    pub fn after(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    fn matches(&self, kind: OperationKind, name: &str) -> bool {
        self.kind.is_none_or(|own| own == kind) && name.starts_with(&self.name_prefix)
    }

    fn error(&self, kind: OperationKind, name: &str) -> StorageError {
        let (name, action) = (String::from(name), kind.action());
        match self.failure {
            Failure::Io => StorageError::Io { name, action, message: "injected by the test".into() },
            Failure::Full => StorageError::Full { name, action },
            Failure::Denied => StorageError::Denied { name, action },
        }
    }
}

/// The faults to come, and how often each class has happened.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: Vec<Fault>,
    fired: BTreeMap<(OperationKind, Failure), u64>,
}

impl Faults {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.planned.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.planned.clear();
    }

    pub(super) fn fired(&self) -> &BTreeMap<(OperationKind, Failure), u64> {
        &self.fired
    }

    /// Whether this operation fails, and how. Every planned fault counts it; the first one that is due decides.
    pub(super) fn strike(&mut self, kind: OperationKind, name: &str) -> Option<(StorageError, Effect)> {
        let fault = self.due(kind, name, false)?;
        *self.fired.entry((kind, fault.failure)).or_default() += 1;
        Some((fault.error(kind, name), fault.effect))
    }

    /// Whether this write is lost without a word.
    pub(super) fn loses(&mut self, name: &str) -> bool {
        self.due(OperationKind::Write, name, true).is_some()
    }

    fn due(&mut self, kind: OperationKind, name: &str, unnoticed: bool) -> Option<Fault> {
        let mut due = None;
        let matches = |fault: &Fault| fault.unnoticed == unnoticed && fault.matches(kind, name);
        for (place, fault) in self.planned.iter_mut().enumerate().filter(|(_, fault)| matches(fault)) {
            match fault.skipped.checked_sub(1) {
                Some(skipped) => fault.skipped = skipped,
                None if due.is_none() => due = Some(place),
                None => {}
            }
        }
        let place = due?;
        Some(if self.planned[place].for_ever { self.planned[place].clone() } else { self.planned.remove(place) })
    }
}
