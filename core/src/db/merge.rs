//! [`Merge`]: what is committed and what a transaction has written, as one range.
//!
//! Invariant: each key is shown once, in the order that is asked for, and as the transaction's own writes leave it.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{Transaction, view::Shown};
use crate::{
    Result,
    primitive::access::{Item, OnItem, OnPair},
    state::{Family, SpaceNumber, entry_kind},
    storage::Storage,
    transaction::{Range as Buffered, Write, WriteSet},
    tree::{Direction, KeyRange},
};

/// Committed entries and buffered writes of one range, merged in key order.
pub(super) struct Merge<'a, 'db, S: Storage> {
    pub(super) transaction: &'a Transaction<'db, S>,
    pub(super) writes: &'a WriteSet,
    pub(super) family: Family,
    pub(super) direction: Direction,
    /// The key that the visit ended at, where it did not come to the end of the range.
    pub(super) stopped_at: Option<Vec<u8>>,
}

impl<S: Storage> Merge<'_, '_, S> {
    pub(super) fn visit(
        &mut self,
        space: SpaceNumber,
        range: &KeyRange,
        mut buffered: Buffered<'_>,
        each: OnPair<'_>,
    ) -> Result<()> {
        let mut flow = ControlFlow::Continue(());
        let transaction = self.transaction;
        if let Some(tree) = transaction.tree(space)? {
            let (source, hider) = (transaction.shared, transaction.hider());
            let shown = Shown { tree, family: self.family, source, hider };
            shown.visit(range, self.direction, &mut |key, item| {
                while let Some((own, write)) = buffered.current().filter(|(own, _)| self.comes_before(own, key)) {
                    flow = self.show(own, write, each)?;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                    buffered.advance()?;
                }
                let own = buffered.current().filter(|(own, _)| *own == key);
                flow = match own {
                    // What is committed of a stream is what its reader begins with.
                    Some((own, write)) if self.family != Family::Stream => self.show(own, write, each)?,
                    _ => {
                        let flow = each(key, item);
                        self.reached(key, flow)?
                    }
                };
                if own.is_some() {
                    buffered.advance()?;
                }
                Ok(flow)
            })?;
        }
        while let Some((own, write)) = buffered.current().filter(|_| flow.is_continue()) {
            flow = self.show(own, write, each)?;
            buffered.advance()?;
        }
        Ok(())
    }

    fn comes_before(&self, left: &[u8], right: &[u8]) -> bool {
        match self.direction {
            Direction::Forward => left < right,
            Direction::Backward => left > right,
        }
    }

    /// Notes the key where the visit stops there, because nobody wants more or because it fails.
    fn reached(&mut self, key: &[u8], flow: Result<ControlFlow<()>>) -> Result<ControlFlow<()>> {
        if !matches!(flow, Ok(ControlFlow::Continue(()))) {
            self.stopped_at = Some(key.to_vec());
        }
        flow
    }

    /// Shows a buffered write, unless it is a deletion. An index entry has no value, and a stream that is not committed has
    /// none yet.
    fn show(&mut self, key: &[u8], write: &Write, each: OnPair<'_>) -> Result<ControlFlow<()>> {
        let mut flow = ControlFlow::Continue(());
        let on_item: OnItem<'_> = &mut |item| {
            if let Some(item) = item {
                flow = each(key, &item)?;
            }
            Ok(())
        };
        let shown = match self.family {
            Family::Stream | Family::TraceByParent | Family::TraceByType => {
                on_item(Some(Item::pending(entry_kind::INLINE, &[], self.transaction.shared)))
            }
            _ => self.transaction.pending(self.writes, write, on_item),
        };
        self.reached(key, shown.map(|()| flow))
    }
}
