//! What JavaScript holds between calls: transactions, views, replays, and work that is done in steps.
//!
//! Invariant: a handle is named by its client and a number of the client's choice, so that requests can be sent before the
//! first answer is there; a number is in use once. A client that goes takes its handles with it.

use foldb_core::{DetachedReplay, DetachedTransaction, DetachedView, Error, Result, Savepoint, Verification};
use litemap::LiteMap;

use crate::{announce::Listener, archive::Export, platform::PlatformStorage};

/// Most handles of one client: a program that forgets to release them hears of it before memory is gone.
const HANDLES_MAX: usize = 65_536;

/// A handle.
pub(crate) enum Handle {
    Transaction(Box<OpenTransaction>),
    View(DetachedView<PlatformStorage>),
    Replay(DetachedReplay<PlatformStorage>),
    Verification(Box<Verification<PlatformStorage>>),
    Export(Box<Export>),
    Listener(Box<Listener>),
    /// A transaction of which a write failed that nobody waited for: nothing else of it may be done.
    Failed(Error),
}

/// A transaction between two calls.
pub(crate) struct OpenTransaction {
    pub(crate) transaction: DetachedTransaction<PlatformStorage>,
    pub(crate) savepoints: Vec<Savepoint>,
    /// Whether its commit does not wait for stable media, because whoever answers does: see
    /// [`Together`](crate::together::Together).
    pub(crate) deferred: bool,
}

/// All handles.
#[derive(Default)]
pub(crate) struct Handles(LiteMap<(u32, u32), Handle>);

impl Handles {
    pub(crate) fn insert(&mut self, client: u32, number: u32, handle: Handle) -> Result<()> {
        let limit = Error::Limit { what: "open handles", size: HANDLES_MAX as u64 + 1, limit: HANDLES_MAX as u64 };
        if self.0.keys().filter(|(owner, _)| *owner == client).count() >= HANDLES_MAX {
            return Err(limit);
        }
        if self.0.contains_key(&(client, number)) {
            return Err(Error::Invalid { what: "handle", why: format!("{number} is in use already") });
        }
        self.0.insert((client, number), handle);
        Ok(())
    }

    pub(crate) fn get(&self, client: u32, number: u32) -> Result<&Handle> {
        self.0.get(&(client, number)).ok_or_else(|| unknown(number))
    }

    pub(crate) fn take(&mut self, client: u32, number: u32) -> Result<Handle> {
        self.0.remove(&(client, number)).ok_or_else(|| unknown(number))
    }

    /// Puts back what was taken.
    pub(crate) fn put_back(&mut self, client: u32, number: u32, handle: Handle) {
        self.0.insert((client, number), handle);
    }

    /// Makes a transaction fail, now and with whatever comes next. Nothing else is touched: what was refused because its
    /// transaction has ended leaves nothing behind.
    pub(crate) fn fail(&mut self, client: u32, number: u32, error: &Error) {
        if let Some(handle @ (Handle::Transaction(_) | Handle::Failed(_))) = self.0.get_mut(&(client, number)) {
            *handle = Handle::Failed(error.clone());
        }
    }

    /// Somebody who listens, if that is what the handle is of.
    pub(crate) fn listener(&mut self, number: (u32, u32)) -> Option<&mut Listener> {
        match self.0.get_mut(&number) {
            Some(Handle::Listener(listener)) => Some(listener),
            _ => None,
        }
    }

    /// Ends all who listen, with this error, before they hear of anything that is not known to be there.
    pub(crate) fn fail_listeners(&mut self, error: &Error) {
        for (_, handle) in self.0.iter_mut() {
            if let Handle::Listener(listener) = handle {
                listener.fail(error);
            }
        }
    }

    pub(crate) fn drop_client(&mut self, client: u32) {
        self.0.retain(|(owner, _), _| *owner != client);
    }
}

fn unknown(number: u32) -> Error {
    Error::Invalid {
        what: "handle",
        why: format!("{number} is not open: the transaction has ended, or the view was released"),
    }
}
