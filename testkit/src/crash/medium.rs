//! [`Medium`]: what is on the disk for sure and what is pending, as a fold over the journal.
//!
//! Invariant: nothing here knows about handles or about what a reader of the live disk sees. The state after the first n
//! operations is a function of those operations, so a crash at any of them can be looked at afterwards, in any order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    contents::Contents,
    fates::Fate,
    image::Image,
    journal::{Action, FileId, Operation},
};

/// An operation that was asked for and is not covered by a sync: a crash decides its [`Fate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the journal.
    pub index: usize,
    /// What it was.
    pub operation: Operation,
}

/// The files on the medium.
#[derive(Clone, Debug, Default)]
pub(crate) struct Medium {
    files: BTreeMap<FileId, MediumFile>,
}

#[derive(Clone, Debug)]
struct MediumFile {
    name: Arc<str>,
    /// Where the journal created it, if that is pending.
    created: Option<usize>,
    /// Where the journal removed it.
    removed: Option<usize>,
    /// A sync failed before the name was durable: no later one makes it so.
    name_doomed: bool,
    /// The bytes that no crash can take away.
    durable: Contents,
    /// What happened to the bytes since, in order. The first one is never durable: those are folded into `durable`.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    index: usize,
    action: Action,
    standing: Standing,
}

/// What a crash may do to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Anything, until the next sync.
    Pending,
    /// Anything, for ever: a sync failed while it was pending.
    Doomed,
    /// Nothing. It waits behind an earlier change that is not durable, because the order of changes matters.
    Durable,
}

impl Medium {
    /// Everything in the image is durable.
    pub(crate) fn new(image: &Image) -> Self {
        let file = |(number, (name, contents)): (usize, (&Arc<str>, &Contents))| {
            let file =
                MediumFile { created: None, durable: contents.clone(), ..MediumFile::created(Arc::clone(name), 0) };
            (FileId(number), file)
        };
        Self { files: image.files.iter().enumerate().map(file).collect() }
    }

    /// Takes in the operation at `index` of the journal.
    pub(crate) fn apply(&mut self, index: usize, operation: &Operation) {
        if operation.action == Action::Create {
            self.files.insert(operation.file, MediumFile::created(Arc::clone(&operation.name), index));
            return;
        }
        let Some(file) = self.files.get_mut(&operation.file) else { return };
        match &operation.action {
            Action::Create => {}
            Action::Remove => file.removed = Some(index),
            Action::Write { .. } | Action::SetLen { .. } => {
                let action = operation.action.clone();
                file.changes.push(Change { index, action, standing: Standing::Pending });
            }
            Action::Sync => {
                let named_now = file.sync();
                // The file that had the name before cannot come back: its entry in the directory is this one's now.
                if named_now {
                    self.files.retain(|id, other| *id >= operation.file || other.name != operation.name);
                }
            }
            Action::SyncFailed => file.doom(),
        }
    }

    /// What a crash now would decide about, in the order of the journal.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let mut pending: Vec<Pending> = self
            .files
            .iter()
            .flat_map(|(id, file)| {
                let of = |(index, action)| Pending {
                    index,
                    operation: Operation { file: *id, name: Arc::clone(&file.name), action },
                };
                file.undecided().map(of)
            })
            .collect();
        pending.sort_by_key(|pending| pending.index);
        pending
    }

    /// The files after a crash that gives each pending operation, by its index in the journal, this fate.
    pub(super) fn image<'f>(&self, fate: impl Fn(usize) -> &'f Fate) -> Image {
        let survives = |index: usize| *fate(index) != Fate::Lost;
        let mut image = Image::default();
        // In the order of creation: where two files of one name survive, the newer has the name.
        for file in self.files.values() {
            if file.created.is_some_and(|index| !survives(index)) {
                continue;
            }
            if file.removed.is_some_and(survives) {
                image.files.remove(&*file.name);
            } else {
                image.files.insert(Arc::clone(&file.name), file.contents(&fate));
            }
        }
        image
    }

    /// The names that are in the directory for sure.
    pub(super) fn durable_names(&self) -> BTreeSet<&str> {
        let sure = self.files.values().filter(|file| file.created.is_none() && file.removed.is_none());
        sure.map(|file| &*file.name).collect()
    }
}

impl MediumFile {
    fn created(name: Arc<str>, index: usize) -> Self {
        Self {
            name,
            created: Some(index),
            removed: None,
            name_doomed: false,
            durable: Contents::default(),
            changes: Vec::new(),
        }
    }

    /// Makes durable what can be made so. Returns whether the name became durable by it.
    fn sync(&mut self) -> bool {
        for change in &mut self.changes {
            if change.standing == Standing::Pending {
                change.standing = Standing::Durable;
            }
        }
        let settled = self.changes.iter().take_while(|change| change.standing == Standing::Durable).count();
        for change in self.changes.drain(..settled) {
            Fate::Whole.apply(&change.action, &mut self.durable);
        }
        !self.name_doomed && self.created.take().is_some()
    }

    fn doom(&mut self) {
        self.name_doomed |= self.created.is_some();
        for change in &mut self.changes {
            if change.standing == Standing::Pending {
                change.standing = Standing::Doomed;
            }
        }
    }

    fn undecided(&self) -> impl Iterator<Item = (usize, Action)> {
        let changes = self.changes.iter().filter(|change| change.standing != Standing::Durable);
        let changes = changes.map(|change| (change.index, change.action.clone()));
        let created = self.created.map(|index| (index, Action::Create));
        let removed = self.removed.map(|index| (index, Action::Remove));
        created.into_iter().chain(changes).chain(removed)
    }

    fn contents<'f>(&self, fate: &impl Fn(usize) -> &'f Fate) -> Contents {
        let mut contents = self.durable.clone();
        for change in &self.changes {
            let fate = if change.standing == Standing::Durable { &Fate::Whole } else { fate(change.index) };
            fate.apply(&change.action, &mut contents);
        }
        contents
    }
}
