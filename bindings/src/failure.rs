//! Errors on their way to JavaScript: kind, code and message.
//!
//! Invariant: kinds and codes are part of the API. A kind says what to do, a code names the exact case; neither changes.

use foldb_archive::ArchiveError;
use foldb_core::{Error, ErrorKind, storage::StorageError};
use wasm_bindgen::JsValue;

use crate::wire::Output;

/// The name of a kind.
fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Conflict => "Conflict",
        ErrorKind::Precondition => "Precondition",
        ErrorKind::AlreadyDone => "AlreadyDone",
        ErrorKind::Invalid => "Invalid",
        ErrorKind::Limit => "Limit",
        ErrorKind::NotFound => "NotFound",
        ErrorKind::RunEnded => "RunEnded",
        ErrorKind::Locked => "Locked",
        ErrorKind::StorageFull => "StorageFull",
        ErrorKind::NotReady => "NotReady",
        ErrorKind::Poisoned => "Poisoned",
        ErrorKind::OutcomeUnknown => "OutcomeUnknown",
        ErrorKind::Corrupt => "Corrupt",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::NotAStore => "NotAStore",
        ErrorKind::Cancelled => "Cancelled",
        ErrorKind::ReadOnly => "ReadOnly",
        ErrorKind::Lagged => "Lagged",
        // What a later version adds is of the device until it is named here.
        _ => "Io",
    }
}

/// The exact case.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Storage(StorageError::Exists { .. }) => "FileExists",
        Error::Storage(StorageError::Missing { .. }) => "FileMissing",
        Error::Storage(StorageError::Name { .. }) => "FileName",
        Error::Storage(StorageError::Denied { .. }) => "Denied",
        Error::Newer { .. } => "Newer",
        Error::Type { .. } => "Type",
        Error::CounterOverflow { .. } => "CounterOverflow",
        Error::KeyReused { .. } => "KeyReused",
        Error::UnknownRun(_) => "UnknownRun",
        Error::ImportUnfinished => "ImportUnfinished",
        other => kind(other.kind()),
    }
}

/// The exact case, of archives too.
fn archive_code(error: &ArchiveError) -> &'static str {
    match error {
        ArchiveError::Store(error) => code(error),
        ArchiveError::NotAnArchive { .. } => "NotAnArchive",
        ArchiveError::Newer { .. } => "Newer",
        ArchiveError::Damaged { .. } => "ArchiveDamaged",
        ArchiveError::Refused { .. } => "ArchiveRefused",
        ArchiveError::Truncated { .. } => "ArchiveTruncated",
        ArchiveError::NotEmpty { .. } => "NotEmpty",
        ArchiveError::Changed { .. } => "Changed",
        _ => "Archive",
    }
}

/// What is wrong, in words. A few are others here than where a store is a directory of its own.
fn message(error: &ArchiveError) -> String {
    match error {
        ArchiveError::Store(Error::Storage(StorageError::Full { name, action })) => format!(
            "no space left while {action} {name}: the disk is full, or the quota of this origin used up. Nothing was \
             changed. Deleting entries makes no room, as the log keeps them; remove other data of the disk or the origin"
        ),
        ArchiveError::Store(Error::Storage(StorageError::Locked { name, .. })) => format!(
            "{name} is locked: another tab or worker has the store open, or has just ended; close it there, or try again"
        ),
        other => other.to_string(),
    }
}

/// The error in an answer.
pub(crate) fn write(error: &ArchiveError, out: &mut Output) {
    out.text(kind(error.kind()));
    out.text(archive_code(error));
    out.text(&message(error));
}

/// The error as what a call throws: kind, code and message, apart by line feeds. `ts/errors.ts` makes a `FoldbError` of it.
pub(crate) fn thrown(error: &Error) -> JsValue {
    archive_thrown(&error.clone().into())
}

/// The same for archives.
pub(crate) fn archive_thrown(error: &ArchiveError) -> JsValue {
    JsValue::from_str(&format!("{}\n{}\n{}", kind(error.kind()), archive_code(error), message(error)))
}

#[cfg(test)]
mod tests {
    use foldb_core::ErrorKind;

    /// Every kind that is known here. What is missing is `Io` to JavaScript, whatever it says.
    const KINDS: [ErrorKind; 19] = [
        ErrorKind::Conflict,
        ErrorKind::Precondition,
        ErrorKind::AlreadyDone,
        ErrorKind::Invalid,
        ErrorKind::Limit,
        ErrorKind::NotFound,
        ErrorKind::RunEnded,
        ErrorKind::Locked,
        ErrorKind::StorageFull,
        ErrorKind::NotReady,
        ErrorKind::Io,
        ErrorKind::Poisoned,
        ErrorKind::OutcomeUnknown,
        ErrorKind::Corrupt,
        ErrorKind::Unsupported,
        ErrorKind::NotAStore,
        ErrorKind::Cancelled,
        ErrorKind::ReadOnly,
        ErrorKind::Lagged,
    ];

    /// The lines between one that begins so and the first that ends so.
    fn part<'a>(text: &'a str, begin: &str, end: &str) -> impl Iterator<Item = &'a str> {
        let (_, rest) = text.split_once(begin).unwrap();
        rest.split_once(end).unwrap().0.lines().map(str::trim)
    }

    #[test]
    fn each_kind_of_error_has_its_own_name_in_typescript_and_in_answers() {
        let names = KINDS.map(|kind| format!("{kind:?}"));
        assert_eq!(KINDS.map(super::kind).map(String::from), names);

        let rust = include_str!("../../core/src/error.rs");
        let rust: Vec<&str> =
            part(rust, "pub enum ErrorKind {", "\n}").filter_map(|line| line.strip_suffix(',')).collect();
        assert_eq!(rust, names, "the kinds of Rust, in their order");

        let typescript = include_str!("../ts/api/common.ts");
        let mut typescript: Vec<&str> = part(typescript, "export type ErrorKind =", ";\n")
            .filter_map(|line| line.trim_end_matches(';').strip_prefix("| \"")?.strip_suffix('"'))
            .collect();
        assert_eq!(typescript.split_off(names.len()), ["Closed", "Crashed"], "of the package itself");
        assert_eq!(typescript, names);
    }
}
