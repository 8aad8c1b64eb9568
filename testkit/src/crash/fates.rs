//! [`Fate`] and [`CrashPoint`]: choosing what a crash leaves of the pending operations.

use std::{collections::BTreeSet, iter, ops::Range};

use super::{
    contents::{Contents, wide},
    image::Image,
    journal::Action,
    medium::{Medium, Pending},
};
use crate::Random;

/// What disks write at once, or not.
const SECTOR_BYTES: usize = 512;

/// What a crash does to one pending operation. Only writes can survive in part; for anything else, all but `Lost` is
/// `Whole`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// As if it had never been asked for.
    Lost,
    /// As if it had been synced.
    Whole,
    /// So many of the first bytes were written.
    Prefix(usize),
    /// These sectors were written: the nth says whether what falls into the nth sector of the disk that the write touches
    /// is there; missing ones are not.
    Sectors(Vec<bool>),
}

impl Fate {
    pub(super) fn apply(&self, action: &Action, contents: &mut Contents) {
        match (action, self) {
            (_, Fate::Lost) => {}
            (Action::SetLen { len }, _) => contents.set_len(*len),
            (Action::Write { offset, bytes }, Fate::Whole) => contents.write(*offset, bytes),
            (Action::Write { offset, bytes }, Fate::Prefix(count)) => {
                contents.write(*offset, &bytes[..bytes.len().min(*count)]);
            }
            (Action::Write { offset, bytes }, Fate::Sectors(kept)) => {
                for (number, range) in sectors(*offset, bytes.len()).enumerate() {
                    if kept.get(number) == Some(&true) {
                        contents.write(offset + wide(range.start), &bytes[range]);
                    }
                }
            }
            (Action::Create | Action::Remove | Action::Sync | Action::SyncFailed, _) => {}
        }
    }

    /// A fate for this action as bad luck deals it.
    fn random(action: &Action, random: &mut Random) -> Self {
        let Action::Write { offset, bytes } = action else {
            return if random.chance(1, 2) { Fate::Whole } else { Fate::Lost };
        };
        match random.below(8) {
            0..3 => Fate::Lost,
            3..6 => Fate::Whole,
            6 => Fate::Prefix(random.index(bytes.len())),
            _ => Fate::Sectors(sectors(*offset, bytes.len()).map(|_| random.chance(1, 2)).collect()),
        }
    }
}

/// Cuts `count` bytes that are written at `offset` where sectors of the disk begin.
pub(crate) fn sectors(offset: u64, count: usize) -> impl Iterator<Item = Range<usize>> {
    let before = usize::try_from(offset % wide(SECTOR_BYTES)).unwrap_or(0);
    let mut done = 0;
    iter::from_fn(move || {
        let start = done;
        done = count.min((before + start) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - before);
        (start < count).then_some(start..done)
    })
}

/// The moment of a crash: what is durable, and what is pending.
#[derive(Clone, Debug)]
pub struct CrashPoint {
    medium: Medium,
    pending: Vec<Pending>,
}

impl CrashPoint {
    pub(crate) fn new(medium: Medium) -> Self {
        let pending = medium.pending();
        Self { medium, pending }
    }

    /// What the crash decides about, in the order in which it was asked for.
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// The names that are there whatever the crash does.
    pub fn durable_names(&self) -> BTreeSet<&str> {
        self.medium.durable_names()
    }

    /// The files if each pending operation meets the fate at the same place of `fates`. Where there is none, it is lost.
    pub fn image(&self, fates: &[Fate]) -> Image {
        self.image_with(|place| fates.get(place).unwrap_or(&Fate::Lost))
    }

    /// The files if the pending operation at each place meets this fate.
    fn image_with<'f>(&self, fate: impl Fn(usize) -> &'f Fate) -> Image {
        self.medium.image(|index| {
            let place = self.pending.binary_search_by_key(&index, |pending| pending.index);
            place.map_or(&Fate::Lost, &fate)
        })
    }

    /// The files if every pending operation is lost.
    pub fn nothing_survives(&self) -> Image {
        self.image(&[])
    }

    /// The files if every pending operation is there, as after the death of the process alone.
    pub fn everything_survives(&self) -> Image {
        self.image_with(|_| &Fate::Whole)
    }

    /// The files if exactly the pending operations survive whose bit is set, the first one being bit 0.
    pub fn subset(&self, bits: u64) -> Image {
        self.image_with(|place| if place < 64 && bits >> place & 1 == 1 { &Fate::Whole } else { &Fate::Lost })
    }

    /// How many bytes the last pending write has, if there is one.
    pub fn last_write_len(&self) -> Option<usize> {
        self.last_write().map(|(_, len)| len)
    }

    /// The files if everything survives but of the last pending write only the first `bytes` bytes, and nothing after it.
    pub fn torn_last_write(&self, bytes: usize) -> Option<Image> {
        let (place, _) = self.last_write()?;
        let mut fates = vec![Fate::Whole; place];
        fates.push(Fate::Prefix(bytes));
        Some(self.image(&fates))
    }

    /// The files as bad luck leaves them.
    pub fn random(&self, random: &mut Random) -> Image {
        let fates: Vec<Fate> =
            self.pending.iter().map(|pending| Fate::random(&pending.operation.action, random)).collect();
        self.image(&fates)
    }

    /// At most `budget` images: all subsets of the pending operations if they are that few, else nothing, everything,
    /// and random ones of `seed`.
    pub fn images(&self, budget: u64, seed: u64) -> impl Iterator<Item = Image> {
        let subsets = u32::try_from(self.pending.len()).ok().and_then(|count| 1_u64.checked_shl(count));
        let exhaustive = subsets.filter(|subsets| *subsets <= budget);
        let mut random = Random::new(seed);
        (0..exhaustive.unwrap_or(budget)).map(move |number| match (exhaustive, number) {
            (Some(_), bits) => self.subset(bits),
            (None, 0) => self.nothing_survives(),
            (None, 1) => self.everything_survives(),
            (None, _) => self.random(&mut random),
        })
    }

    fn last_write(&self) -> Option<(usize, usize)> {
        self.pending.iter().enumerate().rev().find_map(|(place, pending)| match &pending.operation.action {
            Action::Write { bytes, .. } => Some((place, bytes.len())),
            _ => None,
        })
    }
}
