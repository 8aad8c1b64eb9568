//! Going back to a savepoint.
//!
//! Invariant: afterwards the write set is as it was, but for what it costs to hold it: the same writes are found, shown and logged,
//! and count as many bytes. Only numbers of runs that were begun since are not given again.

use super::{
    appends::Appends,
    undo::{Record, Savepoint},
    write::{Body, Write, is_run_operation},
    write_set::{OP_OVERHEAD, WriteSet},
};
use crate::{Error, Result, log::OpCode, work};

impl WriteSet {
    /// Marks what is written so far. Copies nothing.
    pub(crate) fn savepoint(&self) -> Savepoint {
        self.undo.borrow_mut().get_or_insert_default().mark(self.writes.len(), self.appends.len())
    }

    /// Forgets what was written since the savepoint. Costs what is undone. Fails with [`Error::Invalid`], and changes nothing,
    /// where the savepoint is not one of these writes, or is behind one that was gone back to.
    pub(crate) fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<()> {
        let Some(mark) = self.undo.get_mut().get_or_insert_default().go_back(savepoint) else {
            let why = "it is of another transaction or of an earlier attempt of this one, or the transaction has gone back \
                       to an earlier savepoint since";
            return Err(Error::Invalid { what: "savepoint", why: why.into() });
        };
        // First what was added: it may have the keys of what was taken out before, and comes back now.
        while self.writes.len() > mark.writes {
            self.take_back_newest();
        }
        while let Some(record) = self.undo.get_mut().as_mut().and_then(|undo| undo.pop(&mark)) {
            self.take_back(record);
        }
        self.appends.truncate(mark.streams);
        self.compact_if_wasteful();
        Ok(())
    }

    /// Does nothing for a write that was added since, and is gone.
    fn take_back(&mut self, record: Record) {
        work::count(1);
        if record.position() >= self.writes.len() {
            return;
        }
        match record {
            Record::Changed { at, before } => {
                let now = self.writes.get(at).map_or(0, Write::body_len);
                self.arena_used = self.arena_used + before.body_len() - now;
                self.encoded_bytes = self.encoded_bytes + before.body_len() - now;
                self.put_back(at, before);
            }
            Record::Grown { at, epoch, before } => {
                let Some(write) = self.writes.get_mut(at) else { return };
                write.epoch = epoch;
                let Body::Events(place) = write.body() else { return };
                if let Some(appends) = self.appends.get_mut(place) {
                    let cost = appends.cost();
                    appends.shrink_to(&before);
                    self.encoded_bytes = self.encoded_bytes + appends.cost() - cost;
                }
            }
            Record::Removed { at, before, events } => {
                let mut cost = before.key().len() + before.body_len() + OP_OVERHEAD;
                if let (Body::Events(place), Some(events)) = (before.body(), events) {
                    cost = events.cost();
                    if let Some(appends) = self.appends.get_mut(place) {
                        *appends = events;
                    }
                }
                self.gone -= 1;
                self.run_operations += usize::from(is_run_operation(before.code));
                self.arena_used += before.body_len();
                self.encoded_bytes += cost;
                self.put_back(at, before);
                self.insert_into_index(at);
            }
        }
    }

    /// A write as it was. Its key is where the arena has it now: keys move when it is written anew, and records have none.
    fn put_back(&mut self, at: usize, mut before: Write) {
        let Some(now) = self.writes.get(at) else { return };
        before.move_key(now.key().start);
        self.replace(at, before);
    }

    /// Takes the newest write back, whatever it is.
    fn take_back_newest(&mut self) {
        work::count(1);
        let Some(at) = self.writes.len().checked_sub(1) else { return };
        if self.get(at).is_some() {
            self.remove_from_order(at);
            if self.unordered {
                self.remove_from_index(at);
            }
        }
        let Some(write) = self.writes.pop() else { return };
        self.arena_used -= write.key().len() + write.body_len();
        let cost = match write.body() {
            Body::Bytes(body) => write.key().len() + body.len() + OP_OVERHEAD,
            Body::Events(place) => self.appends.get(place).map_or(0, Appends::cost),
            Body::Gone => {
                self.gone -= 1;
                return;
            }
        };
        self.encoded_bytes -= cost;
        self.run_operations -= usize::from(is_run_operation(write.code));
        if write.code == OpCode::RunBegin {
            self.take_back_newest_run();
        }
    }
}
