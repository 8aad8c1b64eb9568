//! The `foldb` program: puts data into stores, looks at what is there, and shows that a store keeps its promises.
//!
//! One file per command under `command/`. Above them: [`cli`] (what can be typed). Below them, for all to use: [`context`] (what
//! every command takes), [`report`] (what several commands tell), [`store`] (opening a store, naming runs), [`option`],
//! [`page`] (which part of a list), [`follow`] (what comes later), [`input`] and [`jsonl`] (what is read), [`output`], [`text`], [`value`] and [`progress`] (what is shown), [`failure`] (how it ends).

mod cli;
mod command;
mod context;
mod failure;
mod follow;
mod input;
mod jsonl;
mod option;
mod output;
mod page;
mod progress;
mod report;
mod store;
mod text;
mod value;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{cli::Cli, context::Context, failure::Failure};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let json = cli.global.json;
    let mut context = Context::new(&cli.global);
    let result = cli::run(&cli.command, &mut context).and_then(|()| context.output.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was printed before the failure belongs to the answer.
            let _ = context.output.flush();
            failure.report(json)
        }
    }
}

/// Help and version are answers on standard output; everything else that the parser says is a usage error, in the form
/// that was asked for even though the command line could not be read.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to tell when standard output is closed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        return Failure::usage(message).hint("`foldb --help` shows what can be asked").report(true);
    }
    let _ = error.print();
    ExitCode::from(2)
}
