//! Segments of the log: header, frames, and what lies between them.

use std::collections::HashMap;

use foldb::{
    Cause,
    internal::log::{
        CauseRef, Frame, FrameOutcome, FrameSeal, FrameType, GroupView, LogPosition, RecordView, SEGMENT_HEADER_BYTES,
        SegmentHeader, peek_seq_and_mark, read_frame, read_opening, resync,
    },
};
use serde_json::{Value, json};

use super::{Kind, StoreFile, Wanted, operation, problem};
use crate::{failure::Result, output::Output, text};

/// How much of each segment counts, as far as the header of its successor says so.
pub(super) fn valid_lengths(files: &[StoreFile]) -> HashMap<u64, u64> {
    let headers = files.iter().filter(|file| matches!(file.kind, Kind::Segment(_))).filter_map(header);
    headers.filter_map(|header| header.previous).map(|previous| (previous.segment, previous.valid_len)).collect()
}

/// The header of a segment, if it can be read. Only the header's bytes are read.
fn header(file: &StoreFile) -> Option<SegmentHeader> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(&file.path).ok()?.take(SEGMENT_HEADER_BYTES).read_to_end(&mut bytes).ok()?;
    SegmentHeader::decode(&file.name, &bytes).ok()?
}

/// Prints one segment.
pub(super) fn dump(file: &StoreFile, valid: Option<u64>, wanted: &Wanted<'_>, output: &mut Output) -> Result<()> {
    if !wanted.is_some_only() {
        file.heading(output, "log segment")?;
    }
    let bytes = file.read()?;
    let header = match SegmentHeader::decode(&file.name, &bytes) {
        Ok(Some(header)) => header,
        Ok(None) => return problem(file, 0, "no segment header; an interrupted creation leaves this", output),
        Err(error) => return problem(file, 0, &error.to_string(), output),
    };
    if !wanted.is_some_only() {
        print_header(file, &header, output)?;
    }
    let mut frames = Frames { file, valid, wanted, output, seal: FrameSeal::new(&header.salt, header.segment) };
    frames.print_all(&bytes)?;
    if output.is_json() || wanted.is_some_only() { Ok(()) } else { output.line("") }
}

fn print_header(file: &StoreFile, header: &SegmentHeader, output: &mut Output) -> Result<()> {
    if output.is_json() {
        let previous = header.previous.map(|previous| {
            json!({
                "segment": previous.segment,
                "valid_bytes": previous.valid_len,
                "last_seq": previous.last_seq,
                "last_crc": format!("{:08x}", previous.last_crc),
            })
        });
        return output.record(&json!({
            "file": file.name,
            "offset": 0,
            "segment": header.segment,
            "store_id": header.store.to_string(),
            "epoch": header.epoch,
            "salt": text::hex(&header.salt),
            "first_seq": header.first_seq,
            "previous": previous,
        }));
    }
    let previous = header.previous.map_or_else(
        || String::from("none, it is the first"),
        |previous| {
            format!("segment {}, {} bytes of it, up to seq {}", previous.segment, previous.valid_len, previous.last_seq)
        },
    );
    output.fields(&[
        ("  store", header.store.to_string()),
        ("  segment", format!("{}, made by opening {}", header.segment, header.epoch)),
        ("  first seq", header.first_seq.to_string()),
        ("  goes on from", previous),
    ])?;
    output.line(format_args!(
        "  {:>10}  {:<11} {:>8} {:>8}  {:<27} {:>4}  {:>9}",
        "OFFSET", "FRAME", "SEQ", "DURABLE", "TIME", "OPS", "BYTES"
    ))
}

/// The frames of one segment on their way to the output.
struct Frames<'a> {
    file: &'a StoreFile,
    /// Where the log leaves this segment, if a successor says so.
    valid: Option<u64>,
    wanted: &'a Wanted<'a>,
    output: &'a mut Output,
    seal: FrameSeal,
}

impl Frames<'_> {
    fn print_all(&mut self, bytes: &[u8]) -> Result<()> {
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut told_cut = false;
        loop {
            if self.valid.is_some_and(|valid| offset >= valid) && !told_cut {
                told_cut = true;
                if matches!(read_frame(tail(bytes, offset), offset, &self.seal), FrameOutcome::End) {
                    return Ok(());
                }
                problem(
                    self.file,
                    offset,
                    "what follows is no part of the log: a recovery has cut it off here",
                    self.output,
                )?;
            }
            let rest = tail(bytes, offset);
            let what = match read_frame(rest, offset, &self.seal) {
                FrameOutcome::Frame(frame) => {
                    self.print(offset, &frame)?;
                    offset = frame.next;
                    continue;
                }
                FrameOutcome::End => return Ok(()),
                FrameOutcome::Bad(why) => format!("no frame: {why}"),
                FrameOutcome::Newer { what, found, supported } => {
                    format!("{what} {found}, newer than this program understands (up to {supported})")
                }
            };
            problem(self.file, offset, &what, self.output)?;
            let Some(behind) = offset.checked_add(8) else { return Ok(()) };
            let seal = self.seal.clone();
            match resync(tail(bytes, behind), behind, &seal).next() {
                Some((next, _)) => offset = next,
                None => return Ok(()),
            }
        }
    }

    fn print(&mut self, offset: u64, frame: &Frame<'_>) -> Result<()> {
        let Some((seq, durable)) = peek_seq_and_mark(frame.payload) else {
            return problem(self.file, offset, "a frame without seq", self.output);
        };
        if seq < self.wanted.args.from || seq > self.wanted.args.to {
            return Ok(());
        }
        let at = LogPosition { segment: self.seal.segment(), offset };
        match frame.frame_type {
            FrameType::Mark => return self.print_between(offset, frame, seq, durable, None),
            FrameType::Opening => {
                let epoch = read_opening(frame.payload, at).ok().map(|(_, epoch)| epoch);
                return self.print_between(offset, frame, seq, durable, epoch);
            }
            FrameType::Transaction | FrameType::Part | FrameType::Commit => {}
        }
        match RecordView::parse(frame.payload, frame.frame_type, at) {
            Ok(record) => self.print_record(offset, frame, &record),
            Err(error) => problem(self.file, offset, &error.to_string(), self.output),
        }
    }

    /// Prints a frame that stands between two transactions.
    fn print_between(
        &mut self,
        offset: u64,
        frame: &Frame<'_>,
        seq: u64,
        durable: u64,
        epoch: Option<u64>,
    ) -> Result<()> {
        if self.wanted.is_some_only() {
            return Ok(());
        }
        let (name, bytes) = (frame_name(frame.frame_type), frame.next - offset);
        if self.output.is_json() {
            let mut object = json!({
                "file": self.file.name, "offset": offset, "frame": name, "seq": seq, "durable_seq": durable, "bytes": bytes,
            });
            if let Some(epoch) = epoch {
                object["epoch"] = epoch.into();
            }
            return self.output.record(&object);
        }
        let epoch = epoch.map(|epoch| format!("epoch {epoch}")).unwrap_or_default();
        self.line(offset, name, seq, durable, &epoch, None, bytes)
    }

    fn print_record(&mut self, offset: u64, frame: &Frame<'_>, record: &RecordView<'_>) -> Result<()> {
        let is_wanted = |group: GroupView<'_>| group.ops().any(|op| self.wanted.has(group.space, &op));
        if self.wanted.is_some_only() && !record.groups().any(is_wanted) {
            return Ok(());
        }
        let with_ops = self.wanted.args.ops || self.wanted.is_some_only();
        let header = record.header();
        let ops = record.groups().map(|group| group.op_count).sum();
        let (name, bytes) = (frame_name(frame.frame_type), frame.next - offset);
        if self.output.is_json() {
            let mut object = json!({
                "file": self.file.name, "offset": offset, "frame": name, "seq": header.seq, "durable_seq": header.mark,
                "time_micros": header.time_micros, "ops": ops, "bytes": bytes,
            });
            if let Some(once) = header.idempotency_key {
                object["idempotency_key"] = crate::value::key_to_json(once.key);
                if !once.fingerprint.is_empty() {
                    object["fingerprint"] = crate::value::key_to_json(once.fingerprint);
                }
                if !once.result.is_empty() {
                    object["result_bytes"] = once.result.len().into();
                }
            }
            if let Some(base) = header.reasons.base {
                object["base"] = base.into();
            }
            if let Some(cause) = header.reasons.cause {
                object["cause"] = cause_to_json(cause);
            }
            if with_ops {
                object["operations"] = operations(record, self.wanted);
            }
            return self.output.record(&object);
        }
        self.line(offset, name, header.seq, header.mark, &text::time(header.time_micros), Some(ops), bytes)?;
        if let Some(cause) = header.reasons.cause {
            self.output.line(format_args!("              because {}", Cause::from(cause)))?;
        }
        if !with_ops {
            return Ok(());
        }
        for group in record.groups() {
            let space = self.wanted.name(group.space);
            for op in group.ops().filter(|op| self.wanted.has(group.space, op)) {
                self.output.line(format_args!("              {space:<14} {}", operation::to_text(&op)))?;
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one line")]
    fn line(
        &mut self,
        offset: u64,
        frame: &str,
        seq: u64,
        durable: u64,
        time: &str,
        ops: Option<u64>,
        bytes: u64,
    ) -> Result<()> {
        let ops = ops.map(|ops| ops.to_string()).unwrap_or_default();
        self.output
            .line(format_args!("  {offset:>10}  {frame:<11} {seq:>8} {durable:>8}  {time:<27} {ops:>4}  {bytes:>9}"))
    }
}

/// As `CommitInfo` is serialized.
fn cause_to_json(cause: CauseRef<'_>) -> Value {
    serde_json::to_value(Cause::from(cause)).unwrap_or_default()
}

/// The bytes from an offset on; none behind the end.
fn tail(bytes: &[u8], offset: u64) -> &[u8] {
    usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default()
}

fn operations(record: &RecordView<'_>, wanted: &Wanted<'_>) -> Value {
    let mut operations = Vec::new();
    for group in record.groups() {
        let run = wanted.runs.get(&group.space);
        for op in group.ops().filter(|op| wanted.has(group.space, op)) {
            let mut object = operation::to_json(group.space, &op);
            if let Some(run) = run {
                object["run"] = json!(run.id.to_string());
                object["name"] = json!(run.name);
            }
            operations.push(object);
        }
    }
    Value::Array(operations)
}

const fn frame_name(frame_type: FrameType) -> &'static str {
    match frame_type {
        FrameType::Transaction => "transaction",
        FrameType::Part => "part",
        FrameType::Commit => "commit",
        FrameType::Mark => "mark",
        FrameType::Opening => "opening",
    }
}
