//! Random long simulation: a store lives through many processes on a machine that fails, beside a model that does not.
//!
//! One seed is one history: which calls several committers make and how they interleave, when processes end and how, what
//! the machine does to them. After every opening the store must hold exactly what the model held after some commit, none
//! of the promised ones missing; the report must say so; and every call in between is answered as the model answers it.
//!
//! Plain crashes and failing calls happen to the store that lives on. Damage is done to copies of its disk: so each
//! experiment begins with a healthy store whose history is known, and what comes out is either a typed error that names a
//! file and leaves every byte as it was, or a prefix that no shorter than what the undamaged bytes still prove.

mod damage;
mod generate;
mod judge;
mod life;
mod process;
mod store;
#[cfg(test)]
mod tests;

use std::{
    ops::AddAssign,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use foldb_core::{Db, Durability, Error, Options, limits::PART_BYTES_TARGET};

use self::generate::Generator;
use crate::{
    Random,
    machine::{FaultClass, Fired, Plan, SimHost, SimMachine, SimStorage},
    model::History,
};

/// How long a seed is, and what its machine does.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many steps the processes of one seed take together.
    pub steps: u64,
    /// What fails. Each seed leaves some classes out, so that those that end a process early do not hide the others.
    pub plan: Plan,
}

impl Default for Settings {
    fn default() -> Self {
        Self { steps: 700, plan: Plan::default_mix() }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of the store whose answers were compared.
    pub calls: u64,
    /// Commits that came about.
    pub commits: u64,
    /// Commits that were refused because of a conflict.
    pub conflicts: u64,
    /// Processes that had the store open.
    pub processes: u64,
    /// Images that were opened and judged: after crashes, after ends of processes, damaged ones.
    pub images: u64,
    /// Stores that were verified from end to end.
    pub verified: u64,
    /// Damage that an opening refused.
    pub refused: u64,
    /// Damage that cost the last commits before any mark.
    pub shortened: u64,
    /// Damage that showed as an error when the damaged place was read.
    pub noticed: u64,
    /// Damage that cost nothing.
    pub harmless: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.commits += other.commits;
        self.conflicts += other.conflicts;
        self.processes += other.processes;
        self.images += other.images;
        self.verified += other.verified;
        self.refused += other.refused;
        self.shortened += other.shortened;
        self.noticed += other.noticed;
        self.harmless += other.harmless;
    }
}

/// What a seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was done.
    pub counts: Counts,
    /// What failed on the way.
    pub fired: Fired,
    /// BLAKE3 over every call and every change of the disk.
    pub trace: String,
    /// The digests of what the store held at the end.
    pub contents: String,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// Lives through one seed.
///
/// # Errors
/// What was not as promised. A panic of the store is one of these things.
pub fn simulate(seed: u64, settings: &Settings) -> Result<Outcome, Violation> {
    let run = || Simulation::new(seed, settings).run(settings.steps);
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("of an unknown kind")))
    });
    outcome.map_err(|what| Violation { seed, what })
}

/// How the store of a seed is opened.
#[derive(Clone, Copy, Debug)]
struct Config {
    durability: Durability,
    segment_bytes: u64,
    /// Where a transaction goes on in another part frame.
    part_bytes: usize,
    snapshot_log_bytes: Option<u64>,
}

impl Config {
    fn random(random: &mut Random) -> Self {
        let bytes = [256, 4096, 1 << 20][random.index(3)];
        let durability = match random.below(20) {
            0 => Durability::InMemory,
            1..9 => Durability::Strict,
            9..14 => Durability::Relaxed { interval: Duration::from_millis(100) },
            _ => Durability::Buffered { interval: Duration::from_millis(100), bytes },
        };
        Self {
            durability,
            segment_bytes: [4096, 8192, 65536][random.index(3)],
            part_bytes: [PART_BYTES_TARGET, 200, 1500][random.index(3)],
            snapshot_log_bytes: [None, Some(6000), Some(40_000)][random.index(3)],
        }
    }

    fn options(&self) -> Options {
        Options::new()
            .durability(self.durability)
            .segment_bytes(self.segment_bytes)
            .part_bytes(self.part_bytes)
            .snapshot_log_bytes(self.snapshot_log_bytes)
    }

    fn open(&self, machine: &SimMachine, host: &Arc<SimHost>, check_snapshots: bool) -> Result<Db<SimStorage>, Error> {
        let host = Arc::clone(host);
        Db::open(machine.attach()?, host, self.options().check_snapshots(check_snapshots))
    }
}

/// One seed, or a part of one that goes its own way on a copy of the disk.
struct Simulation {
    seed: u64,
    random: Random,
    generator: Generator,
    plan: Plan,
    machine: SimMachine,
    host: Arc<SimHost>,
    config: Config,
    history: History,
    /// The process that has the store open, counted from 1.
    process: u64,
    counts: Counts,
    /// What failed on copies of the disk.
    fired: Fired,
    trace: blake3::Hasher,
    /// Whether bytes have been damaged: then typed errors are answers too.
    damaged: bool,
}

impl Simulation {
    fn new(seed: u64, settings: &Settings) -> Self {
        let mut random = Random::new(seed);
        let config = Config::random(&mut random);
        let plan = swarm(settings.plan, &mut random);
        Self {
            seed,
            generator: Generator::new(random.split()),
            plan,
            machine: SimMachine::new(random.next(), plan),
            host: Arc::new(SimHost::new(random.next())),
            random,
            config,
            history: History::new(),
            process: 0,
            counts: Counts::default(),
            fired: Fired::default(),
            trace: blake3::Hasher::new(),
            damaged: false,
        }
    }

    fn run(mut self, steps: u64) -> Result<Outcome, String> {
        let mut left = steps;
        let mut contents = String::new();
        while left > 0 {
            let db = self.reopen()?;
            let taken = (1 + self.random.below(160)).min(left);
            left -= taken;
            self.live(&db, taken)?;
            contents = judge::digests(&db).unwrap_or_else(|error| format!("{:?}", error.kind()));
            if self.config.durability == Durability::InMemory {
                break;
            }
            self.end(db)?;
        }
        let fired = self.fired + self.machine.fired();
        self.trace.update(&self.machine.trace_digest());
        Ok(Outcome { counts: self.counts, fired, trace: self.trace.finalize().to_hex().to_string(), contents })
    }

    fn note(&mut self, what: impl std::fmt::Debug) {
        use std::fmt::Write as _;
        struct Hash<'h>(&'h mut blake3::Hasher);
        impl std::fmt::Write for Hash<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.update(text.as_bytes());
                Ok(())
            }
        }
        // Writing into a hash cannot fail.
        let _ = write!(Hash(&mut self.trace), "{what:?};");
    }

    /// Whether a class happens now that does not happen to the disk by itself.
    fn strikes(&mut self, class: FaultClass) -> bool {
        let one_in = self.plan.one_in(class);
        one_in > 0 && self.random.chance(1, one_in.into())
    }
}

/// The classes that make calls fail.
const FAILING: [FaultClass; 9] = [
    FaultClass::ReadError,
    FaultClass::WriteError,
    FaultClass::SyncError,
    FaultClass::SyncForgets,
    FaultClass::EmptyRead,
    FaultClass::EmptyWrite,
    FaultClass::FullAtCreate,
    FaultClass::FullAtWrite,
    FaultClass::QuotaAtWrite,
];

/// A third of all seeds meet no failing call at all, and each of the others half of the classes: a store that is poisoned
/// every hundred steps never comes to its tenth snapshot.
fn swarm(mut plan: Plan, random: &mut Random) -> Plan {
    let is_calm = random.chance(1, 3);
    for class in FAILING {
        if is_calm || random.chance(1, 2) {
            plan = plan.with(class, 0);
        }
    }
    for class in [FaultClass::Reordered, FaultClass::TornAtByte, FaultClass::LostName, FaultClass::ClockJump] {
        if random.chance(1, 8) {
            plan = plan.with(class, 0);
        }
    }
    plan
}
