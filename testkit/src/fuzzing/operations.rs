//! Records that nobody of ours wrote, in a log that is otherwise whole: they are folded, replayed, verified.

use std::collections::BTreeMap;

use foldb_core::{
    StoreId,
    log::{Anchor, FrameSeal, FrameType, FrameWriter, SegmentHeader, segment_name, varint},
};

use super::recovery;

/// Salt of the segment: chosen, not secret.
const SALT: [u8; 16] = *b"salt-of-16-bytes";
const STORE: [u8; 16] = *b"store-id-16bytes";
/// More transactions than this make an input slow and no more interesting.
const TRANSACTIONS_MAX: usize = 64;

/// Transactions one behind the other: a byte of flags, a length in two bytes, and the record from the number of its groups
/// on (F-14). The lowest bit of the flags gives the transaction an idempotency key.
pub(super) fn operations(input: &[u8]) {
    let mut rest = input;
    let mut log = Log::new();
    while let [flags, l0, l1, bytes @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*l0, *l1])).min(bytes.len());
        let (groups, behind) = bytes.split_at(len);
        log.transaction(*flags, groups);
        rest = behind;
        if log.seq == TRANSACTIONS_MAX as u64 {
            break;
        }
    }
    // Once as proven commits, once as a tail that the opening has to carry over.
    recovery::recover(&log.files(log.seq));
    recovery::recover(&log.files(0));
}

struct Log {
    bytes: Vec<u8>,
    seal: FrameSeal,
    seq: u64,
}

impl Log {
    fn new() -> Self {
        let header = SegmentHeader {
            store: StoreId::from_bytes(STORE),
            segment: 1,
            epoch: 1,
            salt: SALT,
            first_seq: 1,
            previous: None,
        };
        Self { bytes: header.encode().to_vec(), seal: FrameSeal::new(&SALT, 1), seq: 0 }
    }

    fn transaction(&mut self, flags: u8, groups: &[u8]) {
        self.seq += 1;
        let offset = self.bytes.len() as u64;
        let frame = FrameWriter::begin(&mut self.bytes, FrameType::Transaction);
        // Seq, distance of the mark (nothing is durable by a mark), time, flags.
        for number in [self.seq, self.seq, 1_000 * u64::from(flags >> 1), u64::from(flags & 1)] {
            varint::write(&mut self.bytes, number);
        }
        if flags & 1 == 1 {
            self.bytes.extend_from_slice(&[1, flags]);
        }
        self.bytes.extend_from_slice(groups);
        frame.finish(&mut self.bytes, &self.seal, offset).expect("a small payload");
    }

    /// The files of the store, by whose anchor all commits up to `proven_seq` are durable.
    fn files(&self, proven_seq: u64) -> BTreeMap<String, Vec<u8>> {
        let anchor = Anchor {
            counter: 1,
            store: StoreId::from_bytes(STORE),
            newest_segment: 1,
            oldest_segment: 1,
            newest_snapshot: None,
            proven_seq,
            end: None,
        };
        BTreeMap::from([(segment_name(1), self.bytes.clone()), ("anchor-a".into(), anchor.encode().to_vec())])
    }
}
