//! How a command fails: the message, the hint, the exit status.
//!
//! Invariant: every status that the program can end with is made here, from an [`ErrorKind`] or by name, and is listed in
//! [`STATUS_HELP`], which `--help` prints. Scripts depend on these numbers; they never change their meaning.

use std::{fmt::Display, io, path::Path, process::ExitCode};

use foldb::ErrorKind;
use serde::Serialize;

/// The part of `--help` that documents the exit statuses.
pub(crate) const STATUS_HELP: &str = "\
Exit status:
  0  done
  1  the answer is no: a difference, a failed verification, nothing under that key
  2  the request is wrong: usage, malformed input, a limit, no such run, no store there
  3  locked: another process has the store open
  4  corrupt, or written by a newer version of foldb
  5  the system failed: no space, no permission, input or output
  6  refused by the store's state: conflict, failed precondition, ended run

Output: tables for people. With --json, one JSON object, or one a line where there is a list; errors
are then JSON objects on standard error: {\"error\": {\"kind\", \"message\", \"hint\", \"status\"}}.";

/// The exit statuses other than success. The numbers are part of the program's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Differences were found, a verification failed, or there is nothing under that key.
    Negative = 1,
    /// The request is wrong; the same one will fail again.
    Usage = 2,
    /// Another process has the store.
    Locked = 3,
    /// Stored bytes cannot be understood.
    Corrupt = 4,
    /// The device or the operating system failed.
    System = 5,
    /// The state of the store does not allow it.
    Refused = 6,
}

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Whoever read our output has gone, as in `foldb scan | head`. They have what they wanted: a silent success.
    OutputClosed,
    /// The command has already printed its answer, and the answer is no.
    Negative,
    /// Anything that needs words.
    Told(Box<Told>),
}

/// A failure in words.
#[derive(Debug)]
pub(crate) struct Told {
    status: Status,
    /// A stable name for programs, as in `not_found`.
    kind: &'static str,
    message: String,
    hint: Option<String>,
}

/// The result of every command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of our own making, with a stable name for programs.
    pub(crate) fn new(status: Status, kind: &'static str, message: impl Into<String>) -> Self {
        Self::Told(Box::new(Told { status, kind, message: message.into(), hint: None }))
    }

    /// Malformed input, or a command that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, "invalid", message)
    }

    /// There is nothing under that name. An answer rather than a mistake.
    pub(crate) fn absent(message: impl Into<String>) -> Self {
        Self::new(Status::Negative, "absent", message)
    }

    /// The operating system refused something to do with a file of the user's (not of the store).
    pub(crate) fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        // A mistyped file name is the user's to correct; everything else is the system's.
        let (status, kind, why) = match error.kind() {
            io::ErrorKind::NotFound => (Status::Usage, "not_found", "there is no such file or directory"),
            io::ErrorKind::IsADirectory => (Status::Usage, "invalid", "it is a directory"),
            io::ErrorKind::NotADirectory => (Status::Usage, "invalid", "a part of the path is no directory"),
            io::ErrorKind::PermissionDenied => (Status::System, "io", "no permission"),
            io::ErrorKind::StorageFull => (Status::System, "io", "no space is left"),
            _ => (Status::System, "io", ""),
        };
        let why = if why.is_empty() { error.to_string() } else { why.to_owned() };
        Self::new(status, kind, format!("{action} {}: {why}", path.display()))
    }

    /// The same failure with advice. Advice that is there already stays.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint.get_or_insert_with(|| hint.into());
        }
        self
    }

    /// The same failure with its place before the message, as in `strikes.jsonl:17`.
    pub(crate) fn at(mut self, place: impl Display) -> Self {
        if let Self::Told(told) = &mut self {
            told.message = format!("{place}: {}", told.message);
        }
        self
    }

    /// The message, if there is one.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Told(told) => Some(&told.message),
            Self::OutputClosed | Self::Negative => None,
        }
    }

    /// Prints the failure to standard error and returns the status to end with.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Negative => exit_code(Status::Negative),
            Self::Told(told) => {
                told.print(json);
                exit_code(told.status)
            }
        }
    }
}

impl Told {
    /// Standard error may be closed as well; there is nobody left to tell then.
    fn print(&self, json: bool) {
        let text = if json {
            let error = ErrorRecord {
                kind: self.kind,
                message: &self.message,
                hint: self.hint.as_deref(),
                status: status_number(self.status),
            };
            serde_json::json!({ "error": error }).to_string()
        } else {
            let hint = self.hint.as_ref().map(|hint| format!("\n hint: {hint}")).unwrap_or_default();
            format!("error: {}{hint}", self.message)
        };
        let _ = io::Write::write_all(&mut io::stderr(), format!("{text}\n").as_bytes());
    }
}

/// The shape of an error with `--json`.
#[derive(Serialize)]
struct ErrorRecord<'a> {
    kind: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    status: u8,
}

/// The number of a status.
const fn status_number(status: Status) -> u8 {
    match status {
        Status::Negative => 1,
        Status::Usage => 2,
        Status::Locked => 3,
        Status::Corrupt => 4,
        Status::System => 5,
        Status::Refused => 6,
    }
}

fn exit_code(status: Status) -> ExitCode {
    ExitCode::from(status_number(status))
}

impl From<foldb::Error> for Failure {
    fn from(error: foldb::Error) -> Self {
        let (status, kind, hint) = of_kind(error.kind());
        let failure = Self::new(status, kind, error.to_string());
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Status, stable name and advice for each kind of error. The messages of the store say most of it themselves.
fn of_kind(kind: ErrorKind) -> (Status, &'static str, Option<&'static str>) {
    match kind {
        ErrorKind::Conflict => (Status::Refused, "conflict", None),
        ErrorKind::Precondition => (Status::Refused, "precondition", None),
        ErrorKind::Invalid => (Status::Usage, "invalid", None),
        ErrorKind::Limit => (Status::Usage, "limit", None),
        ErrorKind::NotFound => (Status::Usage, "not_found", None),
        ErrorKind::RunEnded => (Status::Refused, "run_ended", Some("`foldb runs resume RUN` makes it writable again")),
        ErrorKind::Locked => (Status::Locked, "locked", None),
        ErrorKind::StorageFull => {
            (Status::System, "storage_full", Some("nothing was lost; free some space and repeat the command"))
        }
        ErrorKind::Io => (Status::System, "io", None),
        ErrorKind::Poisoned => (Status::System, "poisoned", None),
        ErrorKind::OutcomeUnknown => {
            (Status::System, "outcome_unknown", Some("run the command again: opening the store shows what survived"))
        }
        ErrorKind::Corrupt => (
            Status::Corrupt,
            "corrupt",
            Some(
                "copy the directory before anything else; then `--recovery salvage` reads what is left, and `foldb dump` shows the files",
            ),
        ),
        ErrorKind::Unsupported => (Status::Corrupt, "unsupported", None),
        ErrorKind::NotAStore => (Status::Usage, "not_a_store", Some("name the store with --store DIR or FOLDB_STORE")),
        ErrorKind::Cancelled => (Status::System, "cancelled", None),
        ErrorKind::Lagged => (Status::System, "lagged", None),
        // A kind that a later version of the library adds: its message still says what to do.
        _ => (Status::System, "other", None),
    }
}
