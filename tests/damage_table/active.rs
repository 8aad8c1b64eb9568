//! Damage at rest in the segment that is written to: after a clean close, when the store was idle, and after a kill.
//!
//! What proves that the newest segment was longer cannot lie in that segment alone. At a clean close and when the store is idle
//! both anchors say how far it goes; in between, what was committed since the last anchor has its witness in the frames
//! behind it, and nowhere else.

use foldb::internal::log::{ANCHOR_NAMES, segment_name};
use foldb_testkit::crash::{CrashStorage, Image};

use crate::bench::{
    STRICT, closed_after, first, first_segment, frames, idle_after, killed_after, numbers, open, opens, put, put_large,
    refused, segments,
};

const COMMITS: u64 = 6;

/// The store a while ago: after two commits.
fn earlier() -> Image {
    killed_after(2).live_image()
}

/// Every sort of damage to the segment, by what was done to it; and the commits that it takes.
fn damaged(image: &Image, earlier: &Image) -> Vec<(String, Image)> {
    let name = first_segment();
    let ends = frames(image, 1);
    let mut all = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut Image)| {
        let mut damaged = image.clone();
        change(&mut damaged);
        all.push((what, damaged));
    };
    add("cut to its header".into(), &|image| image.set_len(&name, 128));
    add("cut to nothing".into(), &|image| image.set_len(&name, 0));
    add("removed".into(), &|image| drop(image.remove(&name)));
    add("put back as it was".into(), &|image| image.put(&name, &earlier.bytes(&name).unwrap()));
    let (middle, end) = (ends[ends.len() / 2], *ends.last().unwrap());
    let zeros = usize::try_from(end - middle).unwrap();
    add("zeroed from the middle".into(), &|image| image.zero(&name, middle, zeros));
    let sector = (end - 1) / 512 * 512;
    add("without its last sector".into(), &|image| image.zero(&name, sector.max(128), 512));
    // Everything up to the last commit; a mark behind it says nothing that an anchor does not say.
    for commit in 0..usize::try_from(COMMITS).unwrap() {
        let (begin, end) = (ends[commit], ends[commit + 1]);
        add(format!("cut before commit {}", commit + 1), &|image| image.set_len(&name, begin));
        add(format!("cut inside commit {}", commit + 1), &|image| image.set_len(&name, begin + 20));
        add(format!("a bit of commit {} flipped", commit + 1), &|image| image.flip_bit(&name, begin + 20, 3));
        let frame = usize::try_from(end - begin).unwrap();
        add(format!("commit {} zeroed", commit + 1), &|image| image.zero(&name, begin, frame));
    }
    all
}

/// Whether opening refuses the files, and changes nothing.
fn is_refused(image: &Image) -> bool {
    let disk = CrashStorage::from_image(image);
    let is_refused = open(disk.clone(), STRICT, 78).is_err();
    assert!(!is_refused || !disk.is_changed());
    is_refused
}

#[test]
fn row_36_damage_to_the_newest_segment_is_noticed_after_a_clean_close_and_when_the_store_was_idle() {
    let earlier = earlier();
    for (when, image) in [("closed", closed_after(COMMITS)), ("idle", idle_after(COMMITS).live_image())] {
        assert_eq!(opens(&image), first(COMMITS));
        for (what, damaged) in damaged(&image, &earlier) {
            assert!(is_refused(&damaged), "{when}, and then {what}");
        }
        // The error names the place.
        let mut damaged = image.clone();
        damaged.set_len(&first_segment(), frames(&image, 1)[3]);
        refused(&damaged, &first_segment(), frames(&image, 1)[3]);
    }
}

#[test]
fn row_36_after_a_kill_only_what_no_anchor_and_no_later_frame_speaks_of_can_go_unnoticed() {
    let image = killed_after(COMMITS).live_image();
    let earlier = earlier();
    for (what, damaged) in damaged(&image, &earlier) {
        if is_refused(&damaged) {
            continue;
        }
        // The first anchor was written before the first commit and proves none. Whatever is left has its witness in the
        // frames that are left; what is missing is the end of the segment, and nothing else.
        let found = opens(&damaged);
        assert_eq!(found, first(found.len() as u64), "{what}");
        let takes_the_end = what.contains("cut")
            || what.contains("put back")
            || what.contains("zeroed from")
            || what.contains("last sector");
        let takes_the_last = what.contains(&format!("commit {COMMITS}"));
        assert!(takes_the_end || takes_the_last, "{what} was not noticed");
        assert!(!takes_the_last || takes_the_end || found.len() as u64 == COMMITS - 1, "{what} took more than it hit");
    }
}

#[test]
fn row_36_a_busy_store_says_how_far_it_is_from_time_to_time() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    let ticker = db.ticker();
    // Commits come between all calls of the timer, so that the store is never idle.
    for number in 1..=200 {
        put(&db, number).unwrap();
        ticker.tick().unwrap();
    }
    disk.kill_process();
    let mut image = disk.live_image();
    let newest = segment_name(*segments(&image).last().unwrap());
    image.set_len(&newest, 128);
    assert!(is_refused(&image), "an anchor speaks of most of it");
}

#[test]
fn row_36_the_newest_anchor_and_the_newest_segment_do_not_go_unnoticed_together() {
    // Both anchors name the newest segment, and say how far it goes.
    for image in [closed_after(COMMITS), idle_after(COMMITS).live_image()] {
        for anchor in ANCHOR_NAMES {
            for cut in [Some(128), None] {
                let mut damaged = image.clone();
                damaged.remove(anchor);
                match cut {
                    Some(len) => damaged.set_len(&first_segment(), len),
                    None => drop(damaged.remove(&first_segment())),
                }
                assert!(is_refused(&damaged), "{anchor} is gone, and the segment was cut to {cut:?}");
            }
        }
    }
    // Also right behind a rotation.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=4).for_each(|number| put_large(&db, number).unwrap());
    disk.kill_process();
    let image = disk.live_image();
    let newest = *segments(&image).last().unwrap();
    assert!(newest > 2);
    for anchor in ANCHOR_NAMES {
        let mut damaged = image.clone();
        damaged.remove(anchor);
        damaged.remove(&segment_name(newest));
        assert!(is_refused(&damaged), "{anchor} and segment {newest} are gone");
    }
}

#[test]
fn row_36_an_anchor_that_is_missing_is_reported() {
    for anchor in ANCHOR_NAMES {
        let mut image = closed_after(COMMITS);
        image.remove(anchor);
        let db = open(CrashStorage::from_image(&image), STRICT, 2).unwrap();
        assert_eq!(numbers(&db), first(COMMITS));
        let damage = &db.recovery_report().damage;
        assert!(damage.iter().any(|damage| damage.file == anchor && damage.rule == "F-8"), "{damage:?}");
    }
    // Before the second anchor there is one.
    let db = open(killed_after(1).next_process(), STRICT, 2).unwrap();
    assert_eq!(db.recovery_report().damage, []);
}
