//! JSON Lines as input: one JSON value a line, errors with file and line, and a fingerprint of what was read.
//!
//! Invariant: a line is held in memory once, and never more of it than a value may have.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use foldb::{json::TextError, limits::VALUE_BYTES_MAX};
use serde_json::Value;

use crate::{
    failure::{Failure, Result, Status},
    input, text, value,
};

/// Lines of a file or of standard input.
pub(crate) struct Lines {
    input: Box<dyn BufRead>,
    name: String,
    line: u64,
    bytes: u64,
    fingerprint: u64,
    buffer: Vec<u8>,
}

/// Where FNV-1a of 64 bits begins, and what it multiplies by.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Lines {
    /// The lines of a file, or of standard input for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new("standard input", Box::new(io::stdin().lock())));
        }
        let file = File::open(path).map_err(|error| Failure::io("opening", path, &error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Failure::usage(format!("{} is a directory, not a file of JSON Lines", path.display())));
        }
        Ok(Self::new(path.display().to_string(), Box::new(BufReader::with_capacity(1 << 16, file))))
    }

    /// The lines of any input; `name` is what errors call it.
    pub(crate) fn new(name: impl Into<String>, input: Box<dyn BufRead>) -> Self {
        Self { input, name: name.into(), line: 0, bytes: 0, fingerprint: FNV_START, buffer: Vec::new() }
    }

    /// What errors call the input.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the line that was read last, counted from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// How many bytes were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Tells one beginning of a file from another: it depends on every byte read so far. It guards against mistakes, not
    /// against forgery.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Reads over the next lines until `line` was read. An input that ends before is left at its end.
    pub(crate) fn skip_to(&mut self, line: u64) -> Result<()> {
        while self.line < line && self.read_line()? {}
        Ok(())
    }

    /// The value on the next line that is not blank, or `None` at the end.
    pub(crate) fn next_value(&mut self) -> Result<Option<Value>> {
        while self.read_line()? {
            // A mark may stand in front of every file that was put into this one.
            let text = input::utf8(&self.buffer).map_err(|failure| self.located(failure))?;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let value = foldb::json::parse(text.trim_end_matches(['\n', '\r']));
            return value.map(Some).map_err(|error| self.malformed(&error));
        }
        Ok(None)
    }

    /// An error about the line that was read last.
    pub(crate) fn located(&self, failure: impl Into<Failure>) -> Failure {
        failure.into().at(format_args!("{}:{}", self.name, self.line))
    }

    fn malformed(&self, error: &TextError) -> Failure {
        let failure = self.located(value::unreadable(error, false));
        if error.what().ends_with("found the end") {
            return failure
                .hint("each line has to be one whole JSON value; this one is cut off, or goes on in the next line");
        }
        failure
    }

    /// Reads one line into the buffer; whether there was one.
    fn read_line(&mut self) -> Result<bool> {
        // One value and as much again for blanks and escapes: without a bound, a file that has no line ends would be
        // read into memory as a whole.
        const LINE_BYTES_MAX: u64 = 2 * (VALUE_BYTES_MAX as u64);
        self.buffer.clear();
        let read = self
            .input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| Failure::new(Status::System, "io", format!("reading {}: {error}", self.name)))?;
        if read == 0 {
            return Ok(false);
        }
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        self.line += 1;
        self.bytes += read;
        for byte in &self.buffer {
            self.fingerprint = (self.fingerprint ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
        if read >= LINE_BYTES_MAX && !self.buffer.ends_with(b"\n") {
            let message = format!(
                "the line is longer than {}, and a value has at most {}",
                text::size(LINE_BYTES_MAX),
                text::size(VALUE_BYTES_MAX as u64)
            );
            return Err(self.located(Failure::new(Status::Usage, "limit", message)));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
