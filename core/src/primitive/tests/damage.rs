//! Streams whose bytes, order or links are not what was appended.

use alloc::{format, sync::Arc, vec, vec::Vec};
use core::ops::ControlFlow;

use super::kind_of;
use crate::{
    Db, Error, ErrorKind, Options, Result,
    host::SteppedHost,
    primitive::{
        ChainReport, EventBatch, Events, NewEvent,
        access::{Access, Item, OnItem, OnPair, OnPendingEvents, PendingStream, Reads},
    },
    state::{BatchIndex, EventBytes, Family, Source, SpaceNumber, StreamInfo, batch_key, entry_kind},
    storage::{MemStorage, Storage, StorageFile},
    tree::{Direction, EntryRef, KeyRange, PageRef, PageSource},
};

/// A stream that is taken apart: its info, and first seq, index and bytes of each batch.
#[derive(Clone)]
struct Apart {
    info: StreamInfo,
    batches: Vec<(u64, BatchIndex, Vec<u8>)>,
}

impl Apart {
    /// Three batches of two events each.
    fn new() -> Self {
        let mut stream = Apart { info: StreamInfo::new(0), batches: vec![] };
        for number in 0..3 {
            stream.append(number);
        }
        stream
    }

    fn append(&mut self, number: u64) {
        let mut batch = EventBatch::new();
        batch.push("kind", number).unwrap();
        batch.push("kind", number).unwrap();
        let events = EventBytes { count: 2, bytes: batch.bytes() };
        let first_seq = self.info.head + 1;
        let index = BatchIndex::build(&events, (number, 0), number, &self.info.link, first_seq).unwrap();
        self.info.head += 2;
        self.info.link = index.link;
        self.batches.push((first_seq, index, batch.bytes().to_vec()));
    }

    fn verify(&self) -> Result<ChainReport> {
        Events::new(self, 0).verify_chain("log")
    }
}

impl Access for &Apart {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        operation(*self)
    }
}

impl Reads for Apart {
    fn get_with(&self, _: SpaceNumber, family: Family, _: &[u8], found: OnItem<'_>) -> Result<()> {
        assert_eq!(family, Family::Stream);
        let value = self.info.encode();
        found(Some(Item::committed(EntryRef { kind: entry_kind::INLINE, seq: 1, value: &value }, self)))
    }

    fn visit(&self, _: SpaceNumber, _: Family, range: &KeyRange, _: Direction, each: OnPair<'_>) -> Result<()> {
        for (first_seq, index, _) in &self.batches {
            let (key, value) = (batch_key(b"log", *first_seq), index.encode());
            let entry = EntryRef { kind: entry_kind::BATCH, seq: 1, value: &value };
            if range.contains(&key) && each(&key, &Item::committed(entry, self))? == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn pending_stream(&self, _: SpaceNumber, _: &[u8]) -> Result<PendingStream> {
        Ok(PendingStream::default())
    }

    fn visit_pending(
        &self,
        _: SpaceNumber,
        _: &[u8],
        _: (u64, u64),
        _: Direction,
        _: OnPendingEvents<'_>,
    ) -> Result<()> {
        Ok(())
    }

    fn source(&self) -> &dyn Source {
        self
    }

    fn now_micros(&self) -> u64 {
        0
    }
}

impl PageSource for Apart {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        panic!("everything is resident, and yet {at:?} is asked for")
    }
}

impl Source for Apart {
    fn log_bytes(&self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        let (_, _, bytes) =
            self.batches.iter().find(|(_, index, _)| index.segment == segment).expect("a known segment");
        let offset = usize::try_from(offset).expect("a small offset");
        Ok(bytes[offset..offset + len].to_vec())
    }
}

/// The rule that is broken.
fn broken(stream: &Apart) -> &'static str {
    match stream.verify() {
        Err(Error::Corrupt { rule, .. }) => rule,
        other => panic!("this is damaged: {other:?}"),
    }
}

#[test]
fn an_intact_stream_is_verified_whole() {
    assert_eq!(Apart::new().verify().unwrap(), ChainReport { batches: 3, events: 6, verified_from: Some(1) });
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let stream = Apart::new();
    for batch in 0..3 {
        for byte in 0..stream.batches[batch].2.len() {
            let mut stream = stream.clone();
            stream.batches[batch].2[byte] ^= 1;
            assert_eq!(broken(&stream), "F-32");
        }
    }
}

#[test]
fn bytes_that_were_exchanged_together_with_their_checksum_break_the_chain() {
    let mut stream = Apart::new();
    stream.batches[1].2[6] ^= 1;
    let checksum = crc32fast::hash(&stream.batches[1].2);
    stream.batches[1].1.blocks[0].crc = checksum;
    assert_eq!(broken(&stream), "F-35");
}

#[test]
fn a_missing_batch_is_found_wherever_it_was() {
    for missing in 0..3 {
        let mut stream = Apart::new();
        stream.batches.remove(missing);
        assert_eq!(broken(&stream), "F-35");
    }
    let mut stream = Apart::new();
    stream.batches.clear();
    assert_eq!(broken(&stream), "F-35");
}

#[test]
fn batches_in_another_order_or_of_another_time_break_the_chain() {
    let mut stream = Apart::new();
    stream.batches.swap(0, 1);
    (stream.batches[0].0, stream.batches[1].0) = (1, 3);
    assert_eq!(broken(&stream), "F-35");
    let mut stream = Apart::new();
    stream.batches[2].1.time_micros += 1;
    assert_eq!(broken(&stream), "F-35");
}

#[test]
fn a_newest_link_that_is_not_the_streams_is_found() {
    let mut stream = Apart::new();
    stream.info.link[0] ^= 1;
    assert_eq!(broken(&stream), "F-35");
    let mut stream = Apart::new();
    stream.info.head += 1;
    assert_eq!(broken(&stream), "F-35");
}

#[test]
fn a_history_that_was_written_anew_shows_in_the_newest_link() {
    let (honest, mut forged) = (Apart::new(), Apart::new());
    forged.batches.truncate(1);
    forged.info = StreamInfo { head: 2, link: forged.batches[0].1.link, ..forged.info };
    forged.append(7);
    forged.append(2);
    forged.verify().unwrap();
    assert_ne!(forged.info.link, honest.info.link);
}

#[test]
fn an_event_whose_bytes_changed_in_the_log_is_never_returned() {
    let storage = MemStorage::new();
    let db = Db::open(storage.clone(), Arc::new(SteppedHost::new(7)), Options::new()).unwrap();
    let events = (0..500).map(|number| NewEvent::new("kind", format!("payload number {number:04}")));
    db.events().append_batch("log", events).unwrap();
    db.sync().unwrap();
    let needle = b"payload number 0250";
    let mut damaged = 0;
    for (name, bytes) in storage.files() {
        if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
            storage.open(&name).unwrap().write_at(at as u64, b"P").unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    assert_eq!(kind_of(db.events().get("log", 251)), ErrorKind::Corrupt);
    assert_eq!(kind_of(db.events().verify_chain("log")), ErrorKind::Corrupt);
    assert_eq!(kind_of(db.events().range("log", .., None, Direction::Forward)), ErrorKind::Corrupt);
    assert!(db.events().get("log", 1).unwrap().is_some(), "other blocks are whole");
}
