//! `import`: JSON Lines into a run, an event each, and with `--key` a document each.
//!
//! Invariant: a batch and the position behind it are one transaction. So an import that was killed, or that met a
//! malformed line, goes on exactly behind what it has imported, and repeats nothing.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use foldb::{
    Durability, OsHost, Run, RunId, RunOptions, RunStatus, Store, TransactionOptions, limits::KEY_BYTES_MAX,
    primitive::EventBatch,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    context::Context,
    failure::{Failure, Result, Status},
    jsonl::Lines,
    option,
    progress::Progress,
    store, text, value,
};

/// Arguments of `foldb import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A file of JSON Lines; `-` reads standard input
    file: PathBuf,
    /// Name of the run; without it, the name of the file
    #[arg(long, conflicts_with = "resume")]
    name: Option<String>,
    /// The stream that gets an event for each line
    #[arg(long, default_value = "records")]
    stream: String,
    /// What sort of event they are
    #[arg(long, default_value = "record")]
    kind: String,
    /// Set a document for each line too, under the value of this field, which is text or a whole number: a name (id) or a
    /// JSON Pointer (/meta/id)
    #[arg(long, value_name = "FIELD")]
    key: Option<String>,
    /// Lines in a transaction, fewer where they are long
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = option::between(1, 100_000), allow_negative_numbers = true)]
    batch: u64,
    /// Go on with a run whose import was interrupted or failed, with the stream, kind and key that it began with
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    /// When a batch counts as written
    #[arg(long, value_enum, default_value_t = DurabilityArg::Relaxed)]
    durability: DurabilityArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DurabilityArg {
    /// In the memory of this process; everything is on stable media when the import ends
    Buffered,
    /// With the operating system; everything is on stable media when the import ends
    Relaxed,
    /// On stable media, batch by batch
    Strict,
}

/// The cell of the run that says how far the import has come.
const POSITION_CELL: &str = "import";

/// How far an import has come, and what it does with a line. Kept in the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Position {
    /// Lines read, blank ones included.
    line: u64,
    /// Records imported.
    records: u64,
    /// [`Lines::fingerprint`] of those lines; `None` before the first.
    fingerprint: Option<u64>,
    stream: String,
    kind: String,
    key: Option<String>,
}

/// What is printed at the end.
#[derive(Debug, Serialize)]
struct Imported {
    run: String,
    name: String,
    status: &'static str,
    records: u64,
    documents: u64,
    transactions: u64,
    /// Lines that an earlier import had done.
    skipped_lines: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: u64,
}

/// `foldb import`
pub(crate) fn run(args: &ImportArgs, context: &mut Context) -> Result<()> {
    // The input first: a mistyped file name, or a file of something else, should leave no store and no run behind.
    check_first_record(args)?;
    let mut lines = Lines::open(&args.file)?;
    let store = context.store.open_or_create_with(args.durability.durability())?;
    let result = import(args, &store, &mut lines);
    // What was imported must be on the medium whether the rest went well or not.
    store::close(store)?;
    let imported = result?;
    context.output.answer(&imported, imported.sentence())
}

/// Fails where the first line of a file is nothing that can be imported. What comes through a pipe is read once, later.
fn check_first_record(args: &ImportArgs) -> Result<()> {
    if args.resume.is_some() || !args.file.is_file() {
        return Ok(());
    }
    let mut lines = Lines::open(&args.file)?;
    Batch::default().read(&mut lines, &args.kind, args.key.as_deref()).map(drop)
}

fn import(args: &ImportArgs, store: &Store, lines: &mut Lines) -> Result<Imported> {
    let started = Instant::now();
    let (run, position) = match &args.resume {
        None => begin(args, store)?,
        Some(run) => resume(run, store, lines)?,
    };
    let skipped_lines = position.line;
    let mut importer = Importer { store, run: run.id(), position, imported: 0, transactions: 0 };
    if let Err(failure) = importer.import_all(lines, args.batch) {
        return Err(stopped(&run, importer.position.line, failure));
    }
    run.end()?;
    let info = run.info()?;
    let (records, seconds) = (importer.imported, started.elapsed());
    Ok(Imported {
        run: info.id.to_string(),
        name: info.name,
        status: info.status.name(),
        records,
        documents: if importer.position.key.is_some() { records } else { 0 },
        transactions: importer.transactions,
        skipped_lines,
        bytes: lines.bytes(),
        seconds: seconds.as_secs_f64(),
        records_per_second: text::rate(records, seconds),
    })
}

/// Begins the run, with a position at the start of the input.
fn begin<'a>(args: &ImportArgs, store: &'a Store) -> Result<(Run<'a>, Position)> {
    let stem = || args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let from_file = || if args.file == Path::new("-") { None } else { stem() };
    let name = args.name.clone().or_else(from_file).unwrap_or_else(|| String::from("import"));
    let position = Position {
        line: 0,
        records: 0,
        fingerprint: None,
        stream: args.stream.clone(),
        kind: args.kind.clone(),
        key: args.key.clone(),
    };
    let id = RunId::generate(&OsHost);
    let (options, start) = (RunOptions::named(name).id(id), position.to_value()?);
    // In one transaction: a run of an import always says how far it has come.
    store.transaction(|transaction| {
        let run = transaction.runs().begin(options.clone())?;
        run.state().set(POSITION_CELL, &start).map(drop)
    })?;
    Ok((store.runs().get(id)?, position))
}

/// Finds the run and its position, and reads over the lines that it has already.
fn resume<'a>(run: &str, store: &'a Store, lines: &mut Lines) -> Result<(Run<'a>, Position)> {
    let info = store::find_run(store, run)?;
    if info.status == RunStatus::Completed {
        let message = format!("the import of run {} is complete: there is nothing to resume", info.id);
        return Err(Failure::new(Status::Refused, "run_ended", message)
            .hint("import the file again without --resume for another run"));
    }
    let run = store.runs().get(info.id)?;
    let position = run.state().get::<foldb::value::Value>(POSITION_CELL)?;
    let position = position.and_then(|cell| Position::from_value(&cell.value)).ok_or_else(|| {
        Failure::usage(format!("run {} was not made by `foldb import`: it does not say how far it came", info.id))
    })?;
    lines.skip_to(position.line)?;
    let same = position.fingerprint.is_none_or(|fingerprint| fingerprint == lines.fingerprint());
    if lines.line() < position.line || !same {
        let message = format!(
            "{} does not begin with the {} that run {} has imported",
            lines.name(),
            text::counted(position.line, "line", "lines"),
            info.id
        );
        return Err(Failure::usage(message).hint("resume with the file that the import began with"));
    }
    if info.status != RunStatus::Active {
        run.resume()?;
    }
    Ok((run, position))
}

/// The run gets to know why its import has stopped; what was imported stays.
fn stopped(run: &Run<'_>, line: u64, failure: Failure) -> Failure {
    let message = failure.message().unwrap_or("the import was interrupted");
    // The store may be what has failed. Then the run stays open, and shows as orphaned.
    let _ = run.fail(message);
    let imported = match line {
        0 => String::from("nothing is imported yet"),
        line => format!("{} imported", text::counted(line, "line is", "lines are")),
    };
    failure.hint(format!("{imported}; once the input is right, go on with `foldb import FILE --resume {}`", run.id()))
}

/// An import on its way.
struct Importer<'a> {
    store: &'a Store,
    run: RunId,
    position: Position,
    imported: u64,
    transactions: u64,
}

impl Importer<'_> {
    /// Imports line after line. Where the input ends, or a line cannot be read, what is before it is committed first.
    fn import_all(&mut self, lines: &mut Lines, most: u64) -> Result<()> {
        let progress = Progress::new("importing", None);
        let mut batch = Batch::default();
        loop {
            match batch.read(lines, &self.position.kind, self.position.key.as_deref()) {
                Ok(true) => {
                    if batch.events.len() < most && batch.events.encoded_bytes() < BATCH_BYTES_MAX {
                        continue;
                    }
                    self.commit(&mut batch)?;
                    progress.set(self.imported);
                }
                end => {
                    self.commit(&mut batch)?;
                    return end.map(drop);
                }
            }
        }
    }

    /// One transaction: an event for each record, its document, and the position behind them.
    fn commit(&mut self, batch: &mut Batch) -> Result<()> {
        let Some((line, fingerprint)) = batch.end else { return Ok(()) };
        let mut position = self.position.clone();
        position.line = line;
        position.fingerprint = Some(fingerprint);
        position.records += batch.events.len();
        let cell = position.to_value()?;
        // Committed twice, by whatever accident, the batch still counts once.
        let once = format!("import {} up to line {line}", self.run);
        let options = TransactionOptions::new().idempotency_key(once);
        self.store.once_with(&options, |transaction| {
            let run = transaction.run(self.run)?;
            run.events().append_encoded(&position.stream, &batch.events)?;
            for (key, json) in &batch.documents {
                run.json().set(key, json)?;
            }
            run.state().set(POSITION_CELL, &cell).map(drop)
        })?;
        self.position = position;
        self.imported += batch.events.len();
        self.transactions += 1;
        batch.clear();
        Ok(())
    }
}

/// Encoded events with which a batch is committed, however few lines they are: a batch is held in memory.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What the lines of a transaction come to. Whatever is in it can be committed: a line of which that is not known is refused
/// when it is read, by its number.
#[derive(Default)]
struct Batch {
    events: EventBatch,
    documents: Vec<(String, Value)>,
    /// The last line, and [`Lines::fingerprint`] up to it.
    end: Option<(u64, u64)>,
}

impl Batch {
    /// Adds the next record; whether there was one.
    fn read(&mut self, lines: &mut Lines, kind: &str, key: Option<&str>) -> Result<bool> {
        let Some(json) = lines.next_value()? else { return Ok(false) };
        let key = key.map(|field| key_of(&json, field)).transpose();
        let key = key.map_err(|why| lines.located(Failure::usage(why)))?;
        // The bytes of a document are those of the value, so one that an event takes can be set as well.
        let pushed = value::from_json(&json).and_then(|value| self.events.push(kind, &value));
        pushed.map_err(|error| lines.located(error))?;
        if let Some(key) = key {
            self.documents.push((key, json));
        }
        self.end = Some((lines.line(), lines.fingerprint()));
        Ok(true)
    }

    fn clear(&mut self) {
        self.events.clear();
        self.documents.clear();
        self.end = None;
    }
}

/// The text of a record's key field: the member of that name, or what a JSON Pointer points at. A whole number is its digits; of
/// one with a fraction there are several ways to write it, which would be several keys.
fn key_of(record: &Value, field: &str) -> Result<String, String> {
    let found = if field.starts_with('/') { record.pointer(field) } else { record.get(field) };
    let key = match found {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if number.is_u64() || number.is_i64() => number.to_string(),
        Some(Value::Number(number)) => {
            return Err(format!(
                "the key field {field} holds {number}, a number with a fraction or exponent; a key is text or a whole number"
            ));
        }
        Some(other) => {
            return Err(format!("the key field {field} holds {}, not text or a whole number", json_type(other)));
        }
        None => return Err(format!("the record has no key field {field}")),
    };
    if key.len() > KEY_BYTES_MAX {
        let bytes = key.len();
        return Err(format!("the key field {field} holds {bytes} bytes; a key has at most {KEY_BYTES_MAX}"));
    }
    Ok(key)
}

const fn json_type(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Position {
    fn to_value(&self) -> Result<foldb::value::Value> {
        let json = serde_json::to_value(self)
            .map_err(|error| Failure::new(Status::System, "output", format!("the position of the import: {error}")))?;
        Ok(value::from_json(&json)?)
    }

    fn from_value(value: &foldb::value::Value) -> Option<Self> {
        serde_json::from_value(value::to_json(value)).ok()
    }
}

impl DurabilityArg {
    fn durability(self) -> Durability {
        match self {
            DurabilityArg::Buffered => Durability::buffered(),
            DurabilityArg::Relaxed => Durability::relaxed(),
            DurabilityArg::Strict => Durability::Strict,
        }
    }
}

impl Imported {
    /// For a person.
    fn sentence(&self) -> String {
        let documents = match self.documents {
            0 => String::new(),
            documents => format!(" and {}", text::counted(documents, "document", "documents")),
        };
        let skipped = match self.skipped_lines {
            0 => String::new(),
            lines => format!(", behind {} that it had", text::counted(lines, "line", "lines")),
        };
        format!(
            "imported {} into run {} ({}): {}{documents} in {}{skipped}\n{} in {}, {} records/s; the run is {}",
            text::counted(self.records, "record", "records"),
            self.name,
            self.run,
            text::counted(self.records, "event", "events"),
            text::counted(self.transactions, "transaction", "transactions"),
            text::size(self.bytes),
            text::duration(Duration::from_secs_f64(self.seconds)),
            text::count(self.records_per_second),
            self.status,
        )
    }
}
