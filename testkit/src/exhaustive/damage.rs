//! Damage to the files at rest: bits that rot, regions that are lost, files that are gone, cut, foreign, or too many.
//!
//! Invariant: each damage is done to the files of a store at rest, of which it is known what they hold. What comes out is
//! an error that names a file, with not a byte changed, or the contents as they were: never other contents, and never
//! fewer, but where [`Outcome::Shorter`] says that nothing can tell.

use std::{collections::BTreeSet, ops::ControlFlow};

use foldb_core::{
    Db, ErrorKind, RecoveryMode, Result, StoreId,
    log::{
        Anchor, AnchorSlot, FrameOutcome, FrameSeal, FrameType, Previous, SEGMENT_HEADER_BYTES, SegmentHeader,
        parse_segment_name, parse_snapshot_name, peek_seq_and_mark, read_frame, segment_name, snapshot_name,
    },
};

use super::{
    contents::Glance,
    execution::{Execution, open, options},
    workload::{Step, Workload},
};
use crate::{
    SeededHost,
    crash::{CrashStorage, Image},
};

/// What may come of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Opening fails with the kind `Corrupt`.
    Refused,
    /// Everything is there.
    Whole,
    /// Opening fails, or everything is there that can be read.
    RefusedOrWhole,
    /// As the last, or the last commits are missing, because nothing proves that they had been durable.
    Shorter,
}

/// The life of the store that opens damaged files.
const LIFE: u64 = 1 << 40;
/// The life of the store that closes them first.
const CLOSING_LIFE: u64 = LIFE - 1;

/// Damages the files that a workload leaves, in every way. Returns how many damaged stores were opened.
pub(super) fn check(execution: &mut Execution, workload: &Workload) -> Result<u64, String> {
    let killed = execution.disk.live_image();
    let Some((closed, seq)) =
        close(&killed, execution.newest(), workload).map_err(|error| format!("closing fails: {error}"))?
    else {
        return Ok(0);
    };
    let mut bench = Bench { execution, workload, seq, glance: Glance::default(), count: 0 };
    bench.at_rest(&closed)?;
    bench.every_bit(&closed)?;
    bench.frames(&closed)?;
    bench.files(&closed)?;
    // Before another opening has anchored anything anew.
    bench.files(&killed)?;
    bench.witnessed(&killed)?;
    bench.foreign(&closed)?;
    bench.stale(&killed)?;
    Ok(bench.count)
}

/// The files after another opening and a clean close, and the newest commit; `None` where there is no commit.
fn close(killed: &Image, newest: u64, workload: &Workload) -> Result<Option<(Image, u64)>> {
    if workload.steps.last() == Some(&Step::Close) {
        // As the workload left it: another opening would set right what this one has left wrong.
        return Ok(Some((killed.clone(), newest)));
    }
    if is_settled(workload) {
        // A kill on the way may have taken commits that nobody was promised.
        let seq = open(CrashStorage::from_image(killed), workload, CLOSING_LIFE)?.view().seq();
        return Ok(Some((killed.clone(), seq)));
    }
    let disk = CrashStorage::from_image(killed);
    let db = open(disk.clone(), workload, CLOSING_LIFE)?;
    let seq = db.view().seq();
    if seq == 0 {
        return Ok(None);
    }
    db.close()?;
    Ok(Some((disk.live_image(), seq)))
}

/// Whether the workload ends with a clean close or an idle store, by an opening that has written something since the last
/// failure.
fn is_settled(workload: &Workload) -> bool {
    let Some((Step::Close | Step::Tick, before)) = workload.steps.split_last() else { return false };
    let ends = |step: &Step| {
        matches!(step, Step::Kill | Step::Reopen | Step::FailSync | Step::FailWrite | Step::FailAnchor | Step::FailMark)
    };
    let opening = before.rsplit(ends).next().unwrap_or_default();
    opening.iter().any(|step| matches!(step, Step::Put { .. } | Step::Mixed | Step::Many { .. } | Step::Append { .. }))
}

struct Bench<'a> {
    execution: &'a mut Execution,
    workload: &'a Workload,
    seq: u64,
    glance: Glance,
    count: u64,
}

/// A frame of a segment.
struct Placed {
    segment: u64,
    offset: u64,
    len: u64,
    /// No commit is hurt by what happens to a mark behind the last one.
    is_mark: bool,
    /// The seq of the transaction that it makes whole.
    commits: Option<u64>,
    /// Up to which seq it says that the log was durable.
    mark: u64,
}

impl Bench<'_> {
    /// Opens damaged files and compares what comes out with what may.
    fn judge(&mut self, image: &Image, allowed: Outcome, damage: &dyn Fn() -> String) -> Result<(), String> {
        self.count += 1;
        self.outcome(image, allowed).map_err(|what| format!("damaged at rest, {}: {what}", damage()))
    }

    fn outcome(&mut self, image: &Image, allowed: Outcome) -> Result<(), String> {
        let disk = CrashStorage::from_image(image);
        let db = match open(disk.clone(), self.workload, LIFE) {
            Ok(db) => db,
            Err(error) if error.kind() != ErrorKind::Corrupt => {
                return Err(format!("the error is of kind {:?}: {error}", error.kind()));
            }
            Err(error) if disk.is_changed() => {
                return Err(format!("the store is changed by the opening that fails: {error}"));
            }
            Err(error) if allowed == Outcome::Whole => return Err(format!("the store is refused: {error}")),
            Err(_) => return Ok(()),
        };
        let seq = db.view().seq();
        if allowed == Outcome::Refused {
            return Err(format!("the store opens, with commit {seq}"));
        }
        if seq > self.seq || (seq < self.seq && allowed != Outcome::Shorter) {
            return Err(format!("the store opens with commit {seq} of {}", self.seq));
        }
        self.check_snapshot(&db, image)?;
        let found = self.execution.judge_contents(&db, seq, &mut self.glance);
        disk.kill_process();
        drop(db);
        match found {
            Ok(judged) => judged.map(|_| ()),
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(format!("reading fails with {error}")),
            // A page or a value that opening does not read.
            Err(error) if allowed == Outcome::Whole => self.with_checked_snapshots(image, seq, &error.to_string()),
            Err(_) => Ok(()),
        }
    }

    /// Where a page of the newest snapshot is damaged, checking it first makes the older one and the log stand in.
    fn with_checked_snapshots(&mut self, image: &Image, seq: u64, error: &str) -> Result<(), String> {
        let options = options(self.workload).check_snapshots(true);
        let host = std::sync::Arc::new(SeededHost::new(LIFE + 1));
        let opened = Db::open(CrashStorage::from_image(image), host, options);
        let db =
            opened.map_err(|again| format!("reading fails with {error}, and checking the snapshot with {again}"))?;
        let judged = self.execution.judge_contents(&db, seq, &mut self.glance);
        let failed = |again| format!("reading fails with {error}, and with checked snapshots with {again}");
        judged.map_err(failed)?.map(|_| ())
    }

    /// A damaged snapshot is reported, and the next older one stands in before the log alone does.
    fn check_snapshot(&self, db: &Db<CrashStorage>, image: &Image) -> Result<(), String> {
        let report = db.recovery_report();
        let rejected: Vec<_> =
            report.rejected_snapshots.iter().filter_map(|damage| parse_snapshot_name(&damage.file)).collect();
        let anchors = anchors(image);
        let newest = anchors.iter().max_by_key(|(_, anchor)| anchor.counter);
        let named = newest.and_then(|(_, anchor)| anchor.newest_snapshot).unwrap_or(0);
        let counts = |generation: &u64| *generation <= named && !rejected.contains(generation);
        let mut usable = snapshots(image).into_iter().filter(counts);
        let used = report.snapshot.map(|(generation, _)| generation);
        let expected = usable.next_back();
        if used == expected {
            return Ok(());
        }
        Err(format!("snapshot {used:?} is used where {expected:?} could be"))
    }

    /// Nothing is damaged. The two newest snapshots are there, and the last opening reads the newest.
    fn at_rest(&mut self, closed: &Image) -> Result<(), String> {
        let (taken, kept) = (self.execution.snapshots, snapshots(closed).len());
        let is_failure = |step: &Step| matches!(step, Step::FailWrite | Step::FailSync | Step::FailAnchor);
        // Where the write of the newest anchor failed, the older one holds, and the snapshot that it does not name is garbage.
        let unnamed = usize::from(self.workload.steps.iter().any(is_failure));
        // A third one stays where the process reads its pages.
        if kept > 3 || kept + unnamed < taken.min(2) {
            return Err(format!("{kept} snapshots are kept of {taken}"));
        }
        let proven: Vec<u64> = anchors(closed).iter().map(|(_, anchor)| anchor.proven_seq).collect();
        if (proven.len() < 2 || proven.iter().any(|proven| *proven < self.seq))
            && unnamed == 0
            && is_settled(self.workload)
        {
            return Err(format!("it was left in peace, and its anchors speak of {proven:?} of {} commits", self.seq));
        }
        self.judge(closed, Outcome::Whole, &|| String::from("not at all"))
    }

    /// One bit of every byte rots.
    fn every_bit(&mut self, closed: &Image) -> Result<(), String> {
        let names: Vec<String> = closed.names().map(str::to_owned).collect();
        for name in names {
            // Damage to the only anchor is told apart from a store that has none by its commits.
            let is_spare = parse_snapshot_name(&name).is_some() || anchors(closed).len() > 1;
            let allowed = match parse_segment_name(&name) {
                None if is_spare => Outcome::Whole,
                _ => Outcome::RefusedOrWhole,
            };
            let (frames_end, needed_end) = self.ends(closed, &name);
            for offset in closed.offsets(&name) {
                if offset >= frames_end && offset % 61 != 0 {
                    // Space that was reserved and never used: one byte is like the other.
                    continue;
                }
                let mut image = closed.clone();
                image.flip_bit(&name, offset, u32::try_from(offset % 8).unwrap_or(0));
                self.judge(&image, allowed, &|| format!("a bit of {name} at {offset}"))?;
                if offset < needed_end && offset % 16 == 0 {
                    self.verification_finds(&image).map_err(|what| format!("a bit of {name} at {offset}: {what}"))?;
                }
            }
        }
        Ok(())
    }

    /// Where in a file the frames end, and where in a segment ends what is needed of it: not the mark of a clean close, nor what
    /// an opening that went on behind it has begun with.
    fn ends(&self, image: &Image, name: &str) -> (u64, u64) {
        let Some(segment) = parse_segment_name(name) else { return (u64::MAX, 0) };
        let placed = self.placed(image);
        let mut backwards = placed.iter().rev().filter(|frame| frame.segment == segment).peekable();
        let end_of = |frame: &&Placed| frame.offset + frame.len;
        let end = backwards.peek().map_or(SEGMENT_HEADER_BYTES, end_of);
        let last_commit = backwards.find(|frame| !frame.is_mark);
        let previous =
            headers(image).iter().filter_map(|header| header.previous).find(|previous| previous.segment == segment);
        let needed = match previous {
            Some(previous) => previous.valid_len,
            None if self.is_unnamed(image, segment) => 0,
            None => last_commit.as_ref().map_or(SEGMENT_HEADER_BYTES, end_of),
        };
        (end.max(needed), needed)
    }

    /// Whether a segment is a creation that was interrupted, with a header or without: no frame, no successor, and no anchor
    /// that names it (F-28, F-30). Nothing is lost with it.
    fn is_unnamed(&self, image: &Image, segment: u64) -> bool {
        let is_anchored = anchors(image).iter().any(|(_, anchor)| anchor.newest_segment >= segment);
        let has_frame = self.placed(image).iter().any(|frame| frame.segment == segment);
        let has_successor =
            headers(image).iter().filter_map(|header| header.previous).any(|previous| previous.segment == segment);
        !(is_anchored || has_frame || has_successor)
    }

    /// What opening need not read, verification does.
    fn verification_finds(&self, image: &Image) -> Result<(), String> {
        let Ok(db) = open(CrashStorage::from_image(image), self.workload, LIFE) else { return Ok(()) };
        match db.verify(&mut |_| ControlFlow::Continue(())) {
            Ok(report) if report.is_ok() => Err("verification finds nothing".into()),
            _ => Ok(()),
        }
    }

    /// The frames of all segments, in order.
    fn placed(&self, image: &Image) -> Vec<Placed> {
        let mut placed = Vec::new();
        for segment in segments(image) {
            let bytes = image.bytes(&segment_name(segment)).unwrap_or_default();
            let Ok(Some(header)) = SegmentHeader::decode("a segment", &bytes) else { continue };
            let seal = FrameSeal::new(&header.salt, segment);
            let mut offset = SEGMENT_HEADER_BYTES;
            while let Some(rest) = usize::try_from(offset).ok().and_then(|at| bytes.get(at..))
                && let FrameOutcome::Frame(frame) = read_frame(rest, offset, &seal)
            {
                let is_mark = matches!(frame.frame_type, FrameType::Mark | FrameType::Opening);
                let commits = matches!(frame.frame_type, FrameType::Transaction | FrameType::Commit)
                    .then(|| first_varint(frame.payload));
                let mark = peek_seq_and_mark(frame.payload).map_or(0, |(_, mark)| mark);
                placed.push(Placed { segment, offset, len: frame.next - offset, is_mark, commits, mark });
                offset = frame.next;
            }
        }
        placed
    }

    /// Frames are lost: overwritten with zeros, or cut off with all that is behind them.
    fn frames(&mut self, closed: &Image) -> Result<(), String> {
        let placed = self.placed(closed);
        let newest = segments(closed).pop().unwrap_or(0);
        for (number, frame) in placed.iter().enumerate() {
            let name = segment_name(frame.segment);
            let behind = placed.get(number..).unwrap_or_default();
            let is_last_mark = behind.iter().all(|frame| frame.is_mark);
            let proven = anchors(closed).iter().any(|(_, anchor)| anchor.proven_seq >= self.seq);
            let mut image = closed.clone();
            image.zero(&name, frame.offset, usize::try_from(frame.len).unwrap_or(0));
            self.judge(&image, Outcome::RefusedOrWhole, &|| format!("a frame of {name} at {} zeroed", frame.offset))?;
            let mut image = closed.clone();
            image.set_len(&name, frame.offset);
            let allowed = match frame.segment == newest {
                // Nothing is left that says how long the newest segment was, but what other files say: at a clean close, the
                // anchors.
                true if is_last_mark => Outcome::Whole,
                true if proven => Outcome::Refused,
                true => Outcome::Shorter,
                false => Outcome::Refused,
            };
            // A segment may have bytes behind its valid length, which do not count.
            if allowed == Outcome::Refused && !self.counts(closed, frame) {
                continue;
            }
            self.judge(&image, allowed, &|| format!("{name} cut at {}", frame.offset))?;
        }
        self.with_an_anchor(closed)
    }

    /// Where a process was killed the anchors may know of nothing yet: a commit that is lost is missed because frames behind
    /// it say that it was durable, and by that alone.
    fn witnessed(&mut self, killed: &Image) -> Result<(), String> {
        let newest = segments(killed).pop().unwrap_or(0);
        if !snapshots(killed).is_empty() {
            // What a snapshot covers is not read.
            return Ok(());
        }
        let placed: Vec<Placed> = self.placed(killed).into_iter().filter(|frame| frame.segment == newest).collect();
        for (number, frame) in placed.iter().enumerate() {
            let behind = placed.get(number + 1..).unwrap_or_default();
            if !frame.commits.is_some_and(|seq| behind.iter().any(|frame| frame.mark >= seq)) {
                continue;
            }
            let (name, mut image) = (segment_name(newest), killed.clone());
            image.zero(&name, frame.offset, usize::try_from(frame.len).unwrap_or(0));
            self.judge(&image, Outcome::Refused, &|| format!("killed, a frame of {name} at {} zeroed", frame.offset))?;
        }
        Ok(())
    }

    /// Two files at once: an anchor is gone, and the newest segment is cut to its header. The other anchor has seen it, too.
    fn with_an_anchor(&mut self, closed: &Image) -> Result<(), String> {
        let anchors = anchors(closed);
        let newest = segments(closed).pop().unwrap_or(0);
        let holds_commits = self.placed(closed).iter().any(|frame| frame.segment == newest && !frame.is_mark);
        let both = anchors.len() == 2 && anchors.iter().all(|(_, anchor)| anchor.proven_seq >= self.seq);
        for (slot, _) in anchors.iter().filter(|_| both && holds_commits) {
            let mut image = closed.clone();
            image.remove(slot.name());
            image.set_len(&segment_name(newest), SEGMENT_HEADER_BYTES);
            self.judge(&image, Outcome::Refused, &|| format!("{} gone, segment {newest} cut", slot.name()))?;
        }
        Ok(())
    }

    /// Whether a frame of a sealed segment lies within what its successor says of it.
    fn counts(&self, image: &Image, frame: &Placed) -> bool {
        headers(image)
            .iter()
            .filter_map(|header| header.previous)
            .any(|previous| previous.segment == frame.segment && frame.offset < previous.valid_len)
    }

    /// Files are gone, or have a tail of garbage.
    fn files(&mut self, closed: &Image) -> Result<(), String> {
        let names: Vec<String> = closed.names().map(str::to_owned).collect();
        for name in names {
            let segment = parse_segment_name(&name);
            let is_snapshot = parse_snapshot_name(&name).is_some();
            let mut image = closed.clone();
            image.remove(&name);
            let allowed = match segment {
                Some(segment) if self.is_unnamed(closed, segment) => Outcome::Whole,
                Some(_) => Outcome::Refused,
                None if is_snapshot || anchors(closed).len() > 1 => Outcome::Whole,
                None => Outcome::RefusedOrWhole,
            };
            self.judge(&image, allowed, &|| format!("{name} gone"))?;
            if segment.is_some() {
                self.salvage_reads_the_rest(&image).map_err(|what| format!("damaged at rest, {name} gone: {what}"))?;
            }
            if !is_snapshot {
                let mut image = closed.clone();
                image.append(&name, &[0xa5; 72]);
                self.judge(&image, Outcome::Whole, &|| format!("{name} with a tail of garbage"))?;
            }
        }
        Ok(())
    }

    /// A segment is gone. Salvage hands out every transaction that the others have, behind the snapshot that it begins with,
    /// does not claim to be complete, and writes nothing.
    fn salvage_reads_the_rest(&mut self, image: &Image) -> Result<(), String> {
        self.count += 1;
        let disk = CrashStorage::from_image(image);
        let options = options(self.workload).recovery(RecoveryMode::Salvage);
        let host = std::sync::Arc::new(SeededHost::new(LIFE + 2));
        let db = match Db::open(disk.clone(), host, options) {
            Ok(db) => db,
            // There is nothing to go on from.
            Err(_) if segments(image).is_empty() => return Ok(()),
            Err(error) => return Err(format!("salvage refuses the store: {error}")),
        };
        if disk.is_changed() {
            return Err("salvage changes the store".into());
        }
        let report = db.recovery_report();
        if report.log.complete {
            return Err("salvage claims that nothing is missing".into());
        }
        let from = report.snapshot.map_or(0, |(_, seq)| seq);
        let frames = self.placed(image);
        let cut = |frame: &&Placed| self.is_sealed(image, frame.segment) && !self.counts(image, frame);
        let there = frames.iter().filter(|frame| !cut(frame)).filter_map(|frame| frame.commits);
        let there: BTreeSet<u64> = there.filter(|seq| *seq > from).collect();
        // What was done to a run whose beginning is lost, or to a document of which something is.
        let skipped = report.log.damage.iter().filter(|damage| ["F-36", "F-39"].contains(&damage.rule)).count();
        let found = report.log.records + u64::try_from(skipped).unwrap_or(u64::MAX);
        if found == u64::try_from(there.len()).unwrap_or(u64::MAX) {
            return Ok(());
        }
        Err(format!(
            "salvage hands out {} transactions behind {from} and skips {skipped}, of {there:?}",
            report.log.records
        ))
    }

    /// Whether a segment has a successor among the files.
    fn is_sealed(&self, image: &Image, segment: u64) -> bool {
        headers(image).iter().filter_map(|header| header.previous).any(|previous| previous.segment == segment)
    }

    /// Files of another store, and of a second writer of this one.
    fn foreign(&mut self, closed: &Image) -> Result<(), String> {
        if let Some((slot, anchor)) = anchors(closed).iter().min_by_key(|(_, anchor)| anchor.counter) {
            let foreign = Anchor { store: StoreId::from_bytes([0x5a; 16]), counter: anchor.counter + 10, ..*anchor };
            let mut image = closed.clone();
            image.overwrite(slot.name(), 0, &foreign.encode());
            self.judge(&image, Outcome::Refused, &|| format!("{} of another store", slot.name()))?;
        }
        let headers = headers(closed);
        let Some(newest) = headers.last() else { return Ok(()) };
        let previous = newest.previous.unwrap_or(Previous {
            segment: newest.segment,
            valid_len: SEGMENT_HEADER_BYTES,
            last_seq: 0,
            last_crc: 0,
        });
        // A process that was thought to be dead goes on behind the same segment.
        let fork = SegmentHeader {
            segment: newest.segment + 1,
            salt: [9; 16],
            first_seq: previous.last_seq + 1,
            previous: Some(previous),
            ..newest.clone()
        };
        if newest.previous.is_some() {
            let mut image = closed.clone();
            image.put(&segment_name(fork.segment), &fork.encode());
            self.judge(&image, Outcome::Refused, &|| String::from("two segments follow one"))?;
        }
        Ok(())
    }

    /// The blocks behind the end of the newest segment have frames of an older one from another life of theirs.
    fn stale(&mut self, killed: &Image) -> Result<(), String> {
        let placed = self.placed(killed);
        let Some(newest) = segments(killed).pop() else { return Ok(()) };
        let name = segment_name(newest);
        let last = placed.iter().rev().find(|frame| frame.segment == newest);
        let end = last.map_or(SEGMENT_HEADER_BYTES, |frame| frame.offset + frame.len);
        for frame in placed.iter().filter(|frame| frame.segment != newest && frame.offset >= end) {
            let old = killed.bytes(&segment_name(frame.segment)).unwrap_or_default();
            let range =
                usize::try_from(frame.offset).unwrap_or(0)..usize::try_from(frame.offset + frame.len).unwrap_or(0);
            let mut image = killed.clone();
            image.overwrite(&name, frame.offset, old.get(range).unwrap_or_default());
            self.judge(&image, Outcome::Whole, &|| {
                format!("a frame of {} at {} of {name}", segment_name(frame.segment), frame.offset)
            })?;
        }
        Ok(())
    }
}

/// The number that a record begins with (F-14): its seq.
fn first_varint(bytes: &[u8]) -> u64 {
    let len = bytes.iter().position(|byte| byte & 0x80 == 0).map_or(bytes.len(), |last| last + 1);
    bytes.iter().take(len).rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}

/// The valid anchors.
fn anchors(image: &Image) -> Vec<(AnchorSlot, Anchor)> {
    let anchor = |slot: AnchorSlot| {
        let bytes = image.bytes(slot.name())?;
        Some((slot, Anchor::decode(slot.name(), &bytes).ok()??))
    };
    AnchorSlot::BOTH.into_iter().filter_map(anchor).collect()
}

/// The numbers of the segments, ascending.
fn segments(image: &Image) -> Vec<u64> {
    image.names().filter_map(parse_segment_name).collect()
}

/// The generations of the snapshots, ascending.
fn snapshots(image: &Image) -> Vec<u64> {
    let generations = image.names().filter_map(parse_snapshot_name);
    // One that was never finished begins with zeros.
    generations
        .filter(|generation| image.bytes(&snapshot_name(*generation)).is_some_and(|bytes| bytes.first() != Some(&0)))
        .collect()
}

/// The headers of the segments, ascending.
fn headers(image: &Image) -> Vec<SegmentHeader> {
    let header = |number| SegmentHeader::decode("a segment", &image.bytes(&segment_name(number))?).ok()?;
    segments(image).into_iter().filter_map(header).collect()
}
