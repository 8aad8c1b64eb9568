//! Rows about damage to files at rest: mostly the promise is ERR.

use foldb::{
    Error, ErrorKind, StoreId,
    internal::log::{Previous, SegmentHeader, segment_name, snapshot_name},
};
use foldb_testkit::crash::CrashStorage;

use crate::bench::*;

#[test]
fn row_04_a_frame_in_the_wrong_place_is_no_frame() {
    let image = closed_after(5);
    let offsets = frames(&image, 1);
    // All commits are of one size: the write of the fourth went to the place of the second.
    let misdirected = piece(&image, &first_segment(), offsets[3], offsets[4]);
    let mut damaged = image.clone();
    damaged.overwrite(&first_segment(), offsets[1], &misdirected);
    refused(&damaged, &first_segment(), offsets[1]);
    // The same for a whole header that belongs to another file.
    let image = large_and_closed();
    let mut damaged = image.clone();
    damaged.overwrite(&first_segment(), 0, &header(&image, 2).encode());
    refused(&damaged, &first_segment(), 0);
}

#[test]
fn row_05_an_old_version_of_a_file_is_noticed() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=3).for_each(|number| put(&db, number).unwrap());
    let old = disk.live_image();
    (4..=6).for_each(|number| put(&db, number).unwrap());
    db.close().unwrap();
    drop(open(disk.clone(), STRICT, 2).map(|db| put(&db, 7)).unwrap());
    // The log: what was lost had been promised by the header of the segment behind it.
    let mut image = disk.live_image();
    image.put(&first_segment(), &old.bytes(&first_segment()).unwrap());
    refused(&image, &first_segment(), frames(&old, 1)[3]);
    // A snapshot: the older one stands in, and the report says so.
    let mut image = large_and_closed();
    let stale = image.bytes(&snapshot_name(1)).unwrap();
    image.put(&snapshot_name(2), &stale);
    let db = open(CrashStorage::from_image(&image), STRICT, 3).unwrap();
    assert_eq!(numbers(&db), first(6));
    let report = db.recovery_report();
    assert_eq!(report.snapshot.map(|(generation, _)| generation), Some(1));
    assert_eq!(report.rejected_snapshots[0].file, snapshot_name(2));
}

#[test]
fn row_06_a_rotten_bit_in_a_payload_is_an_error_at_its_frame() {
    let image = closed_after(4);
    let offsets = frames(&image, 1);
    for (number, bounds) in offsets.windows(2).take(4).enumerate() {
        for offset in bounds[0] + 6..bounds[1] {
            let mut damaged = image.clone();
            damaged.flip_bit(&first_segment(), offset, u32::try_from(offset % 8).unwrap());
            refused(&damaged, &first_segment(), offsets[number]);
        }
    }
}

#[test]
fn row_06_a_rotten_page_or_value_is_an_error_and_never_other_content() {
    let image = large_and_closed();
    // A large value is in the log, before where folding begins: it is read when it is asked for.
    let at = frames(&image, 1)[0] + 100;
    let mut damaged = image.clone();
    damaged.flip_bit(&first_segment(), at, 3);
    let db = open(CrashStorage::from_image(&damaged), STRICT, 5).unwrap();
    let error = db.kv().get::<String>("key 001").unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if *file == first_segment()), "{error}");
    assert!(db.kv().get::<String>("key 005").unwrap().is_some(), "the others can be read");
}

#[test]
fn row_07_a_rotten_length_or_header_is_never_the_end_of_the_log() {
    let image = closed_after(4);
    let offsets = frames(&image, 1);
    for at in [offsets[0], offsets[2], offsets[3]] {
        for (byte, bit) in (0..6).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut damaged = image.clone();
            damaged.flip_bit(&first_segment(), at + byte, bit);
            refused(&damaged, &first_segment(), at);
        }
    }
    for offset in 0..128 {
        let mut damaged = image.clone();
        damaged.flip_bit(&first_segment(), offset, u32::try_from(offset % 8).unwrap());
        refused(&damaged, &first_segment(), 0);
    }
}

#[test]
fn row_07_a_rotten_version_of_a_snapshot_costs_time_and_no_data() {
    // The enumeration of damage found this: one bit of the version makes a snapshot that of a newer program, and the store
    // was refused with the advice to install one, although the log has everything.
    let image = large_and_closed();
    for (offset, bit) in (10..14).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
        let mut damaged = image.clone();
        damaged.flip_bit(&snapshot_name(2), offset, bit);
        let db = open(CrashStorage::from_image(&damaged), STRICT, 5).unwrap();
        assert_eq!(numbers(&db), first(6));
        let report = db.recovery_report();
        assert_eq!(report.snapshot.map(|(generation, _)| generation), Some(1));
        assert_eq!(report.rejected_snapshots.len(), 1);
        damaged.flip_bit(&snapshot_name(1), offset, bit);
        assert_eq!(opens(&damaged), first(6), "the log alone");
    }
}

#[test]
fn row_08_a_zeroed_region_inside_the_log_is_not_its_end() {
    let image = closed_after(5);
    let offsets = frames(&image, 1);
    for (from, to) in [(0, 1), (1, 2), (1, 3), (2, 5), (4, 5)] {
        let mut damaged = image.clone();
        damaged.zero(&first_segment(), offsets[from], usize::try_from(offsets[to] - offsets[from]).unwrap());
        refused(&damaged, &first_segment(), offsets[from]);
    }
}

#[test]
fn row_09_a_cut_between_two_frames_is_noticed_where_anything_proves_it() {
    // A sealed segment: its successor says how long it is.
    let image = large_and_closed();
    let valid = header(&image, 2).previous.unwrap().valid_len;
    let mut damaged = image.clone();
    damaged.set_len(&first_segment(), frames(&image, 1)[0]);
    assert!(frames(&image, 1)[0] < valid);
    refused(&damaged, &first_segment(), frames(&image, 1)[0]);
    // The newest segment, after a recovery that wrote a tail again: the anchor says up to where.
    let disk = killed_after(3).next_process();
    drop(open(disk.clone(), STRICT, 2).unwrap());
    let image = disk.live_image();
    let newest = segment_name(*segments(&image).last().unwrap());
    let mut damaged = image.clone();
    damaged.set_len(&newest, 128);
    refused(&damaged, &newest, 128);
    // The newest segment, where the cut takes what could have proven it as well: nothing can tell, and no more is
    // missing than what was cut.
    let image = killed_after(3).live_image();
    let mut damaged = image.clone();
    damaged.set_len(&first_segment(), frames(&image, 1)[2]);
    assert_eq!(opens(&damaged), first(2));
}

#[test]
fn row_17_removed_files_that_return_are_garbage_and_a_fork_is_an_error() {
    // A snapshot that was removed long ago comes back.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    let mut removed = None;
    for number in 1..=3 {
        put(&db, number).unwrap();
        db.snapshot().unwrap();
        removed = removed.or_else(|| disk.live_image().bytes(&snapshot_name(1)));
    }
    db.close().unwrap();
    let mut image = disk.live_image();
    assert!(image.bytes(&snapshot_name(1)).is_none());
    image.put(&snapshot_name(1), &removed.unwrap());
    let db = open(CrashStorage::from_image(&image), STRICT, 2).unwrap();
    assert_eq!(numbers(&db), first(3));
    assert_eq!(db.recovery_report().snapshot.map(|(generation, _)| generation), Some(3));
    // A segment whose creation was interrupted comes back without its header.
    let mut image = large_and_closed();
    let next = segments(&image).last().unwrap() + 1;
    image.put(&segment_name(next), &[0; 300]);
    assert_eq!(opens(&image), first(6));
    // Two segments that follow one: a second writer.
    let image = large_and_closed();
    let newest = header(&image, *segments(&image).last().unwrap());
    let fork = SegmentHeader { segment: newest.segment + 1, salt: [1; 16], ..newest.clone() };
    let mut damaged = image.clone();
    damaged.put(&segment_name(fork.segment), &fork.encode());
    refused(&damaged, &segment_name(newest.segment), 0);
    // A file of another store under a name of this one.
    let foreign = SegmentHeader { store: StoreId::from_bytes([9; 16]), ..newest.clone() };
    let mut damaged = image.clone();
    damaged.overwrite(&segment_name(newest.segment), 0, &foreign.encode());
    refused(&damaged, &segment_name(newest.segment), 0);
}

#[test]
fn row_30_a_hostile_length_is_an_error_and_no_allocation() {
    let image = closed_after(3);
    let offsets = frames(&image, 1);
    for length in [0, 1, u32::MAX, u32::MAX / 2, (48 << 20) + 1, 48 << 20, 1 << 16] {
        let mut damaged = image.clone();
        damaged.overwrite(&first_segment(), offsets[1], &length.to_le_bytes());
        refused(&damaged, &first_segment(), offsets[1]);
    }
    // Lengths of the sections of a snapshot: the older one stands in.
    let image = large_and_closed();
    for length in [0, u64::MAX, u64::MAX / 2, 1 << 62, 1 << 40] {
        let mut damaged = image.clone();
        damaged.overwrite(&snapshot_name(2), 40, &length.to_le_bytes());
        let db = open(CrashStorage::from_image(&damaged), STRICT, 5).unwrap();
        assert_eq!(numbers(&db), first(6));
        assert_eq!(db.recovery_report().rejected_snapshots.len(), 1);
    }
}

#[test]
fn row_31_nothing_is_compressed_and_nothing_says_that_it_is_larger_than_it_is() {
    // No file of a store grows when it is read: a snapshot that says of its pages that they are larger than the file is
    // refused by its length alone, before anything of that size is made.
    let image = large_and_closed();
    let pages = piece(&image, &snapshot_name(2), 40, 48);
    let len = u64::from_le_bytes(pages.try_into().unwrap());
    for more in [1, 100, 1 << 30] {
        let mut damaged = image.clone();
        damaged.overwrite(&snapshot_name(2), 40, &(len + more).to_le_bytes());
        let db = open(CrashStorage::from_image(&damaged), STRICT, 5).unwrap();
        assert_eq!(db.recovery_report().rejected_snapshots[0].file, snapshot_name(2));
        assert_eq!(numbers(&db), first(6));
    }
}

#[test]
fn row_32_cycles_and_impossible_structures_are_errors() {
    let image = large_and_closed();
    let newest = header(&image, *segments(&image).last().unwrap());
    let name = segment_name(newest.segment);
    let previous = newest.previous.unwrap();
    let last_seq = previous.last_seq;
    let impossible = [
        // A segment that follows itself, or one that comes later.
        (Previous { segment: newest.segment, ..previous }, 72),
        (Previous { segment: newest.segment + 5, ..previous }, 72),
        // A valid length inside the header, or inside a frame.
        (Previous { valid_len: 64, ..previous }, 80),
        (Previous { valid_len: previous.valid_len + 3, ..previous }, 80),
        // A seq that does not follow.
        (Previous { last_seq: last_seq + 1, ..previous }, 64),
    ];
    for (previous, offset) in impossible {
        let mut damaged = image.clone();
        damaged.overwrite(&name, 0, &SegmentHeader { previous: Some(previous), ..newest.clone() }.encode());
        refused(&damaged, &name, offset);
    }
    // A valid length that ends elsewhere than a frame does, by a header whose checksum holds.
    let mut damaged = image.clone();
    let cut = Previous { valid_len: previous.valid_len - 8, ..previous };
    damaged.overwrite(&name, 0, &SegmentHeader { previous: Some(cut), ..newest.clone() }.encode());
    let error = open(CrashStorage::from_image(&damaged), STRICT, 5).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn row_34_rot_in_the_last_commit_is_noticed_once_a_mark_is_behind_it() {
    // Right after the commit nothing can tell it from a torn tail: the commit before is the last.
    let image = killed_after(3).live_image();
    let at = frames(&image, 1)[2];
    let mut damaged = image.clone();
    damaged.flip_bit(&first_segment(), at + 20, 1);
    assert_eq!(opens(&damaged), first(2));
    // A clean close, or the tick of an idle store, ends that.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=3).for_each(|number| put(&db, number).unwrap());
    assert!(db.ticker().tick().unwrap());
    for image in [closed_after(3), disk.live_image()] {
        let mut damaged = image.clone();
        damaged.flip_bit(&first_segment(), at + 20, 1);
        refused(&damaged, &first_segment(), at);
    }
}
