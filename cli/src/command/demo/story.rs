//! How the demo tells what happens: a line for each step as soon as it is done, what is worth knowing below it, and how
//! long it took.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::{context::Context, failure::Result, output::Output, text};

/// The steps so far.
pub(super) struct Story {
    steps: Vec<Step>,
}

/// One step, as `--json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    name: &'static str,
    seconds: f64,
    details: Value,
}

/// What a step has to say: sentences for people, and the same for programs.
pub(super) struct Told {
    pub(super) sentences: Vec<String>,
    pub(super) details: Value,
}

/// Width of the column with the steps' names, so that the times stand below each other.
const NAME_WIDTH: usize = 58;

impl Story {
    pub(super) fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Does a step and tells about it. Only the step itself is timed.
    pub(super) fn step<T>(
        &mut self,
        context: &mut Context,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
        tell: impl FnOnce(&T, Duration) -> Told,
    ) -> Result<T> {
        let started = Instant::now();
        let result = work()?;
        let time = started.elapsed();
        let told = tell(&result, time);
        self.steps.push(Step { name, seconds: time.as_secs_f64(), details: told.details });
        if !context.output.is_json() {
            self.print(&mut context.output, name, time, &told.sentences)?;
        }
        Ok(result)
    }

    fn print(&self, output: &mut Output, name: &str, time: Duration, sentences: &[String]) -> Result<()> {
        let number = self.steps.len();
        output.line(format_args!("{number}. {name:<NAME_WIDTH$} {:>9}", text::duration(time)))?;
        for sentence in sentences {
            output.line(format_args!("   {sentence}"))?;
        }
        output.line("")?;
        // A person watches: each step shows when it is done.
        output.flush()
    }

    /// Time of all steps together.
    pub(super) fn total(&self) -> Duration {
        Duration::from_secs_f64(self.steps.iter().map(|step| step.seconds).sum())
    }

    /// The steps, for a program.
    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}
