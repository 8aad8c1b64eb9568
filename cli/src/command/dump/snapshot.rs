//! Snapshots: what they are of, and what is in them.

use std::ops::ControlFlow;

use foldb::{
    internal::snapshot,
    internal::state::{DEFAULT_SPACE, State, entry_kind, readable_tree_key, split_expiry},
    internal::tree::{Direction, KeyRange, NoPages},
    storage::{StorageError, StorageFile},
};
use serde_json::json;

use super::{DumpArgs, StoreFile, problem};
use crate::{failure::Result, output::Output, text};

/// Prints one snapshot. It is read and checked whole; one that does not hold is named, and why.
pub(super) fn dump(file: &StoreFile, args: &DumpArgs, output: &mut Output) -> Result<()> {
    file.heading(output, "snapshot")?;
    let bytes = InMemory(file.read()?);
    let verified = snapshot::verify(&bytes, &file.name);
    let loaded = verified.and_then(|info| snapshot::load_resident(&bytes, &file.name).map(|loaded| (info, loaded)));
    let (info, (state, meta)) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return problem(file, 0, &error.to_string(), output),
    };
    if output.is_json() {
        output.record(&json!({
            "file": file.name,
            "store_id": meta.store.to_string(),
            "generation": meta.generation,
            "epoch": meta.epoch,
            "seq": meta.seq,
            "time_micros": meta.time_micros,
            "log": meta.log.map(|at| json!({ "segment": at.segment, "offset": at.offset })),
            "pages": info.pages,
            "entries": info.entries,
            "bytes": info.bytes,
        }))?;
    } else {
        let log =
            meta.log.map_or_else(|| String::from("none"), |at| format!("segment {}, offset {}", at.segment, at.offset));
        output.fields(&[
            ("  store", meta.store.to_string()),
            ("  generation", format!("{}, written by opening {}", meta.generation, meta.epoch)),
            ("  state of", format!("seq {}", meta.seq)),
            ("  taken", text::time(meta.time_micros)),
            ("  log goes on at", log),
            (
                "  holds",
                format!(
                    "{} in {}",
                    text::counted(info.entries, "entry", "entries"),
                    text::counted(info.pages, "page", "pages")
                ),
            ),
        ])?;
        output.line(format_args!("  {:>8}  {:<36}  {:<10} {:>9}  {}", "SPACE", "RUN", "STATUS", "ENTRIES", "NAME"))?;
    }
    for number in std::iter::once(DEFAULT_SPACE).chain(state.run_numbers()) {
        space(file, &state, number, meta.epoch, args, output)?;
    }
    if output.is_json() { Ok(()) } else { output.line("") }
}

/// One space of the snapshot, and with `--ops` its entries.
fn space(file: &StoreFile, state: &State, number: u32, epoch: u64, args: &DumpArgs, output: &mut Output) -> Result<()> {
    let Some(space) = state.space(number) else { return Ok(()) };
    let run = state.run_info(number, epoch);
    let entries = space.tree().len();
    if output.is_json() {
        output.record(&json!({
            "file": file.name,
            "space": number,
            "run": run.as_ref().map(|run| run.id.to_string()),
            "name": run.as_ref().map(|run| &run.name),
            "status": run.as_ref().map(|run| run.status.name()),
            "entries": entries,
        }))?;
    } else {
        let (id, status, name) = match &run {
            Some(run) => (run.id.to_string(), run.status.name(), run.name.as_str()),
            None => (String::from("default space"), "", ""),
        };
        output.line(format!("  {number:>8}  {id:<36}  {status:<10} {:>9}  {name}", text::count(entries)).trim_end())?;
    }
    if args.ops { print_entries(file, state, number, output) } else { Ok(()) }
}

fn print_entries(file: &StoreFile, state: &State, number: u32, output: &mut Output) -> Result<()> {
    let Some(space) = state.space(number) else { return Ok(()) };
    let mut printed = Ok(());
    space.tree().visit(&KeyRange::all(), Direction::Forward, &NoPages, &mut |key, entry| {
        let (key, bytes) = (readable_tree_key(key), entry.value.len());
        let (inner, expires) = split_expiry(entry);
        printed = if output.is_json() {
            output.record(&json!({
                "file": file.name, "space": number, "entry": key, "seq": entry.seq, "entry_bytes": bytes,
                "in_log": inner.kind != entry_kind::INLINE, "expires_micros": expires,
            }))
        } else {
            let place = if inner.kind == entry_kind::INLINE { "here" } else { "in the log" };
            let until = expires.map_or_else(String::new, |micros| format!(", until {}", text::time(micros)));
            output.line(format_args!("              seq {:<8} {key}  ({bytes} bytes, {place}{until})", entry.seq))
        };
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    printed
}

/// A file that is read already. Nothing can be written to it, whatever is asked.
struct InMemory(Vec<u8>);

impl StorageFile for InMemory {
    fn len(&self) -> Result<u64, StorageError> {
        Ok(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
        Err(read_only("writing"))
    }

    fn set_len(&self, _: u64) -> Result<(), StorageError> {
        Err(read_only("changing the length of"))
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

fn read_only(action: &'static str) -> StorageError {
    StorageError::Denied { name: String::from("a dumped file"), action }
}
