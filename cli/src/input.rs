//! Text that comes from outside: arguments, standard input, files.
//!
//! Invariant: it is UTF-8, without a byte order mark, or an error says what it is instead and what to do. Nothing is replaced by
//! something similar.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use crate::failure::{Failure, Result, Status};

/// What Windows programs write in front of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A text, and what errors call it.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// An argument that may name where its text is: `-` is standard input, `@FILE` a file.
pub(crate) fn argument(what: &str, argument: &str) -> Result<Named> {
    let (name, bytes) = match argument.strip_prefix('@') {
        _ if argument == "-" => (String::from("standard input"), standard_input()?),
        None => return Ok(Named { name: what.to_owned(), text: argument.to_owned() }),
        Some(file) => {
            let path = Path::new(file);
            (path.display().to_string(), fs::read(path).map_err(|error| Failure::io("reading", path, &error))?)
        }
    };
    let text = utf8(&bytes).map_err(|failure| failure.at(&name))?.to_owned();
    Ok(Named { name, text })
}

/// All of standard input.
pub(crate) fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(Status::System, "io", format!("reading standard input: {error}")))?;
    Ok(bytes)
}

/// Bytes as text, the mark in front of them left out.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    if is_utf16(bytes) {
        return Err(Failure::usage("this is UTF-16, and foldb reads UTF-8").hint(
            "convert it, as by `iconv -f UTF-16 -t UTF-8`; in PowerShell `>` writes UTF-16 and `Set-Content -Encoding utf8` does not",
        ));
    }
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, after) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
        let before = String::from_utf8_lossy(before);
        let (line, column) =
            (before.matches('\n').count() + 1, before.lines().last().unwrap_or_default().chars().count() + 1);
        let line = if line == 1 { String::new() } else { format!("line {line}, ") };
        let byte = after.first().copied().unwrap_or_default();
        Failure::usage(format!("this is not UTF-8: byte 0x{byte:02x} ({line}column {column})"))
            .hint("convert it, as by `iconv -f WINDOWS-1252 -t UTF-8`, from whatever encoding it is in")
    })
}

/// Whether bytes are UTF-16, with a byte order mark or with the zeros that it is half made of.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] | [1..=0x7f, 0, 1..=0x7f, 0, ..]
    )
}

#[cfg(test)]
mod tests;
