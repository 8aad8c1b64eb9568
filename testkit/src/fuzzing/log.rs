//! Anchors and segments: what is decoded encodes to the same bytes, and the scan behind damage sees what reading sees.

use foldb_core::log::{
    ANCHOR_BYTES, Anchor, FrameOutcome, FrameSeal, FrameType, FrameWriter, LogPosition, RecordView, RecordWriter,
    SEGMENT_HEADER_BYTES, SegmentHeader, peek_seq_and_mark, read_frame, resync, segment_name,
};

use super::{Disk, Fixup};

/// An anchor; the first byte says whether its checksum is put right.
pub(super) fn anchor(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    let mut files = [("anchor-a".to_owned(), bytes.to_vec())].into();
    Fixup::from_byte(*first).apply(&mut files);
    let bytes = &files["anchor-a"];
    if let Ok(Some(anchor)) = Anchor::decode("anchor-a", bytes) {
        assert_eq!(anchor.encode(), bytes[..ANCHOR_BYTES], "an anchor has one encoding");
    }
}

/// A segment; the first byte says which checksums are put right, the second the segment's number.
pub(super) fn frames(input: &[u8]) {
    let [first, number, bytes @ ..] = input else { return };
    let (fixup, number) = (Fixup::from_byte(*first), u64::from(*number));
    let name = segment_name(number);
    let mut disk = Disk { fixup, files: [(name.clone(), bytes.to_vec())].into() };
    disk.fixup.apply(&mut disk.files);
    let bytes = &disk.files[&name];
    if let Ok(Some(header)) = SegmentHeader::decode(&name, bytes) {
        assert_eq!(header.encode()[..], bytes[..128], "a segment header has one encoding");
    }
    let Some(salt) = bytes.get(48..64).and_then(|salt| salt.try_into().ok()) else { return };
    let Some(frames) = bytes.get(128..) else { return };
    let seal = FrameSeal::new(salt, number);
    let read = read_all(frames, &seal, number);
    let found: Vec<u64> = resync(frames, SEGMENT_HEADER_BYTES, &seal).map(|(offset, _)| offset).collect();
    assert!(found.starts_with(&read), "the scan finds what reading finds: {read:?} in {found:?}");
    for window in found.windows(2) {
        assert!(window[0] < window[1], "the scan goes forwards");
    }
}

/// Reads frame after frame up to the end or the first that is none; returns where they begin.
fn read_all(bytes: &[u8], seal: &FrameSeal, number: u64) -> Vec<u64> {
    let (mut offset, mut read) = (SEGMENT_HEADER_BYTES, Vec::new());
    loop {
        let start = usize::try_from(offset - SEGMENT_HEADER_BYTES).unwrap();
        let FrameOutcome::Frame(frame) = read_frame(&bytes[start.min(bytes.len())..], offset, seal) else {
            return read;
        };
        assert!(frame.next > offset, "a frame takes room");
        read.push(offset);
        let whole = &bytes[start..usize::try_from(frame.next - SEGMENT_HEADER_BYTES).unwrap()];
        write_again(whole, frame.frame_type, frame.payload, seal, LogPosition { segment: number, offset });
        offset = frame.next;
    }
}

/// A frame and its record, written again, are the same bytes.
fn write_again(whole: &[u8], kind: FrameType, payload: &[u8], seal: &FrameSeal, at: LogPosition) {
    let mut buffer = Vec::new();
    let writer = FrameWriter::begin(&mut buffer, kind);
    buffer.extend_from_slice(payload);
    writer.finish(&mut buffer, seal, at.offset).expect("what was read can be written");
    assert_eq!(buffer, whole, "a frame has one encoding");
    if matches!(kind, FrameType::Mark | FrameType::Opening) {
        return;
    }
    let Ok(view) = RecordView::parse(payload, kind, at) else { return };
    let header = *view.header();
    assert_eq!(peek_seq_and_mark(payload), Some((header.seq, header.mark)));
    buffer.clear();
    let mut record = RecordWriter::begin(&mut buffer, &header, at, view.group_count());
    for group in view.groups() {
        record.group(group.space, group.previous, group.op_count);
        let mut ops = 0;
        for op in group.ops() {
            record.op(op.code, op.key, op.body);
            ops += 1;
        }
        assert_eq!(ops, group.op_count, "a group has the operations that it announces");
    }
    assert_eq!(buffer, payload, "a record has one encoding");
}
