//! The input of the demo: the reports of `cli/data/strikes.jsonl`, and a changed version of them.
//!
//! Invariant: the same seed gives the same records, on every machine. No clock, no entropy, no floating point.

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result, Status};

/// The data set is part of the program, so that the demo runs from any directory.
const STRIKES: &[u8] = include_bytes!("../../../data/strikes.jsonl");

/// One report. The fields and their meaning: `cli/data/README.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strike {
    pub(super) id: String,
    pub(super) date: String,
    pub(super) airport: String,
    pub(super) state: String,
    pub(super) operator: String,
    pub(super) aircraft: String,
    pub(super) phase: String,
    pub(super) time_of_day: String,
    pub(super) species: String,
    pub(super) size: String,
    pub(super) damage: String,
    pub(super) cost_repair: i64,
    pub(super) cost_other: i64,
    pub(super) cost_total: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) speed_knots: Option<i64>,
}

impl Strike {
    /// Whether the report speaks of any damage.
    pub(super) fn is_damaging(&self) -> bool {
        self.damage != "None"
    }
}

/// What was done to the input of the second run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Changes {
    /// Reports left out.
    pub(super) dropped: u64,
    /// Reports whose damage and costs were raised.
    pub(super) altered: u64,
}

/// All reports, in order of date.
pub(super) fn strikes() -> Result<Vec<Strike>> {
    serde_json::Deserializer::from_slice(STRIKES).into_iter().collect::<Result<Vec<Strike>, _>>().map_err(|error| {
        Failure::new(Status::System, "demo", format!("the data set in the program is damaged: {error}"))
    })
}

/// The reports with about one in five of the damaging ones made worse, and the last few left out; which and how many, the
/// seed decides. Reports keep their order and place, so that a diff of the results shows these changes and no others.
pub(super) fn changed(strikes: &[Strike], seed: u64) -> (Vec<Strike>, Changes) {
    let mut changes = Changes::default();
    let mut random = Random::new(seed);
    let mut kept = strikes.to_vec();
    for strike in kept.iter_mut().filter(|strike| strike.is_damaging()) {
        if random.below(5) == 0 {
            changes.altered += 1;
            strike.damage = String::from("Substantial");
            strike.cost_repair += 10_000;
            strike.cost_total += 10_000;
        }
    }
    changes.dropped = 10 + random.below(20);
    for _ in 0..changes.dropped {
        kept.pop();
    }
    (kept, changes)
}

/// A small generator of numbers that look random (SplitMix64): enough to choose with, and the same everywhere.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound`, which must not be 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests;
