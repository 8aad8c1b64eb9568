//! The anchors of an open store: which slot the next one goes into, and what happens before it is written.
//!
//! Invariant: at every moment there is an anchor on the medium that nobody is writing, under a name that no power failure
//! takes away, unless nothing was ever committed. Two things keep it (rule F-9): the first anchor of an opening goes into
//! the slot that may be in the page cache only, and an anchor's file is written over in place only by the opening that has
//! made it.

use super::{
    segments::check_number,
    shared::{Core, Shared},
};
use crate::{
    Result,
    log::{ANCHOR_BYTES, Anchor, AnchorSlot, parse_snapshot_name},
    planted::{self, Planted},
    storage::{Storage, StorageError, StorageFile},
};

impl<S: Storage> Shared<S> {
    /// Sees to it that the next anchor can be written whatever the disk has left: its file is there, with its length.
    pub(crate) fn make_room_for_anchor(&self, core: &mut Core) -> Result<()> {
        self.anchor_file(core).map(drop)
    }

    /// Writes the next anchor and syncs it. The first of an opening goes into the slot that recovery names (rule F-9: the
    /// newest anchor may be one whose sync failed, and then the other is all that the disk has), the rest in turn.
    pub(crate) fn write_anchor(&self, core: &mut Core, change: impl FnOnce(&mut Anchor)) -> Result<()> {
        let engine = &core.engine;
        let mut anchor = core.anchor.unwrap_or(Anchor {
            counter: 0,
            store: engine.store(),
            newest_segment: 0,
            oldest_segment: 0,
            newest_snapshot: None,
            proven_seq: 0,
            end: None,
        });
        anchor.counter += 1;
        check_number("anchors of this store", anchor.counter)?;
        anchor.proven_seq = engine.durable_seq();
        change(&mut anchor);
        anchor.end = match engine.settled_end() {
            Some((segment, end)) if segment == anchor.newest_segment => end,
            // Nothing was written to the log by this opening: it ends where it ended before.
            None if core.anchor.is_some_and(|before| before.newest_segment == anchor.newest_segment) => anchor.end,
            _ => None,
        };
        if core.anchor.is_none() {
            // The first segment need not be number 1: numbers of interrupted creations are not used again.
            anchor.oldest_segment = anchor.newest_segment;
        }
        let file = self.anchor_file(core)?;
        // Only now: an anchor that names one of them may have been in this file, and would otherwise come back without it.
        for garbage in core.garbage.iter().filter(|name| parse_snapshot_name(name).is_some()) {
            self.wipe_snapshot(garbage)?;
        }
        let written =
            file.write_at(0, &anchor.encode()).and_then(|()| match planted::active(Planted::AnchorWithoutSync) {
                true => Ok(()),
                false => file.sync(),
            });
        if let Err(error) = written {
            // Torn, or with a name that is in the cache only: whoever tries again makes it anew.
            core.own_anchors.retain(|own| *own != core.anchor_slot);
            core.anchors[core.anchor_slot.index()] = None;
            return Err(error.into());
        }
        core.ticks_without_anchor = 0;
        core.anchor = Some(anchor);
        core.anchors[core.anchor_slot.index()] = Some(anchor);
        if !planted::active(Planted::AnchorSlotStuck) {
            core.anchor_slot = core.anchor_slot.other();
        }
        for garbage in std::mem::take(&mut core.garbage) {
            // What cannot be removed stays garbage, and the next opening finds it again.
            let _ = self.storage.remove(&garbage);
        }
        Ok(())
    }

    /// Writes an anchor if one of the two does not say what there is: how far the log is durable and where it ends. Returns
    /// whether one was written. After two calls both do.
    ///
    /// What proves that the newest segment was longer must not lie in that segment. And it must lie in both anchors, or it
    /// would go with the newer of them.
    pub(crate) fn settle_anchor(&self, core: &mut Core) -> Result<bool> {
        let Some((segment, end)) = core.engine.settled_end().filter(|_| !planted::active(Planted::IdleWithoutAnchor))
        else {
            return Ok(false);
        };
        let proven_seq = core.engine.durable_seq();
        let newest = core.anchor.map(|anchor| Anchor { newest_segment: segment, proven_seq, end, ..anchor });
        let says_so = |anchor: &Option<Anchor>| match (anchor, newest) {
            (Some(anchor), Some(newest)) => Anchor { counter: newest.counter, ..*anchor } == newest,
            _ => false,
        };
        if core.anchors.iter().all(says_so) {
            return Ok(false);
        }
        self.write_anchor(core, |_| {}).map(|()| true)
    }

    /// Sees to it that both anchors say what there is.
    pub(crate) fn settle_anchors(&self, core: &mut Core) -> Result<()> {
        AnchorSlot::BOTH.iter().try_for_each(|_| self.settle_anchor(core).map(drop))
    }

    /// The file that the next anchor goes into, made anew where it is not this opening's own.
    fn anchor_file(&self, core: &mut Core) -> Result<S::File> {
        let slot = core.anchor_slot;
        if core.own_anchors.contains(&slot) {
            return Ok(self.files.with_handle(|| self.storage.open(slot.name()))?);
        }
        let file = self.renew_anchor(core, slot)?;
        core.own_anchors.push(slot);
        Ok(file)
    }

    /// Whether the next anchor goes into the slot of the only one that there is: that of a store in which nothing was committed, which
    /// this opening found.
    pub(crate) fn is_only_anchor_next(&self, core: &Core) -> bool {
        let is_there = |slot: AnchorSlot| core.anchors.get(slot.index()).is_some_and(Option::is_some);
        is_there(core.anchor_slot) && !is_there(core.anchor_slot.other())
    }

    /// Makes the file of an anchor anew. If an earlier sync of it failed, its name may be in the cache only, and no later
    /// sync would bring it to the disk: the anchor after the next would be written over the only one that the disk has, and
    /// a crash in that moment would leave none.
    ///
    /// It is emptied, whatever it seems to hold, before it is removed: a removed file may come back, and the snapshot that
    /// it names is garbage by then for an opening that did not see it.
    fn renew_anchor(&self, core: &mut Core, slot: AnchorSlot) -> Result<S::File> {
        core.anchors[slot.index()] = None;
        match self.files.with_handle(|| self.storage.open(slot.name())) {
            Err(StorageError::Missing { .. }) => {}
            Ok(file) if !planted::active(Planted::AnchorNotEmptied) => {
                file.write_at(0, &[0; ANCHOR_BYTES])?;
                file.sync()?;
                if planted::active(Planted::AnchorNotRenewed) {
                    return Ok(file);
                }
            }
            opened => drop(opened?),
        }
        let file = self.create_again(slot.name())?;
        if let Err(error) = file.set_len(ANCHOR_BYTES as u64) {
            drop(file);
            let _ = self.storage.remove(slot.name());
            return Err(error.into());
        }
        Ok(file)
    }
}
