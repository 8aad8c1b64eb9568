//! [`damage`]: what happens to a disk while nobody looks.
//!
//! Invariant: one call is one event: one bit, one range, one cut. Two things that break at once are for a store that keeps
//! two copies.

use super::{
    evidence::{Evidence, header_bytes},
    fault::FaultClass,
};
use crate::{Random, crash::Image};

/// Does damage of this class to an image, and says to which file. `None` where there is nothing that it could hit, or where
/// it would change no byte.
pub fn damage(image: &mut Image, class: FaultClass, evidence: &Evidence, random: &mut Random) -> Option<String> {
    let before = image.clone();
    let name = match class {
        FaultClass::RotInPayload => rot_in_payload(image, evidence, random),
        FaultClass::RotInHeader => rot_in_header(image, evidence, random),
        FaultClass::RotInLength => rot_in_length(image, evidence, random),
        FaultClass::ZeroedRange => zero_range(image, evidence, random),
        FaultClass::CutAtRecord => cut_at_record(image, evidence, random),
        FaultClass::GarbageTail => garbage_tail(image, evidence, random),
        _ => None,
    };
    name.filter(|_| *image != before)
}

fn choose<T>(items: Vec<T>, random: &mut Random) -> Option<T> {
    let place = random.index(items.len());
    items.into_iter().nth(place)
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn flip(image: &mut Image, name: &str, (begin, end): (usize, usize), random: &mut Random) -> Option<String> {
    let end = wide(end).min(image.len(name)?);
    let offset = wide(begin) + random.below(end.checked_sub(wide(begin))?);
    if offset >= end {
        return None;
    }
    image.flip_bit(name, offset, u32::try_from(random.below(8)).unwrap_or(0));
    Some(name.into())
}

fn a_frame(evidence: &Evidence, random: &mut Random) -> Option<(String, usize, usize)> {
    choose(evidence.frames().map(|(name, frame)| (name.to_owned(), frame.begin, frame.end)).collect(), random)
}

fn a_snapshot(evidence: &Evidence, random: &mut Random) -> Option<String> {
    choose(evidence.snapshots.keys().cloned().collect(), random)
}

fn rot_in_payload(image: &mut Image, evidence: &Evidence, random: &mut Random) -> Option<String> {
    if random.chance(1, 3)
        && let Some(name) = a_snapshot(evidence, random)
    {
        return flip(image, &name, (header_bytes(&name), usize::MAX), random);
    }
    let (name, begin, end) = a_frame(evidence, random)?;
    flip(image, &name, (begin + 6, end), random)
}

fn rot_in_header(image: &mut Image, evidence: &Evidence, random: &mut Random) -> Option<String> {
    if random.chance(1, 3) {
        let (name, begin, _) = a_frame(evidence, random)?;
        return flip(image, &name, (begin + 4, begin + 6), random);
    }
    let files = evidence.segments.keys().chain(evidence.anchors.keys()).chain(evidence.snapshots.keys());
    let name = choose(files.cloned().collect(), random)?;
    flip(image, &name, (0, header_bytes(&name)), random)
}

fn rot_in_length(image: &mut Image, evidence: &Evidence, random: &mut Random) -> Option<String> {
    if random.chance(1, 4)
        && let Some(name) = a_snapshot(evidence, random)
    {
        return flip(image, &name, (40, 48), random);
    }
    let (name, begin, _) = a_frame(evidence, random)?;
    flip(image, &name, (begin, begin + 4), random)
}

fn zero_range(image: &mut Image, evidence: &Evidence, random: &mut Random) -> Option<String> {
    let files = evidence.segments.keys().chain(evidence.anchors.keys()).chain(evidence.snapshots.keys());
    let name = choose(files.cloned().collect(), random)?;
    let used = match evidence.segments.get(&name) {
        Some(segment) => segment.frames.last().map_or(header_bytes(&name), |frame| frame.end),
        None => usize::try_from(image.len(&name)?).ok()?,
    };
    let count = [1, 8, 64, 512, 4096][random.index(5)];
    let unit = if count >= 512 { 512 } else { 1 };
    let offset = random.index(used.div_ceil(unit)) * unit;
    let count = count.min(usize::try_from(image.len(&name)?).ok()?.checked_sub(offset)?);
    image.zero(&name, wide(offset), count);
    Some(name)
}

fn cut_at_record(image: &mut Image, evidence: &Evidence, random: &mut Random) -> Option<String> {
    let (name, begin, end) = a_frame(evidence, random)?;
    image.set_len(&name, wide(if random.chance(1, 2) { begin } else { end }));
    Some(name)
}

/// Behind the end of the last frame in what was reserved, or behind the end of the file.
fn garbage_tail(image: &mut Image, evidence: &Evidence, random: &mut Random) -> Option<String> {
    let files = evidence.segments.keys().chain(evidence.anchors.keys()).chain(evidence.snapshots.keys());
    let name = choose(files.cloned().collect(), random)?;
    let count = 1 + random.index(600);
    let garbage = random.bytes(count);
    match evidence.segments.get(&name) {
        Some(segment) if random.chance(1, 2) => {
            let end = segment.frames.last().map_or(header_bytes(&name), |frame| frame.end);
            image.overwrite(&name, wide(end), &garbage);
        }
        _ => image.append(&name, &garbage),
    }
    Some(name)
}
