//! A small engine that keeps the rules of writing, on a disk that loses what was not synced.
//!
//! Whatever is lost, wherever it stops, however often: what was promised is there, the rest is a prefix of what was
//! committed, and recovering again comes to the same (R1 to R6 of the requirements).

use alloc::{string::String, vec, vec::Vec};

use super::{
    super::{LogOutcome, Survey, fold as fold_log, survey as survey_storage},
    Folded,
    build::{Files, STORE, storage},
    disk::{Dice, Disk, Survival},
    go_on,
};
use crate::{
    Result,
    log::{
        Anchor, AnchorSlot, FrameSeal, FrameType, FrameWriter, LogPosition, OpCode, Previous, Reasons, RecordHeader,
        RecordWriter, SEGMENT_HEADER_BYTES, SegmentHeader, segment_name, wide, write_mark,
    },
    recovery::RecoveryMode,
};

/// Content of a transaction: what its operations, one for each frame, hold.
type Content = Vec<Vec<u8>>;

/// The segment that is being written.
#[derive(Clone)]
struct Current {
    number: u64,
    seal: FrameSeal,
    len: u64,
    last_crc: u32,
}

/// Writes by the rules: rotation (F-26), tail (F-25), anchors (F-9), header (F-28), removal (F-27).
#[derive(Clone)]
struct Engine {
    disk: Disk,
    dice: Dice,
    epoch: u64,
    next_segment: u64,
    counter: u64,
    slot: AnchorSlot,
    /// What the next header says about its predecessor.
    previous: Option<Previous>,
    current: Option<Current>,
    garbage: Vec<String>,
    written: u64,
    durable: u64,
    /// Contents of all transactions from seq 1 on.
    history: Vec<Content>,
    /// The promise at each length of the disk's list.
    promises: Vec<(usize, u64)>,
}

impl Engine {
    /// Recovers what the disk shows and makes it ready to be served, as an opening does.
    fn open(mut disk: Disk, dice: Dice) -> Result<Self> {
        // Before it is read, whatever may be unsynced is synced (F-28). Ghosts stay ghosts.
        let files = disk.live();
        let newest_segments: Vec<_> = files.keys().filter(|name| name.starts_with("log-")).cloned().collect();
        for name in files.keys().filter(|name| name.starts_with("anchor-")).chain(newest_segments.iter().rev().take(2))
        {
            disk.sync(name);
        }
        let (survey, folded, outcome) = recover(&files)?;
        let mut engine = Engine {
            disk,
            dice,
            epoch: survey.epoch + 1,
            next_segment: survey.next_segment,
            counter: survey.anchor.map_or(0, |(_, anchor)| anchor.counter),
            slot: survey.next_anchor_slot(outcome.any_frame),
            previous: outcome.continuation,
            current: None,
            garbage: survey.garbage.clone(),
            written: outcome.last_seq,
            durable: outcome.last_seq,
            history: folded,
            promises: vec![],
        };
        if let (false, Some(newest)) = (survey.newest_is_anchored, survey.newest()) {
            let name = segment_name(newest.number);
            engine.disk.write(&name, 0, &newest.header.encode());
            engine.disk.sync(&name);
        }
        if !outcome.tail.is_empty() {
            engine.carry(&outcome);
        }
        engine.promise();
        Ok(engine)
    }

    fn promise(&mut self) {
        self.promises.push((self.disk.len(), self.durable));
    }

    fn promised_at(&self, prefix: usize) -> u64 {
        self.promises.iter().filter(|(len, _)| *len <= prefix).map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// A new segment's header, for a predecessor that is synced up to what it says.
    fn new_segment(&mut self) -> (SegmentHeader, Current) {
        let number = self.next_segment;
        self.next_segment += 1;
        let salt = core::array::from_fn(|_| self.dice.roll(256) as u8);
        let first_seq = self.previous.map_or(1, |previous| previous.last_seq + 1);
        let header = SegmentHeader {
            store: STORE,
            segment: number,
            epoch: self.epoch,
            salt,
            first_seq,
            previous: self.previous,
        };
        let current = Current { number, seal: FrameSeal::new(&salt, number), len: SEGMENT_HEADER_BYTES, last_crc: 0 };
        self.disk.create(&segment_name(number));
        (header, current)
    }

    /// Tail records in a new segment: body, sync, header, sync, anchor.
    fn carry(&mut self, outcome: &LogOutcome) {
        let (header, mut current) = self.new_segment();
        let name = segment_name(current.number);
        let mut body = vec![];
        for record in &outcome.tail {
            let content: Content =
                record.frames.iter().map(|frame| ops(&frame.record().unwrap())).collect::<Vec<_>>().concat();
            append(&mut body, &mut current, record.seq, outcome.last_seq, &content);
            self.history.push(content);
            self.written = record.seq;
        }
        // True as soon as the header is valid: by then the body is durable.
        let offset = current.len + wide(body.len());
        let crc = write_mark(&mut body, &current.seal, offset, self.written, self.written).unwrap();
        current.len = SEGMENT_HEADER_BYTES + wide(body.len());
        current.last_crc = crc;
        for (index, piece) in body.chunks(40).enumerate() {
            self.disk.write(&name, SEGMENT_HEADER_BYTES as usize + index * 40, piece);
        }
        self.disk.sync(&name);
        self.disk.write(&name, 0, &header.encode());
        self.disk.sync(&name);
        self.durable = self.written;
        self.anchor(current.number);
        self.seal(current);
    }

    fn anchor(&mut self, newest_segment: u64) {
        self.counter += 1;
        let anchor = Anchor {
            counter: self.counter,
            store: STORE,
            newest_segment,
            oldest_segment: self.oldest(),
            newest_snapshot: None,
            proven_seq: self.durable,
            end: None,
        };
        let name = self.slot.name();
        if !self.disk.live().contains_key(name) {
            self.disk.create(name);
        }
        self.disk.write(name, 0, &anchor.encode());
        self.disk.sync(name);
        self.slot = self.slot.other();
        for name in core::mem::take(&mut self.garbage) {
            self.disk.remove(&name);
        }
    }

    /// Nothing is ever trimmed here: the first segment that has a header.
    fn oldest(&self) -> u64 {
        let files = self.disk.live();
        let mut headers = files.iter().filter_map(|(name, bytes)| SegmentHeader::decode(name, bytes).ok().flatten());
        headers.find(|header| header.previous.is_none()).map_or(1, |header| header.segment)
    }

    /// The current segment is full, or was recovered, and is not written any more.
    fn seal(&mut self, current: Current) {
        let Current { number, len, last_crc, .. } = current;
        self.previous = Some(Previous { segment: number, valid_len: len, last_seq: self.written, last_crc });
    }

    fn rotate(&mut self) {
        if let Some(current) = self.current.take() {
            self.disk.sync(&segment_name(current.number));
            self.durable = self.written;
            self.promise();
            self.seal(current);
        }
        let (header, current) = self.new_segment();
        let name = segment_name(current.number);
        if self.dice.roll(2) == 0 {
            // Preallocated.
            self.disk.write(&name, 0, &[0; 700]);
        }
        self.disk.write(&name, 0, &header.encode());
        self.disk.sync(&name);
        self.anchor(current.number);
        self.current = Some(current);
    }

    /// Some commits, each its own write.
    fn commit(&mut self, count: u64) {
        for _ in 0..count {
            if self.current.as_ref().is_none_or(|current| current.len > 700) {
                self.rotate();
            }
            self.written += 1;
            let frames = 1 + if self.dice.roll(5) == 0 { self.dice.roll(3) } else { 0 };
            let content: Content =
                (0..frames).map(|_| vec![self.dice.roll(256) as u8; self.dice.roll(60) as usize]).collect();
            let Some(current) = &mut self.current else { return };
            let (name, offset) = (segment_name(current.number), current.len as usize);
            let mut bytes = vec![];
            append(&mut bytes, current, self.written, self.durable, &content);
            current.len += wide(bytes.len());
            self.history.push(content);
            // A write of the engine may reach the disk in pieces.
            let cut = self.dice.roll(bytes.len() as u64 + 1) as usize;
            let (front, back) = bytes.split_at(cut);
            if !front.is_empty() {
                self.disk.write(&name, offset, front);
            }
            if !back.is_empty() {
                self.disk.write(&name, offset + cut, back);
            }
        }
    }

    fn mark(&mut self) {
        let Some(current) = &mut self.current else { return };
        let (name, offset) = (segment_name(current.number), current.len as usize);
        let mut bytes = vec![];
        current.last_crc = write_mark(&mut bytes, &current.seal, current.len, self.written, self.durable).unwrap();
        current.len += wide(bytes.len());
        self.disk.write(&name, offset, &bytes);
    }

    fn sync(&mut self) {
        let Some(current) = &self.current else { return };
        self.disk.sync(&segment_name(current.number));
        self.durable = self.written;
        self.promise();
    }

    /// Commits, marks, syncs and rotations as the dice say.
    fn work(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.dice.roll(8) {
                0..4 => {
                    let count = 1 + self.dice.roll(3);
                    self.commit(count);
                }
                4 => self.mark(),
                5 if self.dice.roll(4) == 0 => self.rotate(),
                _ => self.sync(),
            }
        }
    }

    /// Checks what is left after a crash, and that an interrupted and a repeated recovery come to the same.
    fn check(&self, files: &Files, prefix: usize, what: &str) -> Vec<Content> {
        let (survey, mut recovered, outcome) = recover(files).unwrap_or_else(|error| panic!("{what}: {error}"));
        recovered.extend(outcome.tail.iter().map(|record| {
            record.frames.iter().map(|frame| ops(&frame.record().unwrap())).collect::<Vec<_>>().concat()
        }));
        let promised = self.promised_at(prefix);
        assert!(wide(recovered.len()) >= promised, "{what}: {promised} were promised, {} are there", recovered.len());
        assert_eq!(recovered[..], self.history[..recovered.len()], "{what}: not what was committed");
        let again = recover(files).unwrap();
        assert_eq!((&again.0, &again.2), (&survey, &outcome), "{what}: recovering again");
        recovered
    }
}

/// Appends a transaction: one frame, or a part for each piece of content and a commit for the last. `bytes` are those
/// behind what the segment has already.
fn append(bytes: &mut Vec<u8>, current: &mut Current, seq: u64, mark: u64, content: &Content) {
    for (index, body) in content.iter().enumerate() {
        let is_last = index + 1 == content.len();
        let (frame_type, part) = match (content.len(), is_last) {
            (1, _) => (FrameType::Transaction, None),
            (_, true) => (FrameType::Commit, u32::try_from(index).ok()),
            (_, false) => (FrameType::Part, u32::try_from(index).ok()),
        };
        let offset = current.len + wide(bytes.len());
        let at = LogPosition { segment: current.number, offset };
        let frame = FrameWriter::begin(bytes, frame_type);
        let header =
            RecordHeader { seq, mark, time_micros: seq, idempotency_key: None, reasons: Reasons::default(), part };
        let mut record = RecordWriter::begin(bytes, &header, at, 1);
        record.group(0, None, 1);
        record.op(OpCode::KvPut, b"", body);
        current.last_crc = frame.finish(bytes, &current.seal, offset).unwrap();
    }
}

fn ops(view: &crate::log::RecordView<'_>) -> Content {
    view.groups().flat_map(|group| group.ops()).map(|op| op.body.to_vec()).collect()
}

/// The contents that are proven, and everything else that recovery says.
fn recover(files: &Files) -> Result<(Survey, Vec<Content>, LogOutcome)> {
    let storage = storage(files);
    let survey = survey_storage(&storage, RecoveryMode::Default)?;
    let mut contents = vec![];
    let mut folded = Folded::default();
    let outcome = fold_log(&storage, &survey, None, RecoveryMode::Default, &mut go_on, &mut |record| {
        contents.push(record.frames.iter().map(ops).collect::<Vec<_>>().concat());
        folded.take(record)
    })?;
    assert_eq!(folded.seqs, (1..=wide(folded.seqs.len())).collect::<Vec<_>>());
    Ok((survey, contents, outcome))
}

fn fresh(seed: u64) -> Engine {
    Engine::open(Disk::default(), Dice(seed)).unwrap()
}

/// An engine on what a crash has left, and a check of every interruption of its opening.
fn reopen(files: &Files, expected: &[Content], dice: &Dice, what: &str) -> Engine {
    let base = Disk::of(files);
    let synced = base.len();
    let mut engine = Engine::open(base, dice.clone()).unwrap();
    assert_eq!(engine.history, expected, "{what}: opening serves what recovery found");
    for prefix in synced..=engine.disk.len() {
        let mut dice = engine.dice.clone();
        let left = engine.disk.crash(prefix, &mut |len| Survival::by(&mut dice, len));
        let what = alloc::format!("{what}, opening interrupted at {prefix}");
        assert_eq!(engine.check(&left, prefix, &what), expected, "{what}");
        engine.dice = dice;
    }
    engine
}

#[test]
fn whatever_a_crash_loses_what_was_promised_is_there() {
    for seed in 0..400 {
        let mut engine = fresh(seed);
        for generation in 0..4 {
            let before = engine.disk.len();
            let steps = engine.dice.roll(12);
            engine.work(steps);
            let mut dice = engine.dice.clone();
            let prefix = before + dice.roll((engine.disk.len() - before) as u64 + 1) as usize;
            let left = engine.disk.crash(prefix, &mut |len| Survival::by(&mut dice, len));
            let what = alloc::format!("seed {seed}, generation {generation}, crash at {prefix}");
            let recovered = engine.check(&left, prefix, &what);
            engine = reopen(&left, &recovered, &dice, &what);
        }
    }
}

#[test]
fn every_subset_of_unsynced_writes_of_a_short_history_is_recovered() {
    let mut images = 0;
    for seed in 0..10 {
        let mut engine = fresh(1000 + seed);
        engine.work(5);
        // A second life, so that a tail is carried too.
        let left = engine.disk.crash(engine.disk.len(), &mut |_| Survival::Whole);
        let base = Disk::of(&left);
        let born = base.len();
        let mut engine = Engine::open(base, engine.dice.clone()).unwrap();
        engine.work(5);
        for prefix in born..=engine.disk.len() {
            // The last nine; those before them are kept.
            let undecided = engine.disk.undecided(prefix);
            let kept = undecided.saturating_sub(9);
            for subset in 0..1_u64 << (undecided - kept) {
                let mut index = 0;
                let left = engine.disk.crash(prefix, &mut |_| {
                    index += 1;
                    let is_kept = index <= kept || subset >> (index - kept - 1) & 1 == 1;
                    if is_kept { Survival::Whole } else { Survival::Nothing }
                });
                images += 1;
                engine.check(&left, prefix, &alloc::format!("seed {seed}, crash at {prefix}, subset {subset:b}"));
            }
        }
    }
    assert!(images > 5_000, "{images} images");
}

#[test]
fn every_torn_write_at_every_byte_is_recovered() {
    for seed in 0..6 {
        let mut engine = fresh(2000 + seed);
        engine.work(6);
        for prefix in 0..=engine.disk.len() {
            // The last unsynced action in two pieces, everything before it whole.
            let undecided = engine.disk.undecided(prefix);
            for cut in 0..200 {
                let (mut index, mut longest) = (0, 0);
                let mut tear = |front: bool| {
                    index = 0;
                    engine.disk.crash(prefix, &mut |len| {
                        index += 1;
                        longest = if index == undecided { len } else { longest };
                        let cut = cut.min(len);
                        match (index == undecided, front) {
                            (false, _) => Survival::Whole,
                            (true, true) => Survival::Part(0..cut),
                            (true, false) => Survival::Part(cut..len),
                        }
                    })
                };
                for left in [tear(true), tear(false)] {
                    engine.check(&left, prefix, &alloc::format!("seed {seed}, crash at {prefix}, torn at {cut}"));
                }
                if cut > longest {
                    break;
                }
            }
        }
    }
}

#[test]
fn bytes_that_only_the_page_cache_had_are_written_again_before_they_are_served() {
    let mut ghosts = 0;
    for seed in 0..1500 {
        let mut first = fresh(3000 + seed);
        let steps = first.dice.roll(14);
        first.work(steps);
        // A sync fails; the process is started again on the same system, which shows what the disk does not have.
        let mut dice = first.dice.clone();
        let Some((failed_at, disk)) = first.disk.with_a_failed_sync(&mut dice) else { continue };
        let mut second = Engine::open(disk, dice.clone()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let steps = second.dice.roll(6);
        second.work(steps);
        // Then the power fails, at any time after the failed sync.
        for _ in 0..6 {
            let prefix = failed_at + dice.roll((second.disk.len() - failed_at) as u64 + 1) as usize;
            let left = second.disk.crash(prefix, &mut |len| Survival::by(&mut dice, len));
            let what = alloc::format!("seed {seed}, sync failed at {failed_at}, crash at {prefix}");
            let recovered = second.check(&left, prefix, &what);
            let promised = first.promised_at(failed_at);
            assert!(wide(recovered.len()) >= promised, "{what}: {promised} were promised before");
            ghosts += 1;
        }
    }
    assert!(ghosts > 5_000, "{ghosts} images");
}

#[test]
fn nothing_is_written_by_opening_a_store_that_was_closed_cleanly() {
    for seed in 0..50 {
        let mut engine = fresh(4000 + seed);
        engine.work(6);
        engine.sync();
        engine.mark();
        engine.sync();
        let files = engine.disk.live();
        let base = Disk::of(&files);
        let reopened = Engine::open(base, engine.dice.clone()).unwrap();
        assert_eq!(reopened.disk.live(), files, "seed {seed}");
        assert_eq!(reopened.history, engine.history);
    }
}
