//! Running a scenario under many schedules, and one schedule again.

use std::panic::{self, AssertUnwindSafe};

use shuttle::{
    Config, FailurePersistence, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler},
};

use super::Scenario;

/// A schedule under which something does not hold. Its text was printed when it was found, unless asked otherwise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which scheduler came to it.
    pub scheduler: &'static str,
    /// What did not hold.
    pub what: String,
}

/// So many changes of priority are enough for nearly every bug that anybody has reported (the paper on PCT has figures).
const PCT_DEPTHS: [usize; 3] = [2, 3, 5];

/// How a scenario is run: with room for deep calls, and with an end to every execution.
fn config(print: bool) -> Config {
    let mut config = Config::new();
    config.stack_size = 512 << 10;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    config.failure_persistence = if print { FailurePersistence::Print } else { FailurePersistence::None };
    config
}

fn run(scenario: &Scenario, scheduler: impl Scheduler + 'static, print: bool) -> Result<usize, String> {
    let runner = Runner::new(scheduler, config(print));
    let run = scenario.run;
    panic::catch_unwind(AssertUnwindSafe(|| runner.run(run))).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").into()
    })
}

/// Runs a scenario under `iterations` schedules that follow from `seed`: half of them random at every turn, the others by
/// priorities that change a few times, which finds what needs one thread to be slow for long. Returns how many were run.
///
/// With `print`, the text of a schedule that fails goes to standard error, for [`replay`].
pub fn explore(scenario: &Scenario, seed: u64, iterations: usize, print: bool) -> Result<usize, Failure> {
    let failure = |scheduler| move |what| Failure { scheduler, what };
    let random = RandomScheduler::new_from_seed(seed, iterations.div_ceil(2));
    let mut done = run(scenario, random, print).map_err(failure("random"))?;
    let share = (iterations / 2).div_ceil(PCT_DEPTHS.len());
    for depth in PCT_DEPTHS {
        let pct = PctScheduler::new_from_seed(seed.wrapping_add(depth as u64), depth, share);
        done += run(scenario, pct, print).map_err(failure("pct"))?;
    }
    Ok(done)
}

/// Runs one schedule again, from the text that was printed when it failed.
pub fn replay(scenario: &Scenario, schedule: &str) -> Result<(), Failure> {
    let scheduler = ReplayScheduler::new_from_encoded(schedule.trim());
    run(scenario, scheduler, true).map(drop).map_err(|what| Failure { scheduler: "replay", what })
}

/// Whether a scenario depends on the schedule and on nothing else: each of some schedules is run twice, and both times
/// the same threads can go on at every turn.
pub fn repeats(scenario: &Scenario, seed: u64, iterations: usize) -> Result<(), Failure> {
    let scheduler = UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new_from_seed(seed, iterations));
    run(scenario, scheduler, true).map(drop).map_err(|what| Failure { scheduler: "twice", what })
}
