//! Where results go: standard output, as tables for people or as JSON for programs.
//!
//! Invariant: with `--json` nothing but JSON objects, one a line, reaches standard output. A reader that goes away
//! (`| head`) ends the command as a success.

use std::{
    fmt::Display,
    io::{self, BufWriter, StdoutLock, Write},
};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::{Failure, Result, Status};

/// Standard output in one of two forms.
pub(crate) struct Output {
    json: bool,
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, stdout: BufWriter::new(io::stdout().lock()) }
    }

    /// Whether the output is for a program.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One line of text, in whichever form: the caller has asked [`Output::is_json`].
    pub(crate) fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.stdout, "{text}").map_err(closed)
    }

    /// One JSON object on a line.
    pub(crate) fn record(&mut self, record: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(record)
            .map_err(|error| Failure::new(Status::System, "output", format!("cannot print as JSON: {error}")))?;
        self.line(text)
    }

    /// The record for a program, or a sentence for a person.
    pub(crate) fn answer(&mut self, record: &impl Serialize, sentence: impl Display) -> Result<()> {
        if self.json { self.record(record) } else { self.line(sentence) }
    }

    /// Pairs of name and value for a person, aligned.
    pub(crate) fn fields(&mut self, fields: &[(&str, String)]) -> Result<()> {
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in fields {
            self.line(format_args!("{name:<width$}  {value}"))?;
        }
        Ok(())
    }

    /// A table for a person.
    pub(crate) fn table(&mut self, table: &Table) -> Result<()> {
        let text = table.to_string();
        for line in text.lines() {
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// Hands everything to the operating system. To be called before the process ends: a drop would hide the error.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush().map_err(closed)
    }
}

/// Rows that become a table for a person as they come, a page at a time, so that a long listing starts at once and ends
/// with its reader.
pub(crate) struct Listing {
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
    shown: u64,
    /// Where the last item is.
    cursor: Option<String>,
}

/// A column's heading, and on which side its cells are aligned.
pub(crate) enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

/// Rows of one page of a [`Listing`]: enough to align well, few enough to hold.
const PAGE_ROWS: usize = 500;

impl Listing {
    pub(crate) fn new(columns: &'static [Column]) -> Self {
        Self { columns, rows: Vec::new(), shown: 0, cursor: None }
    }

    /// One more item of a list that goes by pages: [`push`](Self::push), with its cursor as the last field of the record.
    pub(crate) fn push_at(
        &mut self,
        output: &mut Output,
        cursor: String,
        mut record: serde_json::Value,
        row: impl FnOnce() -> Vec<String>,
    ) -> Result<()> {
        if let Some(record) = record.as_object_mut() {
            record.insert(String::from("cursor"), cursor.clone().into());
        }
        self.cursor = Some(cursor);
        self.push(output, &record, row)
    }

    /// [`finish`](Self::finish) of a list that goes by pages. Where as many were shown as were asked for, a person is told how to go
    /// on.
    pub(crate) fn finish_page(mut self, output: &mut Output, nothing: &str, limit: Option<u64>) -> Result<()> {
        let cursor = self.cursor.take().filter(|_| limit.is_some_and(|limit| self.shown >= limit));
        self.finish(output, nothing)?;
        match cursor {
            Some(cursor) if !output.is_json() => output.line(format_args!("go on with --after {}", quoted(&cursor))),
            _ => Ok(()),
        }
    }

    /// One more item: printed at once as JSON, or kept for the page.
    pub(crate) fn push(
        &mut self,
        output: &mut Output,
        record: &impl Serialize,
        row: impl FnOnce() -> Vec<String>,
    ) -> Result<()> {
        self.shown += 1;
        if output.is_json() {
            return output.record(record);
        }
        self.rows.push(row());
        if self.rows.len() >= PAGE_ROWS {
            self.print(output)?;
        }
        Ok(())
    }

    /// Prints what is left, or `nothing` to a person if there was no item at all. Returns the number of items.
    pub(crate) fn finish(mut self, output: &mut Output, nothing: &str) -> Result<u64> {
        if !output.is_json() {
            if self.shown == 0 {
                output.line(nothing)?;
            } else if !self.rows.is_empty() {
                self.print(output)?;
            }
        }
        Ok(self.shown)
    }

    fn print(&mut self, output: &mut Output) -> Result<()> {
        let mut table = new_table(self.columns);
        table.add_rows(self.rows.drain(..));
        output.table(&table)
    }
}

/// An empty table with headings, in the one style of this program: no frames, columns two spaces apart.
pub(crate) fn new_table(columns: &[Column]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(heading) | Column::Right(heading) => heading.to_uppercase(),
    }));
    for (column, style) in columns.iter().zip(table.column_iter_mut()) {
        style.set_padding((0, 2));
        style.set_cell_alignment(match column {
            Column::Left(_) => CellAlignment::Left,
            Column::Right(_) => CellAlignment::Right,
        });
    }
    table
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// A closed pipe is the reader's way to say "enough".
fn closed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::OutputClosed;
    }
    Failure::new(Status::System, "io", format!("writing to standard output: {error}"))
}
