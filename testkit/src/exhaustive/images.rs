//! What one crash can leave: subsets, samples and tears, in an order that never changes.
//!
//! Invariant: the nth image of a crash point is the same image each time, whoever asks.

use crate::{
    Random,
    crash::{Action, CrashPoint, Fate, Image},
};

const SECTOR_BYTES: usize = 512;
/// Writes up to this size are headers, anchors and small frames: they are torn at every byte.
const SMALL_WRITE_BYTES: usize = 128;
/// The first bytes of a larger write hold a frame's header and the beginning of its record: torn at every byte too.
const HEAD_BYTES: usize = 48;

/// How many images of a crash point are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// All subsets, if they are no more than these.
    pub(super) subsets: u64,
    /// Otherwise so many random ones.
    pub(super) samples: u64,
    /// Whether writes are torn as well.
    pub(super) tears: bool,
}

/// Calls `look` with each image of a crash point, until it fails.
pub(super) fn for_each<E>(
    point: &CrashPoint,
    budget: Budget,
    seed: u64,
    mut look: impl FnMut(Image) -> Result<(), E>,
) -> Result<(), E> {
    let pending = point.pending().len();
    let subsets = u32::try_from(pending).ok().and_then(|count| 1_u64.checked_shl(count));
    match subsets.filter(|subsets| *subsets <= budget.subsets) {
        Some(subsets) => (0..subsets).try_for_each(|bits| look(point.subset(bits)))?,
        None => {
            look(point.nothing_survives())?;
            look(point.everything_survives())?;
            let mut random = Random::new(seed);
            (2..budget.samples).try_for_each(|_| look(point.random(&mut random)))?;
        }
    }
    if budget.tears {
        // Each pending write is torn, with everything before it there and nothing after it, and the other way round.
        for place in 0..pending {
            for torn in tears(&point.pending()[place].operation.action) {
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
fn tears(action: &Action) -> Vec<Fate> {
    let Action::Write { bytes, .. } = action else { return Vec::new() };
    let every_byte = if bytes.len() <= SMALL_WRITE_BYTES { bytes.len() } else { HEAD_BYTES };
    let mut tears: Vec<Fate> = (1..every_byte).map(Fate::Prefix).collect();
    let sectors = bytes.len().div_ceil(SECTOR_BYTES);
    tears.extend((1..sectors).map(|count| Fate::Prefix(count * SECTOR_BYTES)));
    if sectors > 1 {
        let without = |lost: usize| Fate::Sectors((0..sectors).map(|sector| sector != lost).collect());
        tears.extend((0..sectors).map(without));
    }
    tears
}
