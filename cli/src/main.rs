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
        return of_parser(&error.render().to_string()).report(true);
    }
    let _ = error.print();
    ExitCode::from(2)
}

/// What the parser says to a person, as one line each of message and advice. It names what is missing or possible in the lines behind
/// the first one, so that a program which is told the first line alone knows nothing.
fn of_parser(text: &str) -> Failure {
    let mut paragraphs = text.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let advice = paragraphs.filter(|paragraph| paragraph.starts_with("tip: ") || paragraph.starts_with("Usage: "));
    let advice = advice.chain(std::iter::once("`foldb --help` shows what can be asked".to_owned()));
    Failure::usage(message).hint(advice.collect::<Vec<_>>().join("; "))
}
