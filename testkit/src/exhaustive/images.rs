//! What one crash can leave: subsets, samples and tears, in an order that never changes.
//!
//! Invariant: the nth image of a crash point is the same image each time, whoever asks.

use crate::{
    Random,
    crash::{Action, CrashPoint, Fate, Image, Operation, sectors},
};

/// Writes up to this size are headers, anchors and small frames: they are torn at every byte.
const SMALL_WRITE_BYTES: usize = 128;
/// The first bytes of a larger write, and of every frame in it, hold a header and the beginning of a record: torn at every
/// byte too.
const HEAD_BYTES: usize = 48;
/// As many at the end of every frame: the end of the record, padding and checksum.
const FOOT_BYTES: usize = 12;

/// How many images of a crash point are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// All subsets, if they are no more than these; otherwise so many random ones.
    pub(super) subsets: u64,
    /// Whether writes are torn as well.
    pub(super) tears: bool,
}

/// Calls `look` with the number of each image of a crash point, and with the image, until it fails.
pub(super) fn for_each<E>(
    point: &CrashPoint,
    budget: Budget,
    mut look: impl FnMut(u64, Image) -> Result<(), E>,
) -> Result<(), E> {
    let mut number = 0;
    let mut look = |image| {
        number += 1;
        look(number - 1, image)
    };
    let pending = point.pending().len();
    let subsets = u32::try_from(pending).ok().and_then(|count| 1_u64.checked_shl(count));
    match subsets.filter(|subsets| *subsets <= budget.subsets) {
        Some(subsets) => (0..subsets).try_for_each(|bits| look(point.subset(bits)))?,
        None => {
            look(point.nothing_survives())?;
            look(point.everything_survives())?;
            let mut random = Random::new(point.pending().last().map_or(0, |last| last.index as u64));
            (2..budget.subsets).try_for_each(|_| look(point.random(&mut random)))?;
        }
    }
    if budget.tears {
        // Each pending write is torn, with everything before it there and nothing after it, and the other way round.
        for place in 0..pending {
            for torn in tears(&point.pending()[place].operation) {
                let mut fates = vec![Fate::Whole; place];
                fates.push(torn.clone());
                look(point.image(&fates))?;
                if place + 1 < pending {
                    fates.resize(pending, Fate::Whole);
                    look(point.image(&fates))?;
                }
            }
        }
    }
    Ok(())
}

/// The ways in which one write survives in part.
fn tears(operation: &Operation) -> Vec<Fate> {
    let Action::Write { offset, bytes } = &operation.action else { return Vec::new() };
    if bytes.len() > SMALL_WRITE_BYTES && bytes.iter().all(|byte| *byte == 0) {
        // A new segment's space: zeros over zeros, of which it does not show what is torn off.
        return Vec::new();
    }
    let mut cuts: Vec<usize> = if bytes.len() <= SMALL_WRITE_BYTES {
        (1..bytes.len()).collect()
    } else {
        let starts = if operation.name.starts_with("log-") { frames(bytes) } else { vec![0] };
        let around = |start: &usize| start.saturating_sub(FOOT_BYTES)..start + HEAD_BYTES;
        starts.iter().flat_map(around).chain(bytes.len() - FOOT_BYTES..bytes.len()).collect()
    };
    let sectors: Vec<_> = sectors(*offset, bytes.len()).collect();
    cuts.extend(sectors.iter().map(|sector| sector.start));
    cuts.sort_unstable();
    cuts.dedup();
    let mut tears: Vec<Fate> =
        cuts.into_iter().filter(|cut| (1..bytes.len()).contains(cut)).map(Fate::Prefix).collect();
    if sectors.len() > 1 {
        let without = |lost: usize| Fate::Sectors((0..sectors.len()).map(|sector| sector != lost).collect());
        tears.extend((0..sectors.len()).map(without));
    }
    tears
}

/// Where the frames of a batch begin: each says how long it is, at multiples of 8.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while let Some(len) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        starts.push(at);
        at += (u32::from_le_bytes(*len) as usize + 10).next_multiple_of(8);
    }
    starts
}
