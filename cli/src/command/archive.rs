//! `export` and `import-store`: a store as one file, and a store from one.
//!
//! Invariant: a file under the name that was asked for is a whole archive. It is written under another name beside it,
//! synced, and renamed when it is complete. Where an archive goes to standard output, nothing else does.

use std::{
    fs::{self, File},
    io::{self, BufReader, IsTerminal, Read, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use foldb::{ErrorKind, FsStorage};
use foldb_archive::{ArchiveError, ClosedStore, Exported, Imported, export, import};
use serde_json::{Value, json};

use crate::{
    context::Context,
    failure::{Failure, Result, Status},
    progress::Progress,
    store::{self, Location},
    text,
};

/// Arguments of `foldb export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    source: PathBuf,
    /// The archive to write, a plain tar; `-` writes to standard output
    file: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// Arguments of `foldb import-store`.
#[derive(Debug, Args)]
pub(crate) struct ImportStoreArgs {
    /// The archive to read; `-` reads standard input
    file: PathBuf,
    /// The directory of the new store: one that is not there yet, or an empty one
    #[arg(value_name = "STORE")]
    target: PathBuf,
}

/// What stands for standard input and output.
const DASH: &str = "-";

/// `foldb export`
pub(crate) fn export_store(args: &ExportArgs, context: &mut Context) -> Result<()> {
    let source = Location { path: args.source.clone(), recovery: context.store.recovery };
    store::check_there(&source.path).map_err(|failure| failure.hint("STORE is the directory of a store"))?;
    let to_stdout = args.file.as_os_str() == DASH;
    if to_stdout && io::stdout().is_terminal() {
        return Err(Failure::usage("an archive is nothing for a terminal").hint("name a file, or pipe it somewhere"));
    }
    if !to_stdout && args.file.is_dir() {
        return Err(
            Failure::usage(format!("{} is a directory", args.file.display())).hint("FILE is the archive to write")
        );
    }
    if !to_stdout && !args.force && args.file.exists() {
        let message = format!("{} exists already", args.file.display());
        return Err(Failure::new(Status::Usage, "exists", message).hint("--force writes over it"));
    }
    let begin = Instant::now();
    let exported = if to_stdout {
        let mut stdout = io::stdout().lock();
        write_archive(&source, &mut stdout).and_then(|exported| {
            stdout.flush().map_err(|error| stdout_failure(&error))?;
            Ok(exported)
        })?
    } else {
        write_file(&source, &args.file)?
    };
    let mut record = json!({
        "store": exported.manifest.store().map(|id| id.to_string()),
        "seq": exported.manifest.seq(),
        "files": exported.manifest.files().len(),
        "bytes": exported.bytes,
    });
    timed(&mut record, exported.bytes, begin.elapsed());
    let sentence = format!(
        "exported {}, up to seq {}: {} in {}",
        text::counted(exported.manifest.files().len() as u64, "file", "files"),
        exported.manifest.seq(),
        text::size(exported.bytes),
        text::duration(begin.elapsed()),
    );
    if !to_stdout {
        return context.output.answer(&record, sentence);
    }
    // Standard output is the archive.
    let answer = if context.output.is_json() { record.to_string() } else { sentence };
    let _ = writeln!(io::stderr(), "{answer}");
    Ok(())
}

/// Reads the store without its lock: what is exported is what is whole in it now, also while another process writes. In salvage it is all
/// that the files have, damage included: whoever asks for that wants a copy before anything else is done to them.
fn write_archive(source: &Location, writer: &mut impl Write) -> Result<Exported> {
    let bar = Progress::bytes("store");
    let mut show = |progress: foldb::Progress| {
        bar.show(&progress);
        ControlFlow::Continue(())
    };
    let store = match source.open_read_only() {
        Ok(store) => store,
        // Nothing was ever committed: an archive of nothing, if that is what it is.
        Err(error) if error.kind() == ErrorKind::NotAStore => {
            let empty = ClosedStore::new(FsStorage::open_read_only(&source.path)?, &mut show).map_err(|_| error)?;
            return Ok(export(empty, writer, &mut show)?);
        }
        Err(error) => return Err(error.into()),
    };
    Ok(export(store.checkpoint()?, writer, &mut show)?)
}

/// Writes beside the file and renames. What is left of a failed attempt is removed.
fn write_file(source: &Location, path: &Path) -> Result<Exported> {
    let mut name = path.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = File::create(&part).map_err(|error| Failure::io("creating", &part, &error)).and_then(|mut file| {
        let exported = write_archive(source, &mut file)?;
        file.sync_all().map_err(|error| Failure::io("syncing", &part, &error))?;
        Ok(exported)
    });
    let renamed = written.and_then(|exported| {
        fs::rename(&part, path).map_err(|error| Failure::io("renaming", &part, &error))?;
        Ok(exported)
    });
    if renamed.is_err() {
        let _ = fs::remove_file(&part);
    }
    renamed
}

/// `foldb import-store`
pub(crate) fn import_store(args: &ImportStoreArgs, context: &mut Context) -> Result<()> {
    let begin = Instant::now();
    let from_stdin = args.file.as_os_str() == DASH;
    // Opened before the directory is made: a mistyped name makes nothing.
    let reader: Box<dyn Read> = if from_stdin {
        Box::new(io::stdin().lock())
    } else {
        if args.file.is_dir() {
            let message = format!("{} is a directory, not an archive", args.file.display());
            return Err(Failure::usage(message).hint("`foldb export STORE FILE` makes an archive of a store"));
        }
        let file = File::open(&args.file).map_err(|error| Failure::io("opening", &args.file, &error))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    let length = fs::metadata(&args.file).ok().filter(|_| !from_stdin).map_or(0, |metadata| metadata.len());
    store::leads_somewhere(&args.target)?;
    let storage = FsStorage::open(&args.target, true)?;
    let bar = Progress::bytes("archive");
    let (imported, storage) = import(storage, reader, &mut |mut progress| {
        if progress.phase == "archive" {
            progress.total = progress.total.max(length);
        }
        bar.show(&progress);
        ControlFlow::Continue(())
    })?;
    drop(bar);
    let path = storage.path().to_owned();
    drop(storage);
    context.output.answer(&imported_record(&imported, begin.elapsed()), imported_sentence(&imported, &path, begin))
}

fn imported_record(imported: &Imported, time: Duration) -> Value {
    let mut record = json!({
        "store": imported.store.map(|id| id.to_string()),
        "seq": imported.seq,
        "files": imported.files,
        "bytes": imported.archive_bytes,
    });
    timed(&mut record, imported.archive_bytes, time);
    record
}

fn imported_sentence(imported: &Imported, path: &Path, begin: Instant) -> String {
    format!(
        "imported {} into {}, up to seq {}: {} in {}; every sum holds, and the store opens",
        text::counted(imported.files, "file", "files"),
        path.display(),
        imported.seq,
        text::size(imported.archive_bytes),
        text::duration(begin.elapsed()),
    )
}

fn timed(record: &mut Value, bytes: u64, time: Duration) {
    record["seconds"] = json!(time.as_secs_f64());
    record["bytes_per_second"] = json!(text::rate(bytes, time));
}

fn stdout_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::OutputClosed;
    }
    Failure::new(Status::System, "io", format!("writing to standard output: {error}"))
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Store(error) => error.into(),
            other => {
                let (status, kind) = match &other {
                    ArchiveError::NotAnArchive { .. } | ArchiveError::Ended => (Status::Usage, "not_an_archive"),
                    ArchiveError::Newer { .. } => (Status::Corrupt, "unsupported"),
                    ArchiveError::Damaged { .. } | ArchiveError::Refused { .. } => (Status::Corrupt, "corrupt"),
                    ArchiveError::Truncated { .. } => (Status::Corrupt, "truncated"),
                    ArchiveError::NotEmpty { .. } => (Status::Refused, "not_empty"),
                    _ => (Status::System, "io"),
                };
                Failure::new(status, kind, other.to_string())
            }
        }
    }
}
