//! What keeps each segment of the log alive, as bytes: of one space, and summed over all. Rules F-45 and F-48.
//!
//! Invariant: sums of what was read can be added to without overflow.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{fields::Fields, layout::wide};
use crate::{Result, log::varint};

/// Most bytes of values that a store may have in its log. Sums of them can be added to without a check.
const LIVE_BYTES_MAX: u64 = 1 << 62;

/// Live bytes by segment, summed over spaces.
#[derive(Default)]
pub(super) struct LiveSums(BTreeMap<u64, u64>);

impl LiveSums {
    pub(super) fn add(&mut self, segment: u64, bytes: u64) {
        let sum = self.0.entry(segment).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// The segment table's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_live(&mut out, &self.0);
        out
    }

    /// Checks the segment table against these sums: it repeats them.
    pub(super) fn check(&self, mut fields: Fields<'_>) -> Result<()> {
        let mut table = BTreeMap::new();
        read_live(&mut fields, |segment, bytes| _ = table.insert(segment, bytes))?;
        if table != self.0 {
            return Err(fields.corrupt("the live bytes differ from the sums over all spaces".into()));
        }
        fields.finish()
    }
}

pub(super) fn write_live(out: &mut Vec<u8>, live: &BTreeMap<u64, u64>) {
    varint::write(out, wide(live.len()));
    for (segment, bytes) in live {
        varint::write(out, *segment);
        varint::write(out, *bytes);
    }
}

/// Shows each segment, ascending, with its live bytes.
pub(super) fn read_live(fields: &mut Fields<'_>, mut found: impl FnMut(u64, u64)) -> Result<()> {
    let (mut before, mut sum) = (None, 0_u64);
    for _ in 0..fields.varint()? {
        let (segment, bytes) = (fields.varint()?, fields.varint()?);
        sum = sum.saturating_add(bytes);
        if before.is_some_and(|before| before >= segment) || bytes == 0 || sum > LIVE_BYTES_MAX {
            return Err(
                fields.corrupt(format!("{bytes} live bytes in segment {segment}, which is out of order or range"))
            );
        }
        before = Some(segment);
        found(segment, bytes);
    }
    Ok(())
}
