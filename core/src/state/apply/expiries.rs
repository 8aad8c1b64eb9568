//! What operations do to when an entry is over. Rules F-32, F-37 and F-39.
//!
//! Invariant: times are compared with times of the log, that of the operation or that of its record, and with no clock.

use super::{Op, Place};
use crate::{
    Result,
    planted::{self, Planted},
    state::{Family, Space, Sweep, expiry, parse_expiry_body, split_expiring_body},
    tree::EntryRef,
};

impl Space {
    /// [`set`](Self::set), of an entry that may be over at some time.
    pub(super) fn set_until(
        &mut self,
        key: &[u8],
        kind: u8,
        value: &[u8],
        expires: Option<u64>,
        place: &Place<'_>,
    ) -> Result<()> {
        let Some(micros) = expires else { return self.set(key, kind, value, place) };
        let (kind, value) = expiry::joined(micros, kind, value);
        self.set(key, kind, &value, place)
    }

    pub(super) fn put_expiring(&mut self, family: Family, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let (micros, value) = split_expiring_body(op.body)?;
        let (kind, value) = place.stored(op, value)?;
        if planted::active(Planted::ExpiryForgotten) {
            return self.set(&family.key(op.key), kind, &value, place);
        }
        self.set_until(&family.key(op.key), kind, &value, Some(micros), place)
    }

    /// What is there stays, and is over at another time. Nothing is made where nothing is.
    pub(super) fn expire(&mut self, family: Family, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let (key, expires) = (family.key(op.key), parse_expiry_body(op.body)?);
        let Some(entry) = self.tree.get(&key, place.pages)? else { return Ok(()) };
        let (kind, value) = (expiry::split(entry).0.kind, expiry::split(entry).0.value.to_vec());
        self.set_until(&key, kind, &value, expires, place)
    }

    /// Removes what has been over for longest.
    pub(super) fn sweep(&mut self, op: &Op<'_>, place: &Place<'_>) -> Result<()> {
        let sweep = Sweep::parse(op.body)?;
        if planted::active(Planted::SweepForgotten) {
            return Ok(());
        }
        for (key, index_key) in expiry::swept(&self.tree, &sweep, place.pages)? {
            if self.is_over_at(&key, &index_key, place.pages)? {
                self.unset(&key, place)?;
            } else {
                // An index that lies, which only a forged snapshot has: what lives stays, and the sweep does not meet this again.
                self.tree.remove(&index_key, place.pages, &mut |_| {})?;
            }
        }
        Ok(())
    }
}

/// The entry that an addition counts from, at the time of its record, and when the sum is over: as the entry, or never where that was over
/// already and so counts as not there.
pub(crate) fn counted(entry: Option<EntryRef<'_>>, time_micros: u64) -> (Option<EntryRef<'_>>, Option<u64>) {
    match entry.map(expiry::split) {
        Some((_, Some(micros))) if micros <= time_micros => (None, None),
        Some((entry, expires)) => (Some(entry), expires),
        None => (None, None),
    }
}
