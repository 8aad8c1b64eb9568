//! [`Contents`]: everything that a reader sees of a store, as plain text by name.
//!
//! Invariant: what a workload expects is written down by the workload itself ([`Contents::set`] and friends), never read
//! from the store under test; only [`Contents::of`] reads the store, and through its public interface.

use std::collections::BTreeMap;

use foldb_core::{
    Db, Result,
    primitive::{Cells, Documents, Events, Kv, ScanOptions, access::Access},
    storage::Storage,
    tree::Direction,
};

/// What is in a store. Values and documents are kept as text, large ones with all their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    entries: BTreeMap<String, String>,
}

/// The default space, as the first part of a name.
pub(super) const DEFAULT_SPACE: &str = "default";

impl Contents {
    /// Everything in a store.
    pub(super) fn of<S: Storage>(db: &Db<S>) -> Result<Self> {
        let mut contents = Self::default();
        let view = db.view();
        let space = view.default_space();
        contents.read(DEFAULT_SPACE, &space.kv(), &space.json(), &space.state(), &space.events())?;
        for run in view.runs() {
            contents.set_run(&run.name, run.ended_micros.is_some());
            let space = view.run(run.id)?;
            contents.read(&run.name, &space.kv(), &space.json(), &space.state(), &space.events())?;
        }
        Ok(contents)
    }

    fn read<A: Access>(
        &mut self,
        space: &str,
        kv: &Kv<A>,
        json: &Documents<A>,
        state: &Cells<A>,
        events: &Events<A>,
    ) -> Result<()> {
        let all = ScanOptions::all();
        for pair in kv.scan(&all)? {
            self.set(space, "kv", &name(&pair.key), &pair.value.to_string());
        }
        for document in json.list(&all)? {
            self.set(space, "json", &name(&document.key), &document.document.to_string());
        }
        for cell in state.list(&all)? {
            self.set(space, "cell", &name(&cell.key), &format!("{} at {}", cell.cell.value, cell.cell.counter));
        }
        for stream in events.streams(&all)? {
            for event in events.range(&stream.stream, .., None, Direction::Forward)? {
                self.append(space, &name(&stream.stream), event.seq, &event.payload.to_string());
            }
        }
        Ok(())
    }

    /// Says that a primitive has this under a key.
    pub(super) fn set(&mut self, space: &str, primitive: &str, key: &str, value: &str) {
        self.entries.insert(format!("{space} {primitive} {key}"), value.into());
    }

    /// Says that a pair is not there.
    pub(super) fn delete(&mut self, space: &str, primitive: &str, key: &str) {
        self.entries.remove(&format!("{space} {primitive} {key}"));
    }

    /// Says that a stream has an event.
    pub(super) fn append(&mut self, space: &str, stream: &str, seq: u64, payload: &str) {
        self.set(space, "event", &format!("{stream} {seq}"), payload);
    }

    /// Says that there is a run, and whether it has ended.
    pub(super) fn set_run(&mut self, run: &str, ended: bool) {
        self.set(run, "run", "", if ended { "ended" } else { "open" });
    }

    /// The first entry in which two contents differ, for messages.
    pub(super) fn difference(&self, other: &Self) -> String {
        let names = self.entries.keys().chain(other.entries.keys());
        let differs = |name: &&String| self.entries.get(*name) != other.entries.get(*name);
        names.min_by_key(|name| (!differs(name), *name)).map_or_else(String::new, |name| {
            let show = |contents: &Self| contents.entries.get(name).map_or("nothing".into(), |value| shortened(value));
            format!("{name:?} is {}, expected {}", show(self), show(other))
        })
    }
}

fn name(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &value[..end], value.len()),
        None => format!("{value:?}"),
    }
}
