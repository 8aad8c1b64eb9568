//! What a transaction itself says of when something is over, as it reads it.
//!
//! Invariant: a transaction reads what its writes will come to. A sum and its expiry become one put, whichever came first: the log has one
//! write for a key.

use alloc::vec::Vec;

use super::{Transaction, hiding::Hider};
use crate::{
    Result,
    log::OpCode,
    primitive::access::{DocumentEdit, Item, OnItem, Reads},
    state::{Family, SpaceNumber, entry_kind, expiring_body, parse_expiry_body, split_expiring_body},
    storage::Storage,
    transaction::{Write, WriteSet, expires, puts_expiring},
    value::{Delta, apply_delta},
};

impl<S: Storage> Transaction<'_, S> {
    /// What this transaction does not see.
    pub(super) fn hider(&self) -> Hider<'_> {
        let hider = self.shared.hider(&self.moment);
        if self.shows_all.get() { hider.showing_all() } else { hider }
    }

    /// Brings the leaves of these entries into memory.
    pub(super) fn bring_in(&self, space: SpaceNumber, tree_keys: &[Vec<u8>]) -> Result<()> {
        let Some(tree) = self.tree(space)? else { return Ok(()) };
        tree_keys.iter().try_for_each(|key| tree.get(key, self.shared).map(drop))
    }

    /// Shows what the transaction has put, if it is not hidden.
    pub(super) fn put_expiring(&self, body: &[u8], edit: Option<DocumentEdit<'_>>, found: OnItem<'_>) -> Result<()> {
        let (micros, value) = split_expiring_body(body)?;
        if self.hider().hides(Some(micros)) {
            return found(None);
        }
        found(Some(Item::pending(entry_kind::INLINE, value, self.shared).until(Some(micros)).edited_by(edit)))
    }

    /// Shows what is committed and is over at another time.
    pub(super) fn expired_anew(&self, writes: &WriteSet, write: &Write, body: &[u8], found: OnItem<'_>) -> Result<()> {
        let (hider, expires) = (self.hider(), parse_expiry_body(body)?);
        let Some(family) = family_of(write.code) else { return found(None) };
        self.committed_as(hider.showing_all(), write.space, (family, writes.key(write)), &mut |item| {
            let item = item.map(|item| item.expiring_anew(expires));
            found(item.filter(|item| !hider.hides(item.expires_at())))
        })
    }

    /// A counter with what this transaction adds to it. One that is over counts as not there, whether it is hidden or not, as it does
    /// when the addition is applied.
    pub(super) fn counter(&self, space: SpaceNumber, key: &[u8], delta: &[u8], found: OnItem<'_>) -> Result<()> {
        let hider = self.hider();
        let (mut sum, mut until) = (Vec::new(), None);
        self.committed_as(hider.showing_all(), space, (Family::Kv, key), &mut |item| {
            let item = item.filter(|item| item.expires_at().is_none_or(|micros| !hider.is_over(micros)));
            let existing = item.map(|item| item.bytes()).transpose()?;
            (sum, until) = (
                apply_delta(key, existing.as_deref(), &Delta::decode(delta)?)?,
                item.and_then(|item| item.expires_at()),
            );
            Ok(())
        })?;
        found(Some(Item::pending(entry_kind::INLINE, &sum, self.shared).until(until)))
    }

    /// Whether an operation can only be buffered as a put of the sum of a counter.
    pub(super) fn needs_sum(&self, space: SpaceNumber, code: OpCode, key: &[u8]) -> bool {
        let Ok(writes) = self.writes.try_borrow() else { return false };
        let before = || writes.find(space, OpCode::KvPut, key).map(|write| write.code);
        match code {
            OpCode::KvAdd if writes.has_expiries => {
                before().is_some_and(|before| expires(before) || puts_expiring(before))
            }
            OpCode::KvExpire => before() == Some(OpCode::KvAdd),
            _ => false,
        }
    }

    /// Buffers an addition to a counter whose expiry this transaction has set, or the expiry of one that it has added to.
    pub(super) fn write_sum(&self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
        let hider = self.hider();
        let (mut value, mut until) = (None, None);
        self.get_with(space, Family::Kv, key, &mut |item| {
            let item = item.filter(|item| item.expires_at().is_none_or(|micros| !hider.is_over(micros)));
            value = item.map(|item| item.bytes().map(|bytes| bytes.into_owned())).transpose()?;
            until = item.and_then(|item| item.expires_at());
            Ok(())
        })?;
        let value = if code == OpCode::KvAdd {
            apply_delta(key, value.as_deref(), &Delta::decode(body)?)?
        } else {
            let Some(value) = value else { return Ok(()) };
            until = parse_expiry_body(body)?;
            value
        };
        let mut writes = self.writes_to(space)?;
        match until {
            Some(micros) => writes.write(space, OpCode::KvPutExpiring, key, &expiring_body(micros, &value)),
            None => writes.write(space, OpCode::KvPut, key, &value),
        }
    }
}

fn family_of(code: OpCode) -> Option<Family> {
    match code {
        OpCode::KvExpire => Some(Family::Kv),
        OpCode::JsonExpire => Some(Family::Json),
        OpCode::StateExpire => Some(Family::State),
        _ => None,
    }
}
