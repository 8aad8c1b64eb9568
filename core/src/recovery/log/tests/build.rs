//! Hand-built stores: segments of small transactions whose content follows from their seq.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use crate::{
    StoreId,
    log::{
        Anchor, AnchorSlot, FrameSeal, FrameType, FrameWriter, LogPosition, OpCode, Previous, Reasons, RecordHeader,
        RecordWriter, SegmentHeader, segment_name, varint, wide, write_mark,
    },
    storage::MemStorage,
};

pub(super) const STORE: StoreId = StoreId::from_bytes(*b"the store's name");

/// Key and body of the operation of a transaction.
pub(super) fn content(seq: u64) -> (Vec<u8>, Vec<u8>) {
    let len = usize::try_from(10 + seq % 9).unwrap();
    (seq.to_le_bytes().to_vec(), vec![seq.to_le_bytes()[0]; len])
}

/// A frame of a segment under construction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) seq: u64,
    pub(super) mark: u64,
    pub(super) is_mark: bool,
}

/// A segment under construction.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) bytes: Vec<u8>,
    pub(super) frames: Vec<Placed>,
    pub(super) last_seq: u64,
    pub(super) last_crc: u32,
    seal: FrameSeal,
}

impl Segment {
    pub(super) fn with_header(header: SegmentHeader) -> Self {
        let seal = FrameSeal::new(&header.salt, header.segment);
        let (bytes, last_seq) = (header.encode().to_vec(), header.first_seq - 1);
        Segment { header, bytes, frames: vec![], last_seq, last_crc: 0, seal }
    }

    pub(super) fn first(number: u64) -> Self {
        let salt = [0x5a ^ number.to_le_bytes()[0]; 16];
        let header = SegmentHeader { store: STORE, segment: number, epoch: 1, salt, first_seq: 1, previous: None };
        Self::with_header(header)
    }

    /// The segment that follows this one.
    pub(super) fn next(&self, number: u64) -> Self {
        let header = SegmentHeader {
            segment: number,
            epoch: self.header.epoch + 1,
            salt: [number.to_le_bytes()[0]; 16],
            first_seq: self.last_seq + 1,
            previous: Some(self.previous()),
            store: STORE,
        };
        Self::with_header(header)
    }

    pub(super) fn previous(&self) -> Previous {
        let valid_len = wide(self.bytes.len());
        Previous { segment: self.header.segment, valid_len, last_seq: self.last_seq, last_crc: self.last_crc }
    }

    /// What recovery counts of it: up to the last transaction, without the marks behind it.
    pub(super) fn counted(&self) -> Previous {
        let last = self.frames.iter().rev().find(|frame| !frame.is_mark);
        let valid_len = last.map_or(128, |frame| frame.end);
        let at = usize::try_from(valid_len).unwrap();
        let last_crc = last.map_or(0, |_| u32::from_le_bytes(*self.bytes[..at].last_chunk().unwrap()));
        Previous { valid_len, last_crc, ..self.previous() }
    }

    pub(super) fn name(&self) -> String {
        segment_name(self.header.segment)
    }

    /// A frame of any type with the content of `seq`, without asking whether it may be here.
    pub(super) fn frame(&mut self, frame_type: FrameType, seq: u64, mark: u64, part: Option<u32>) -> &mut Self {
        self.frame_with(frame_type, seq, mark, part, &content(seq))
    }

    pub(super) fn frame_with(
        &mut self,
        frame_type: FrameType,
        seq: u64,
        mark: u64,
        part: Option<u32>,
        (key, body): &(Vec<u8>, Vec<u8>),
    ) -> &mut Self {
        let at = LogPosition { segment: self.header.segment, offset: wide(self.bytes.len()) };
        let frame = FrameWriter::begin(&mut self.bytes, frame_type);
        let header = RecordHeader {
            seq,
            mark,
            time_micros: seq * 1000,
            idempotency_key: None,
            reasons: Reasons::default(),
            part,
        };
        let mut record = RecordWriter::begin(&mut self.bytes, &header, at, 1);
        record.group(0, None, 1);
        record.op(OpCode::KvPut, key, body);
        self.last_crc = frame.finish(&mut self.bytes, &self.seal, at.offset).unwrap();
        self.place(at.offset, seq, mark, false);
        self
    }

    fn place(&mut self, offset: u64, seq: u64, mark: u64, is_mark: bool) {
        self.frames.push(Placed { offset, end: wide(self.bytes.len()), seq, mark, is_mark });
    }

    /// The next transaction, with this durable mark.
    pub(super) fn commit(&mut self, mark: u64) -> &mut Self {
        self.last_seq += 1;
        self.frame(FrameType::Transaction, self.last_seq, mark, None)
    }

    /// The next transaction in `parts` parts and a commit frame.
    pub(super) fn commit_parts(&mut self, mark: u64, parts: u32) -> &mut Self {
        self.parts(mark, parts);
        self.last_seq += 1;
        self.frame(FrameType::Commit, self.last_seq, mark, Some(parts))
    }

    /// Parts of the next transaction without a commit frame.
    pub(super) fn parts(&mut self, mark: u64, parts: u32) -> &mut Self {
        for part in 0..parts {
            self.frame(FrameType::Part, self.last_seq + 1, mark, Some(part));
        }
        self
    }

    pub(super) fn mark(&mut self, mark: u64) -> &mut Self {
        let offset = wide(self.bytes.len());
        self.last_crc = write_mark(&mut self.bytes, &self.seal, offset, self.last_seq, mark).unwrap();
        self.place(offset, self.last_seq, mark, true);
        self
    }

    /// A mark with these bytes behind its numbers.
    pub(super) fn mark_and(&mut self, mark: u64, behind: &[u8]) -> &mut Self {
        let offset = wide(self.bytes.len());
        let frame = FrameWriter::begin(&mut self.bytes, FrameType::Mark);
        varint::write(&mut self.bytes, self.last_seq);
        varint::write(&mut self.bytes, self.last_seq - mark);
        self.bytes.extend_from_slice(behind);
        self.last_crc = frame.finish(&mut self.bytes, &self.seal, offset).unwrap();
        self.place(offset, self.last_seq, mark, true);
        self
    }

    pub(super) fn zeros(&mut self, bytes: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + bytes, 0);
        self
    }
}

/// An anchor for these segments.
pub(super) fn anchor(counter: u64, segments: &[Segment], proven_seq: u64) -> Anchor {
    Anchor {
        counter,
        store: STORE,
        newest_segment: segments.last().map_or(1, |segment| segment.header.segment),
        oldest_segment: segments.first().map_or(1, |segment| segment.header.segment),
        newest_snapshot: None,
        proven_seq,
        end: None,
    }
}

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The files of a store with these segments and an anchor that proves nothing but them.
pub(super) fn files(segments: &[Segment]) -> Files {
    files_with(segments, &[(AnchorSlot::A, anchor(1, segments, 0))])
}

pub(super) fn files_with(segments: &[Segment], anchors: &[(AnchorSlot, Anchor)]) -> Files {
    let mut files: Files = segments.iter().map(|segment| (segment.name(), segment.bytes.clone())).collect();
    files.extend(anchors.iter().map(|(slot, anchor)| (slot.name().into(), anchor.encode().to_vec())));
    files
}

pub(super) fn storage(files: &Files) -> MemStorage {
    MemStorage::from_files(files.iter().map(|(name, bytes)| (name.clone(), bytes)))
}

/// A store of three segments: two sealed ones and a newest one with a part transaction and a clean end.
pub(super) fn three_segments() -> [Segment; 3] {
    let mut first = Segment::first(1);
    first.commit(0).commit(0).commit(2);
    let mut second = first.next(2);
    second.commit(3).commit_parts(3, 2).commit(4).mark(6);
    let mut third = second.next(5);
    third.commit(6).commit_parts(6, 3).commit(8).mark(9);
    [first, second, third]
}
