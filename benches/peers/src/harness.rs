//! Who is measured, in which order, and what happens to an engine that fails.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use crate::{
    Arguments, engines, files,
    report::{Report, Row},
    rows,
    store::{Mode, Peer, Store, Unsupported},
    workload::{Keys, SEED, Values},
};

/// Pairs per transaction when a store is loaded in random order.
const LOAD_BATCH: usize = 10_000;

/// Streams of random numbers, one for each purpose.
pub mod stream {
    pub const BASE: u64 = 1;
    pub const LOOKUPS: u64 = 1 << 32;
    pub const PUTS: u64 = 2 << 32;
    pub const STRICT: u64 = 3 << 32;
    pub const THREADS: u64 = 4 << 32;
    pub const BATCHES: u64 = 5 << 32;
}

/// Everything that the rows share.
pub struct Bench {
    pub peers: Vec<Peer>,
    pub report: Report,
    pub directory: PathBuf,
    pub keys: Keys,
    pub values: Values,
    pub repetitions: usize,
    pub quick: bool,
    wanted: Vec<String>,
    /// The engines whose 1M store has been written and closed.
    based: Vec<&'static str>,
}

/// An engine that is taking part, with its opened store.
pub struct Entrant {
    pub peer: usize,
    pub name: &'static str,
    pub store: Box<dyn Store>,
}

impl Bench {
    pub fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let mut peers = engines::all();
        if let Some(unknown) = arguments.rows.iter().find(|id| !rows::ALL.iter().any(|row| row.id == *id)) {
            bail!("there is no row `{unknown}`; --list names them all");
        }
        if let Some(unknown) = arguments.engines.iter().find(|name| !peers.iter().any(|peer| peer.name == *name)) {
            bail!("there is no engine `{unknown}`; --list names them all");
        }
        peers.retain(|peer| arguments.engines.is_empty() || arguments.engines.iter().any(|name| name == peer.name));
        let directory = arguments.dir.join(format!("run-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let repetitions = if arguments.quick { arguments.repetitions.min(2) } else { arguments.repetitions };
        Ok(Self {
            peers,
            report: Report::default(),
            directory: directory.canonicalize()?,
            keys: Keys::random(SEED, stream::BASE, arguments.keys),
            values: Values::new(SEED),
            repetitions: repetitions.max(1),
            quick: arguments.quick,
            wanted: arguments.rows.clone(),
            based: Vec::new(),
        })
    }

    /// What was asked for, for the JSON file.
    pub fn setup(&self) -> Value {
        json!({ "keys": self.keys.len(), "repetitions": self.repetitions, "quick": self.quick, "seed": SEED })
    }

    /// True if at least one of these rows is wanted.
    pub fn wants(&self, rows: &[&str]) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| rows.contains(&wanted.as_str()))
    }

    /// `full` in a real run, a fraction of it in a quick one.
    pub fn amount(&self, full: usize) -> usize {
        if self.quick { (full / 20).max(2) } else { full }
    }

    /// Prints what is known about these rows.
    pub fn print(&self, ids: &[&str]) {
        let wanted = |row: &&Row| ids.contains(&row.id) && self.wants(&[row.id]);
        rows::ALL.iter().filter(wanted).for_each(|row| self.report.print_row(row, &self.peers));
    }

    /// The indices of the peers that take part in one of `rows`.
    pub fn participants(&self, rows: &[&str]) -> Vec<usize> {
        let joins =
            |peer: &Peer| peer.rows.is_none_or(|own| rows.iter().any(|row| own.contains(row) && self.wants(&[row])));
        (0..self.peers.len()).filter(|index| joins(&self.peers[*index])).collect()
    }

    /// The directory of a peer for a purpose.
    pub fn path(&self, peer: usize, purpose: &str) -> PathBuf {
        let name = self.peers[peer].name;
        let slug: String =
            name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        self.directory.join(format!("{purpose}-{slug}"))
    }

    /// Opens a fresh store for every participant of `rows`. Who cannot is left out, with the reason noted.
    pub fn open_fresh(&mut self, rows: &[&'static str], purpose: &str, mode: Mode) -> Vec<Entrant> {
        let mut entrants = Vec::new();
        for peer in self.participants(rows) {
            let path = self.path(peer, purpose);
            let open = self.peers[peer].open;
            let opened = guarded(|| open(&files::fresh(path)?, mode));
            entrants.extend(self.entrant(rows, peer, opened));
        }
        entrants
    }

    fn entrant(
        &mut self,
        rows: &[&'static str],
        peer: usize,
        opened: anyhow::Result<Box<dyn Store>>,
    ) -> Option<Entrant> {
        let name = self.peers[peer].name;
        match opened {
            Ok(store) => Some(Entrant { peer, name, store }),
            Err(error) => {
                self.excuse(rows, name, &error);
                None
            }
        }
    }

    /// Notes why an engine has no figure in these rows. What it does not offer is not worth a line.
    pub fn excuse(&mut self, rows: &[&'static str], name: &'static str, error: &anyhow::Error) {
        if error.is::<Unsupported>() {
            return;
        }
        for row in rows {
            self.report.note(row, name, format!("failed: {error:#}"));
        }
    }

    /// One repetition after the other, each through all entrants, each time beginning with another one. Whoever fails
    /// is out from then on.
    pub fn interleave(
        &mut self,
        rows: &[&'static str],
        repetitions: usize,
        entrants: &mut Vec<Entrant>,
        mut work: impl FnMut(&mut Report, &Entrant, usize) -> anyhow::Result<()>,
    ) {
        for repetition in 0..repetitions {
            let mut failed = Vec::new();
            for turn in 0..entrants.len() {
                let place = (turn + repetition) % entrants.len();
                let entrant = &entrants[place];
                if let Err(error) = guarded(|| work(&mut self.report, entrant, repetition)) {
                    failed.push((place, entrant.name, error));
                }
            }
            failed.sort_by_key(|failure| std::cmp::Reverse(failure.0));
            for (place, name, error) in failed {
                self.excuse(rows, name, &error);
                entrants.remove(place);
            }
        }
    }

    /// Closes the stores and removes their directories.
    pub fn discard(&mut self, entrants: Vec<Entrant>, purpose: &str) -> anyhow::Result<()> {
        for entrant in entrants {
            let path = self.path(entrant.peer, purpose);
            // It has been measured already: an engine that cannot close is its own problem.
            if let Err(error) = guarded(|| entrant.store.close()) {
                eprintln!("{} did not close: {error:#}", entrant.name);
            }
            files::remove(&path)?;
        }
        Ok(files::quiet(&self.directory)?)
    }

    /// Makes sure that everybody's store with all keys is written and closed.
    pub fn prepare_base(&mut self, rows: &[&'static str]) -> anyhow::Result<()> {
        for peer in self.participants(rows) {
            let name = self.peers[peer].name;
            if self.peers[peer].volatile || self.based.contains(&name) {
                continue;
            }
            let started = Instant::now();
            let (path, open) = (files::fresh(self.path(peer, "base"))?, self.peers[peer].open);
            let result = guarded(|| {
                let store = open(&path, Mode::Buffered)?;
                self.load(store.as_ref())?;
                store.settle()?;
                store.close()
            });
            match result {
                Ok(()) => self.based.push(name),
                Err(error) => self.excuse(rows, name, &error),
            }
            eprintln!("{name}: store of {} keys written in {:.1?}", self.keys.len(), started.elapsed());
        }
        Ok(files::quiet(&self.directory)?)
    }

    /// Opens everybody's store with all keys, in its directory `base`.
    pub fn open_base(&mut self, rows: &[&'static str], mode: Mode) -> anyhow::Result<Vec<Entrant>> {
        self.prepare_base(rows)?;
        let mut entrants = Vec::new();
        for peer in self.participants(rows) {
            let Peer { name, volatile, open, .. } = self.peers[peer];
            if !volatile && !self.based.contains(&name) {
                continue;
            }
            let path = self.path(peer, "base");
            let opened = guarded(|| {
                fs::create_dir_all(&path)?;
                let store = open(&path, mode)?;
                if volatile {
                    self.load(store.as_ref())?;
                }
                store.settle()?;
                Ok(store)
            });
            entrants.extend(self.entrant(rows, peer, opened));
        }
        files::quiet(&self.directory)?;
        Ok(entrants)
    }

    /// Loads all keys in random order, as a store that has lived got them.
    pub fn load(&self, store: &dyn Store) -> anyhow::Result<()> {
        for start in (0..self.keys.len()).step_by(LOAD_BATCH) {
            let part = self.keys.slice(start..(start + LOAD_BATCH).min(self.keys.len()));
            store.put_many(&part, &self.values)?;
        }
        Ok(())
    }

    /// True if the store of this peer has been written.
    pub fn has_base(&self, peer: usize) -> bool {
        self.based.contains(&self.peers[peer].name)
    }
}

/// An engine's panic is a failure of that engine, not the end of the benchmark.
pub fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(anyhow!("panicked")))
}
