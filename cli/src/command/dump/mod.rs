//! `dump`: the files of a store in readable form.
//!
//! Invariant: it reads files and nothing else. It neither takes the store's lock nor writes, so it works on a store that
//! is in use, and on one that is too damaged to open. What a running writer is changing may look damaged. Only the names of
//! runs come from the store itself, where it opens.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use foldb::{
    RunInfo,
    internal::{
        log::{ANCHOR_NAMES, Anchor, Op, parse_segment_name, parse_snapshot_name},
        state::DEFAULT_SPACE,
    },
};
use serde_json::json;

use crate::{
    context::Context,
    failure::{Failure, Result, Status},
    option,
    output::Output,
    store, text,
};

mod operation;
mod segment;
mod snapshot;

/// Arguments of `foldb dump`.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// Only this file of the store; without it, all of them
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Print the operations of each transaction, and the entries of snapshots
    #[arg(long)]
    ops: bool,
    /// Only operations on this key, and the transactions that have them: a key of any primitive, a stream, or the id of a run
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// KEY is hexadecimal digits, for keys that are not text
    #[arg(long, requires = "key")]
    hex_key: bool,
    /// Only operations in this run, by id, by the beginning of its id, or by name; the store has to open for that
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only transactions from this seq on
    #[arg(long, value_name = "SEQ", default_value_t = 0, value_parser = option::whole, allow_negative_numbers = true)]
    from: u64,
    /// Only transactions up to this seq
    #[arg(long, value_name = "SEQ", default_value_t = u64::MAX, hide_default_value = true, value_parser = option::whole, allow_negative_numbers = true)]
    to: u64,
}

/// `foldb dump`
pub(crate) fn run(args: &DumpArgs, context: &mut Context) -> Result<()> {
    context.store.check_there()?;
    if args.from > args.to {
        return Err(Failure::usage(format!("--from {} is behind --to {}: nothing lies between", args.from, args.to)));
    }
    if !context.store.path.is_dir() {
        let message =
            format!("{} is not a foldb store: it is not a directory; a store is one", context.store.path.display());
        return Err(
            Failure::new(Status::Usage, "not_a_store", message).hint("name the store with --store DIR or FOLDB_STORE")
        );
    }
    let files = files(&context.store.path)?;
    if let Some(missing) = args.files.iter().find(|wanted| files.iter().all(|file| file.name != **wanted)) {
        return Err(Failure::new(Status::Usage, "not_found", format!("the store has no file {missing}")));
    }
    let wanted = |file: &StoreFile| args.files.is_empty() || args.files.contains(&file.name);
    let valid_lengths = segment::valid_lengths(&files);
    let wanted_operations = Wanted::new(args, context)?;
    for file in files.iter().filter(|file| wanted(file)) {
        let output = &mut context.output;
        match file.kind {
            Kind::Segment(number) => {
                segment::dump(file, valid_lengths.get(&number).copied(), &wanted_operations, output)?;
            }
            _ if wanted_operations.is_some_only() => {}
            Kind::Anchor => anchor(file, output)?,
            Kind::Snapshot => snapshot::dump(file, args, output)?,
            Kind::Foreign => foreign(file, output)?,
        }
    }
    Ok(())
}

/// Which operations are printed, and what the runs are called that they are in.
struct Wanted<'a> {
    args: &'a DumpArgs,
    key: Option<Vec<u8>>,
    space: Option<u32>,
    /// Runs by number. Empty where the store does not open: then numbers have to do.
    runs: BTreeMap<u32, RunInfo>,
}

impl<'a> Wanted<'a> {
    fn new(args: &'a DumpArgs, context: &Context) -> Result<Self> {
        let key = args.key.as_ref().map(|key| text::key(key, args.hex_key)).transpose()?;
        // Only operations are in runs. What does not open, or takes long to, is what one dumps.
        let (space, runs) = match &args.run {
            Some(run) => {
                let store = context.store.open_to_look()?;
                (Some(store::find_run(&store, run)?.number), store.view().runs())
            }
            None if args.ops || key.is_some() => {
                (None, context.store.open_to_look().map(|store| store.view().runs()).unwrap_or_default())
            }
            None => (None, Vec::new()),
        };
        Ok(Wanted { args, key, space, runs: runs.into_iter().map(|run| (run.number, run)).collect() })
    }

    /// Whether only some operations are wanted, and nothing that is not one.
    const fn is_some_only(&self) -> bool {
        self.key.is_some() || self.space.is_some()
    }

    fn has(&self, space: u32, op: &Op<'_>) -> bool {
        self.space.is_none_or(|wanted| wanted == space)
            && self.key.as_ref().is_none_or(|key| op.key == key.as_slice() || operation::is_of_run(op, key))
    }

    /// What a space is called.
    fn name(&self, space: u32) -> String {
        match self.runs.get(&space) {
            Some(run) => format!("run {}", text::shortened(&run.name, 24)),
            None if space == DEFAULT_SPACE => String::from("default space"),
            None => format!("space {space}"),
        }
    }
}

/// One file of the store's directory.
struct StoreFile {
    name: String,
    path: PathBuf,
    kind: Kind,
    bytes: u64,
}

/// What a file is, by its name. The order is the order of printing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Anchor,
    Snapshot,
    Segment(u64),
    Foreign,
}

impl StoreFile {
    fn read(&self) -> Result<Vec<u8>> {
        fs::read(&self.path).map_err(|error| Failure::io("reading", &self.path, &error))
    }

    /// The heading of the file's part, for a person.
    fn heading(&self, output: &mut Output, what: &str) -> Result<()> {
        if output.is_json() {
            return Ok(());
        }
        output.line(format_args!("{}  {what}, {}", self.name, text::size(self.bytes)))
    }
}

/// The files of a store's directory: anchors, snapshots, segments, the rest. A directory in which nothing is a store's
/// is not a store.
fn files(directory: &Path) -> Result<Vec<StoreFile>> {
    let failed = |error| Failure::io("listing", directory, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = entry.metadata().map_err(failed)?;
        files.push(StoreFile { kind: kind(&name), path: entry.path(), bytes: metadata.len(), name });
    }
    if files.iter().all(|file| file.kind == Kind::Foreign) {
        let message = format!("{} is not a foldb store: no file in it is a store's", directory.display());
        return Err(
            Failure::new(Status::Usage, "not_a_store", message).hint("name the store with --store DIR or FOLDB_STORE")
        );
    }
    files.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(files)
}

fn kind(name: &str) -> Kind {
    if ANCHOR_NAMES.contains(&name) {
        Kind::Anchor
    } else if let Some(number) = parse_segment_name(name) {
        Kind::Segment(number)
    } else if parse_snapshot_name(name).is_some() {
        Kind::Snapshot
    } else {
        Kind::Foreign
    }
}

fn anchor(file: &StoreFile, output: &mut Output) -> Result<()> {
    file.heading(output, "anchor")?;
    let anchor = match Anchor::decode(&file.name, &file.read()?) {
        Ok(Some(anchor)) => anchor,
        Ok(None) => return problem(file, 0, "not a whole anchor; an interrupted write leaves this", output),
        Err(error) => return problem(file, 0, &error.to_string(), output),
    };
    if output.is_json() {
        return output.record(&json!({
            "file": file.name,
            "store_id": anchor.store.to_string(),
            "counter": anchor.counter,
            "newest_segment": anchor.newest_segment,
            "oldest_segment": anchor.oldest_segment,
            "newest_snapshot": anchor.newest_snapshot,
            "proven_seq": anchor.proven_seq,
            "end": anchor.end.map(|end| end.offset),
        }));
    }
    output.fields(&[
        ("  store", anchor.store.to_string()),
        ("  counter", anchor.counter.to_string()),
        ("  segments", format!("{} to {}", anchor.oldest_segment, anchor.newest_segment)),
        (
            "  snapshot",
            anchor.newest_snapshot.map_or_else(|| String::from("none"), |generation| generation.to_string()),
        ),
        ("  durable up to", format!("seq {}", anchor.proven_seq)),
        ("  log ends at", anchor.end.map_or_else(|| String::from("not said"), |end| format!("offset {}", end.offset))),
    ])?;
    output.line("")
}

fn foreign(file: &StoreFile, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.record(&json!({ "file": file.name, "bytes": file.bytes }));
    }
    file.heading(output, "not part of the log or a snapshot")?;
    output.line("")
}

/// Something that cannot be read, in its place.
fn problem(file: &StoreFile, offset: u64, what: &str, output: &mut Output) -> Result<()> {
    if output.is_json() {
        return output.record(&json!({ "file": file.name, "offset": offset, "problem": what }));
    }
    output.line(format_args!("  {offset:>10}  ! {what}"))
}
