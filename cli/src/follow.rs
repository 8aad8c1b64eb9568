//! Following a store that another process writes to.
//!
//! Invariant: what was printed has left this process before it waits, so that whoever reads a pipe has it.

use std::{thread, time::Duration};

use clap::Args;
use foldb::Store;

use crate::{failure::Result, option, output::Output};

/// How the newest of a list is shown.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Begin with the last so many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = option::whole, allow_negative_numbers = true)]
    pub(crate) last: u64,
    /// Go on with what comes, until interrupted, or until whoever reads goes away
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = option::whole, allow_negative_numbers = true)]
    interval: u64,
}

impl TailArgs {
    /// Calls `print` once, and with `--follow` again whenever there is something new in the store.
    pub(crate) fn each_time(
        &self,
        store: &Store,
        output: &mut Output,
        mut print: impl FnMut(&mut Output) -> Result<()>,
    ) -> Result<()> {
        print(output)?;
        if !self.follow {
            return Ok(());
        }
        let mut seq = store.view().seq();
        loop {
            output.flush()?;
            thread::sleep(Duration::from_millis(self.interval.max(1)));
            let newest = store.refresh()?;
            if newest != seq {
                seq = newest;
                print(output)?;
            }
        }
    }
}
