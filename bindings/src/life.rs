//! Runs: what begins, ends and describes them.
//!
//! Invariant: a change of a run's life is one function over a transaction, whether it commits on its own or is part of one.

use foldb_core::{
    Db, Error, Receipt, Result, RunFilter, RunId, RunInfo, RunOptions, RunStatus, Transaction, host::Host,
};

use crate::{
    access::{Target, commit_with},
    host::JsHost,
    operation::Operation,
    platform::PlatformStorage,
    together::Together,
    wire::{Input, Output, malformed},
};

/// What is to be done with a run.
enum Change<'a> {
    Begin(RunOptions),
    End { how: u8, message: Option<&'a str> },
    Resume,
    Label { key: &'a str, value: Option<&'a str> },
    Metadata(foldb_core::value::Value),
    Delete,
}

/// Everything that has to do with runs.
pub(crate) fn runs(
    operation: Operation,
    target: Target<'_>,
    together: &Together,
    input: &mut Input<'_>,
    out: &mut Output,
) -> Result<()> {
    if operation == Operation::RunList {
        return list(target, input, out);
    }
    if operation == Operation::RunBegin {
        let (id, options) = begin(input)?;
        out.0.extend_from_slice(&id.to_bytes());
        return change(target, together, id, &Change::Begin(options), out);
    }
    if operation == Operation::RunBeginOrGet {
        return begin_or_get(target, together, input, out);
    }
    let id = input.run()?;
    let wanted = match operation {
        Operation::RunInfo => {
            let found = match target {
                Target::Store(db) => db.runs().info(id)?,
                Target::Transaction(transaction) => transaction.runs().info(id)?,
                Target::View(view) => view.run_info(id)?,
            };
            return info(&found, out);
        }
        Operation::RunEnd => Change::End { how: input.u8()?, message: input.optional(Input::text)? },
        Operation::RunResume => Change::Resume,
        Operation::RunSetLabel => Change::Label { key: input.text()?, value: input.optional(Input::text)? },
        Operation::RunSetMetadata => Change::Metadata(input.value()?),
        _ => Change::Delete,
    };
    input.finish()?;
    change(target, together, id, &wanted, out)
}

fn begin(input: &mut Input<'_>) -> Result<(RunId, RunOptions)> {
    let options = RunOptions::named(input.text()?);
    // Chosen here, before the transaction, so that a transaction that runs again begins the same run.
    let id = match input.optional(Input::run)? {
        Some(id) => id,
        None => RunId::generate(&JsHost as &dyn Host),
    };
    Ok((id, described(options.id(id), input)?))
}

/// The run of a key: begun now, or the one that there is.
fn begin_or_get(target: Target<'_>, together: &Together, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let (key, name) = (input.bytes()?, input.text()?);
    let options = described(RunOptions::named(name), input)?;
    let Target::Store(db) = target else {
        return Err(Error::Unsupported { what: "the run of a key", why: "it is begun, or found, by the store".into() });
    };
    let id = RunId::of_key(db.id(), key);
    out.0.extend_from_slice(&id.to_bytes());
    match db.runs().get(id) {
        // Whoever began it may have done so in this message: the answers leave after the sync of all of it.
        Ok(_) => Ok(()),
        Err(_) => change(target, together, id, &Change::Begin(options.id(id)), out),
    }
}

/// What is said of a run that begins, behind its name and id.
fn described(mut options: RunOptions, input: &mut Input<'_>) -> Result<RunOptions> {
    if let Some(parent) = input.optional(Input::run)? {
        options = options.parent(parent);
    }
    for (key, value) in input.list(|input| Ok((input.text()?, input.text()?)))? {
        options = options.label(key, value);
    }
    Ok(options.metadata(input.last(Input::value)?))
}

fn change(target: Target<'_>, together: &Together, id: RunId, change: &Change<'_>, out: &mut Output) -> Result<()> {
    match target {
        Target::Store(db) => {
            let done = commit_with(db, together, &mut |transaction| apply(transaction, id, change))?;
            receipt(&done, out);
            Ok(())
        }
        Target::Transaction(transaction) => apply(transaction, id, change),
        Target::View(_) => Err(Error::Unsupported { what: "a write", why: "this is a view of one version".into() }),
    }
}

fn apply(transaction: &Transaction<'_, PlatformStorage>, id: RunId, change: &Change<'_>) -> Result<()> {
    let runs = transaction.runs();
    match change {
        Change::Begin(options) => runs.begin(options.clone()).map(|_| ())?,
        Change::End { how: 0, message } => runs.end(id, message.map(String::from))?,
        Change::End { how: 1, message } => runs.fail(id, message.unwrap_or_default().into())?,
        Change::End { how: 2, message } => runs.cancel(id, message.unwrap_or_default().into())?,
        Change::End { .. } => return Err(malformed("an unknown way to end a run")),
        Change::Resume => runs.resume(id)?,
        Change::Label { key, value } => runs.set_label(id, (*key).into(), value.map(String::from))?,
        Change::Metadata(metadata) => runs.set_metadata(id, metadata.clone())?,
        Change::Delete => runs.delete(id)?,
    }
    Ok(())
}

pub(crate) fn receipt(receipt: &Receipt, out: &mut Output) {
    out.number(receipt.seq);
    out.flag(receipt.durable);
    out.flag(receipt.deduplicated);
    out.count(receipt.appended.len());
    for appended in &receipt.appended {
        out.optional(appended.run, |out, run| out.0.extend_from_slice(&run.to_bytes()));
        out.bytes(&appended.stream);
        out.number(appended.first_seq);
        out.number(appended.count);
    }
}

fn list(target: Target<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let filter = filter(input)?;
    let found = match target {
        Target::Store(db) => by_filter(db, &filter)?,
        Target::View(view) => view.runs(),
        Target::Transaction(_) => {
            return Err(Error::Unsupported {
                what: "a list of runs in a transaction",
                why: "it would conflict with every run that begins; list them outside".into(),
            });
        }
    };
    out.count(found.len());
    found.iter().try_for_each(|found| info(found, out))
}

fn by_filter(db: &Db<PlatformStorage>, filter: &RunFilter) -> Result<Vec<RunInfo>> {
    db.runs().list(filter)
}

fn filter(input: &mut Input<'_>) -> Result<RunFilter> {
    let mut filter = RunFilter::all();
    if let Some(status) = input.optional(Input::u8)? {
        filter = filter.status(match status {
            0 => RunStatus::Active,
            1 => RunStatus::Orphaned,
            2 => RunStatus::Completed,
            3 => RunStatus::Failed,
            4 => RunStatus::Cancelled,
            _ => return Err(malformed("an unknown status")),
        });
    }
    if let Some(name) = input.optional(Input::text)? {
        filter = filter.name(name);
    }
    if let Some(parent) = input.optional(Input::run)? {
        filter = filter.parent(parent);
    }
    for (key, value) in input.list(|input| Ok((input.text()?, input.text()?)))? {
        filter = filter.label(key, value);
    }
    if let Some(after) = input.optional(Input::number)? {
        // No run has a number that large.
        filter = filter.after(u32::try_from(after).unwrap_or(u32::MAX));
    }
    if let Some(limit) = input.optional(Input::number)? {
        filter = filter.limit(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(if input.flag()? { filter.newest_first() } else { filter })
}

fn info(info: &RunInfo, out: &mut Output) -> Result<()> {
    out.0.extend_from_slice(&info.id.to_bytes());
    out.u32(info.number);
    out.text(&info.name);
    out.text(info.status.name());
    out.optional(info.parent, |out, parent| out.0.extend_from_slice(&parent.to_bytes()));
    out.count(info.labels.len());
    for (key, value) in &info.labels {
        out.text(key);
        out.text(value);
    }
    out.value(&info.metadata)?;
    out.number(info.began_micros);
    out.optional(info.ended_micros, Output::number);
    out.optional(info.message.as_deref(), Output::text);
    out.u32(info.resumed);
    for number in [info.first_seq, info.last_seq, info.commits] {
        out.number(number);
    }
    Ok(())
}
