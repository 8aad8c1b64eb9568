//! `verify`: everything that the store says of itself, checked against its bytes.

use std::ops::ControlFlow;

use clap::Args;
use foldb::{Store, Verification, VerifyReport};
use serde_json::json;

use crate::{
    context::Context,
    failure::{Failure, Result},
    output::Output,
    progress::Progress,
    text,
};

/// Arguments of `foldb verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {}

/// `foldb verify`
pub(crate) fn run(_: &VerifyArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let mut verification = store.begin_verification()?;
    let verified = verify(&store, &mut verification);
    let report = verification.into_report();
    if let Err(failure) = verified {
        // Whoever has to find out what is wrong with a machine wants to know what was found before it failed.
        if !context.output.is_json() {
            violations(&report, &store, &mut context.output)?;
        }
        return Err(failure.hint(
            "this says nothing about the store: the system did not let all of it be read; mend that and verify again",
        ));
    }
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
        violations(&report, &store, &mut context.output)?;
        context.output.line(if report.is_ok() { "nothing is wrong" } else { "the store is damaged" })?;
    }
    if report.is_ok() { Ok(()) } else { Err(Failure::Negative) }
}

fn verify(store: &Store, verification: &mut Verification) -> Result<()> {
    let bar = Progress::new("verifying", Some(0));
    while verification.next_step().is_some() {
        store.verify_step(verification, &mut |progress| {
            bar.show(&progress);
            ControlFlow::Continue(())
        })?;
    }
    Ok(())
}

fn violations(report: &VerifyReport, store: &Store, output: &mut Output) -> Result<()> {
    let runs = store.view().runs();
    // The store knows runs by number, a person by name.
    let name = |number: u32| {
        let run = runs.iter().find(|run| run.number == number)?;
        Some(format!(" ({}, {})", text::shortened(&run.name, 40), run.id))
    };
    report.violations.iter().try_for_each(|violation| {
        let name = violation.run.and_then(name).unwrap_or_default();
        output.line(format_args!("! {}{name}: {}", violation.place, violation.what))
    })
}
