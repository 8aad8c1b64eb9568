//! Everything that a reader sees of a store, damage included: two openings of the same bytes have to agree on all of it.

use std::fmt::Debug;

use foldb_core::{
    Db, Result,
    primitive::{Cells, Documents, Events, Kv, ScanOptions, Trace, access::Access},
    storage::Storage,
    tree::Direction,
};

/// One line for each thing that was read, or that could not be read and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Contents {
    lines: Vec<String>,
    /// How many reads failed.
    pub(super) failures: usize,
}

impl Contents {
    /// Reads everything.
    pub(super) fn of<S: Storage>(db: &Db<S>) -> Self {
        let mut contents = Self::default();
        let view = db.view();
        contents.note("seq", &view.seq());
        let space = view.default_space();
        contents.space("default", &space.kv(), &space.json(), &space.state(), &space.events(), &space.trace());
        contents.result("default digest", space.digest());
        for run in view.runs() {
            let name = format!("run {}", run.number);
            // The status depends on which opening looks.
            let seen = (run.id, &run.name, run.parent, &run.labels, &run.metadata, run.began_micros, run.ended_micros);
            contents.note(&name, &(seen, &run.message, run.resumed, run.first_seq, run.last_seq, run.commits));
            let Some(space) = contents.result(&name, view.run(run.id).map_err(|error| error.to_string())) else {
                continue;
            };
            contents.space(&name, &space.kv(), &space.json(), &space.state(), &space.events(), &space.trace());
            contents.result(&name, space.digest());
        }
        contents
    }

    /// Panics with the first lines that differ, if any do.
    pub(super) fn assert_same(&self, other: &Self, what: &str) {
        let differs = self.lines.iter().zip(&other.lines).find(|(one, other)| one != other);
        let lengths = (self.lines.len(), other.lines.len());
        assert!(self == other, "{what}: {differs:#?}, {lengths:?} lines");
    }

    fn note(&mut self, what: &str, found: &dyn Debug) {
        self.lines.push(format!("{what}: {found:?}"));
    }

    fn result<T, E: Debug>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(found) => Some(found),
            Err(error) => {
                self.failures += 1;
                self.note(what, &error);
                None
            }
        }
    }

    fn listed<T: Debug>(&mut self, what: String, listed: Result<Vec<T>>) {
        for found in self.result(&what, listed).into_iter().flatten() {
            self.note(&what, &found);
        }
    }

    fn space<A: Access>(
        &mut self,
        name: &str,
        kv: &Kv<A>,
        json: &Documents<A>,
        state: &Cells<A>,
        events: &Events<A>,
        trace: &Trace<A>,
    ) {
        let all = ScanOptions::all();
        self.listed(format!("{name} kv"), kv.scan(&all));
        self.listed(format!("{name} json"), json.list(&all));
        self.listed(format!("{name} cells"), state.list(&all));
        self.listed(format!("{name} trace"), trace.list(&all));
        self.listed(format!("{name} trace roots"), trace.roots(&all));
        let streams = events.streams(&all);
        for stream in self.result(name, streams).into_iter().flatten() {
            self.note(name, &stream);
            for direction in [Direction::Forward, Direction::Backward] {
                let read = events.range(&stream.stream, .., None, direction);
                self.listed(format!("{name} events {:?}", stream.stream), read);
            }
        }
    }
}
