//! [`Contents`]: everything that a reader sees of a store, as plain text by name.
//!
//! Invariant: what a workload expects is written down by the workload itself ([`Contents::set`] and friends), never read
//! from the store under test; only [`Contents::of`] and [`Glance`] read the store, and through its public interface.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hasher},
    io::Write,
    ops::ControlFlow,
};

use foldb_core::{
    Db, Result, View,
    primitive::{Cells, Documents, Events, Kv, ScanOptions, access::Access},
    state::{DEFAULT_SPACE as SPACE_NUMBER, Family},
    storage::Storage,
    tree::{Direction, KeyRange},
    value::ValueRef,
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
        contents.set_idempotency_keys(view.folded().idempotency_keys());
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
            self.set_with(space, ("kv", &pair.key), &pair.value.to_string(), kv.expires_at(&pair.key)?);
        }
        for document in json.list(&all)? {
            let expires = json.expires_at(&document.key)?;
            self.set_with(space, ("json", &document.key), &document.document.to_string(), expires);
        }
        for cell in state.list(&all)? {
            let text = format!("{} at {}", cell.cell.value, cell.cell.counter);
            self.set_with(space, ("cell", &cell.key), &text, state.expires_at(&cell.key)?);
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

    /// The same, of something that is over at a time.
    pub(super) fn set_until(&mut self, space: &str, primitive: &str, key: &str, value: &str, micros: u64) {
        self.set(space, primitive, key, &format!("{value} until {micros}"));
    }

    fn set_with(&mut self, space: &str, (primitive, key): (&str, &[u8]), value: &str, expires: Option<u64>) {
        match expires {
            Some(micros) => self.set_until(space, primitive, &name(key), value, micros),
            None => self.set(space, primitive, &name(key), value),
        }
    }

    /// Says that a pair is not there.
    pub(super) fn delete(&mut self, space: &str, primitive: &str, key: &str) {
        self.entries.remove(&format!("{space} {primitive} {key}"));
    }

    /// Says that a stream has an event.
    pub(super) fn append(&mut self, space: &str, stream: &str, seq: u64, payload: &str) {
        self.set(space, "event", &event(stream, seq), payload);
    }

    /// Says that a stream keeps none of the events below one.
    pub(super) fn trim(&mut self, space: &str, stream: &str, keep_from: u64) {
        (1..keep_from).for_each(|seq| self.delete(space, "event", &event(stream, seq)));
    }

    /// Says that there is a run, and whether it has ended.
    pub(super) fn set_run(&mut self, run: &str, ended: bool) {
        self.set(run, "run", "", if ended { "ended" } else { "open" });
    }

    /// How many runs are open.
    pub(super) fn open_runs(&self) -> usize {
        self.entries.iter().filter(|(name, value)| name.ends_with(" run ") && *value == "open").count()
    }

    /// Says how many idempotency keys the store remembers.
    pub(super) fn set_idempotency_keys(&mut self, count: usize) {
        if count > 0 {
            self.set("store", "idempotency", "keys", &count.to_string());
        }
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

/// Everything that [`Contents`] has of a store, as bytes in one buffer: two stores whose glances are equal have equal
/// contents. Millions of images hold one of a few contents, and making text of each again would be most of the time.
#[derive(Default)]
pub(super) struct Glance {
    bytes: Vec<u8>,
}

impl Glance {
    /// Looks at everything in a store.
    pub(super) fn look<S: Storage>(&mut self, view: &View<'_, S>) -> Result<&[u8]> {
        self.bytes.clear();
        let space = view.default_space();
        self.space(&space.kv(), &space.json(), &space.state(), &space.events())?;
        self.expiries(view)?;
        for run in view.runs() {
            self.part(b'r', run.name.as_bytes());
            self.bytes.push(u8::from(run.ended_micros.is_some()));
            let space = view.run(run.id)?;
            self.space(&space.kv(), &space.json(), &space.state(), &space.events())?;
        }
        let keys = u64::try_from(view.folded().idempotency_keys()).unwrap_or(u64::MAX);
        self.part(b'i', &keys.to_le_bytes());
        Ok(&self.bytes)
    }

    /// When what is over, of the default space, the only one that has such things.
    fn expiries<S: Storage>(&mut self, view: &View<'_, S>) -> Result<()> {
        let Some(space) = view.folded().space(SPACE_NUMBER) else { return Ok(()) };
        space.tree().visit(&Family::Expiry.range(&KeyRange::all()), Direction::Forward, view.source(), &mut |key, _| {
            self.part(b'x', key);
            ControlFlow::Continue(())
        })
    }

    fn space<A: Access>(
        &mut self,
        kv: &Kv<A>,
        json: &Documents<A>,
        state: &Cells<A>,
        events: &Events<A>,
    ) -> Result<()> {
        let all = ScanOptions::all();
        kv.for_each(KeyRange::all(), Direction::Forward, |key, value| {
            self.part(b'k', key);
            self.value(&value);
            ControlFlow::Continue(())
        })?;
        for document in json.list(&all)? {
            self.part(b'j', &document.key);
            self.part(b'v', document.document.to_string().as_bytes());
        }
        for cell in state.list(&all)? {
            self.part(b'c', &cell.key);
            self.part(b'v', format!("{} at {}", cell.cell.value, cell.cell.counter).as_bytes());
        }
        for stream in events.streams(&all)? {
            self.part(b's', &stream.stream);
            events.for_each(&stream.stream, .., Direction::Forward, |event| {
                self.part(b'e', &event.seq.to_le_bytes());
                self.value(&event.payload);
                ControlFlow::Continue(())
            })?;
        }
        Ok(())
    }

    fn value(&mut self, value: &ValueRef<'_>) {
        match value {
            ValueRef::Text(text) => self.part(b't', text.as_bytes()),
            // Writing to a vector does not fail.
            other => drop(write!(self.bytes, "{other:?};")),
        }
    }

    /// With its length, so that no two parts can be taken for other two.
    fn part(&mut self, kind: u8, bytes: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    /// A number for a glance. Different ones have the same with a probability of 2^-64.
    pub(super) fn digest(bytes: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        hasher.finish()
    }
}

fn event(stream: &str, seq: u64) -> String {
    format!("{stream} {seq}")
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
