//! `verify`: everything that the store says of itself, checked against its bytes.

use std::ops::ControlFlow;

use clap::Args;
use serde_json::json;

use crate::{
    command::Context,
    failure::{Failure, Result},
    progress::Progress,
    text,
};

/// Arguments of `foldb verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {}

/// `foldb verify`
pub(crate) fn run(_: &VerifyArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let bar = Progress::new("verifying", Some(0));
    let report = store.verify(&mut |progress| {
        bar.show(&progress);
        ControlFlow::Continue(())
    })?;
    drop(bar);
    if context.output.is_json() {
        let mut record = json!(report);
        record["ok"] = json!(report.is_ok());
        context.output.record(&record)?;
    } else {
        context.output.fields(&[
            (
                "log",
                format!(
                    "{} in {}",
                    text::counted(report.records, "transaction", "transactions"),
                    text::counted(report.segments, "segment", "segments")
                ),
            ),
            ("snapshots", text::count(report.snapshots)),
            (
                "replayed",
                format!(
                    "{} with {}, compared with {}",
                    text::counted(report.spaces, "space", "spaces"),
                    text::counted(report.transactions, "transaction", "transactions"),
                    text::counted(report.entries, "live entry", "live entries"),
                ),
            ),
            ("values in the log", text::count(report.values)),
            ("chained events", text::count(report.events)),
        ])?;
        for violation in &report.violations {
            context.output.line(format_args!("! {}: {}", violation.place, violation.what))?;
        }
        context.output.line(if report.is_ok() { "nothing is wrong" } else { "the store is damaged" })?;
    }
    if report.is_ok() { Ok(()) } else { Err(Failure::Negative) }
}
