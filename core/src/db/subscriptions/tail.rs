//! [`Tail`]: a stream from one of its events on, and then what is appended later.
//!
//! Invariant: it listens before it reads for the first time, and reads again before it waits: no event lies in between.

use alloc::{collections::VecDeque, format, vec::Vec};
use core::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use super::Subscription;
use crate::{
    Error, Result, RunId,
    db::Db,
    live::{ChangeFilter, Primitive},
    primitive::{Event, Events},
    state::{DEFAULT_SPACE, SpaceNumber, readable},
    storage::Storage,
    sync::Deadline,
    tree::Direction,
};

/// So many events are read at once.
const EVENTS_AT_ONCE: usize = 256;

impl<'db, S: Storage> Events<&'db Db<S>> {
    /// The events of a stream from the seq `from` on, and then those that are appended later: an iterator that waits. It takes no
    /// polling, and can be gone on with after a restart: by [`Tail::seq`], as `from`.
    ///
    /// Where events were trimmed that it had not come to, it goes on with the oldest that is kept; their seqs show it. It reads up to
    /// 256 events ahead: those it has read come, whatever has become of them.
    /// The stream need not exist yet. One that is deleted and begins anew begins with seq 1, and a tail that is further goes on where it
    /// is.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use core::time::Duration;
    ///
    /// let db = foldb::Db::memory();
    /// db.events().append("log", "tick", 1)?;
    /// let mut log = db.events().tail("log", 1)?;
    /// assert_eq!(log.next_timeout(Duration::ZERO)?.map(|event| event.seq), Some(1));
    /// assert_eq!(log.next_timeout(Duration::ZERO)?, None);
    /// db.events().append("log", "tick", 2)?;
    /// assert_eq!(log.next_timeout(Duration::ZERO)?.map(|event| event.seq), Some(2));
    /// assert_eq!(log.seq(), 3);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::subscribe`], and [`Error::NotFound`] of a run that was deleted, which ends the wait for its events too.
    pub fn tail(&self, stream: impl AsRef<[u8]>, from: u64) -> Result<Tail<'db, S>> {
        let (db, space, stream) = (*self.access(), self.space(), stream.as_ref());
        // Also of the life of the run: whoever waits for a run that is deleted would wait for ever.
        let filter = ChangeFilter::all().primitive(Primitive::Events).key(stream).or_life();
        let filter = if space == DEFAULT_SPACE { filter.default_space() } else { filter.run(run_id(db, space)?) };
        let subscription = db.subscribe(filter)?;
        Ok(Tail { db, space, stream: stream.to_vec(), next: from, read: VecDeque::new(), subscription, is_over: false })
    }
}

/// A stream that goes on: see [`Events::tail`].
///
/// As an iterator it ends as a [`Subscription`] does, after all events that there are, and behind its first error: that of a run
/// which was deleted comes once. [`Tail::next_timeout`] goes on where that makes sense.
pub struct Tail<'db, S: Storage> {
    db: &'db Db<S>,
    space: SpaceNumber,
    stream: Vec<u8>,
    /// Seq of the event to hand over next.
    next: u64,
    read: VecDeque<Event>,
    subscription: Subscription,
    /// As an iterator it has given its last item.
    is_over: bool,
}

impl<S: Storage> Tail<'_, S> {
    /// Where to go on from: the seq behind that of the last event which was handed over.
    pub fn seq(&self) -> u64 {
        self.next
    }

    /// The next event; `None` where none was appended within that time.
    ///
    /// # Errors
    /// As [`Subscription::next_timeout`], but never [`Error::Lagged`]: what was not announced is read. And as
    /// [`Events::range`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>> {
        let until = Deadline::after(timeout);
        loop {
            if let Some(event) = self.take()? {
                return Ok(Some(event));
            }
            let announced = match timeout.is_zero() {
                true => self.subscription.try_next(),
                false => self.subscription.next_until(until),
            };
            match announced {
                Ok(None) => return self.take(),
                Ok(Some(_)) | Err(Error::Lagged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next event that there is already.
    ///
    /// # Errors
    /// As [`Tail::next_timeout`].
    pub fn try_next(&mut self) -> Result<Option<Event>> {
        self.take()
    }

    /// The next event of what was read; reads where that is over.
    fn take(&mut self) -> Result<Option<Event>> {
        if self.read.is_empty() {
            // What was announced so far is about to be read.
            while matches!(self.subscription.try_next(), Ok(Some(_)) | Err(Error::Lagged { .. })) {}
            let events = Events::new(self.db, self.space);
            self.read = events.range(&self.stream, self.next.., EVENTS_AT_ONCE, Direction::Forward)?.into();
        }
        let event = self.read.pop_front();
        if let Some(event) = &event {
            self.next = event.seq.saturating_add(1);
        }
        Ok(event)
    }

    /// Waits until something was announced. `None` where nothing more will be.
    fn wait(&mut self) -> Option<Result<()>> {
        match self.subscription.next()? {
            Ok(_) | Err(Error::Lagged { .. }) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    }
}

impl<S: Storage> Iterator for Tail<'_, S> {
    type Item = Result<Event>;

    /// Waits for the next event, for as long as that takes.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let item = match self.take().transpose() {
                Some(item) => Some(item),
                None => match self.wait() {
                    Some(Ok(())) => continue,
                    Some(Err(error)) => Some(Err(error)),
                    None => None,
                },
            };
            self.is_over = !matches!(item, Some(Ok(_)));
            return item;
        }
        None
    }
}

impl<S: Storage> Tail<'_, S> {
    /// The next event for a task, which is woken when there is one: see [`Subscription::poll_next`].
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        while !self.is_over {
            let item = match self.take().transpose() {
                Some(item) => Some(item),
                None => match core::task::ready!(self.subscription.poll_next(context)) {
                    Some(Ok(_) | Err(Error::Lagged { .. })) => continue,
                    Some(Err(error)) => Some(Err(error)),
                    None => None,
                },
            };
            self.is_over = !matches!(item, Some(Ok(_)));
            return Poll::Ready(item);
        }
        Poll::Ready(None)
    }
}

#[cfg(feature = "stream")]
impl<S: Storage> futures_core::Stream for Tail<'_, S> {
    type Item = Result<Event>;

    fn poll_next(self: core::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Tail::poll_next(self.get_mut(), context)
    }
}

impl<S: Storage> fmt::Debug for Tail<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = readable(&self.stream);
        f.debug_struct("Tail").field("stream", &stream).field("seq", &self.next).finish_non_exhaustive()
    }
}

/// The id of the run that has a space.
fn run_id<S: Storage>(db: &Db<S>, space: SpaceNumber) -> Result<RunId> {
    let run = db.shared.state().run(space).map(|run| run.record.id());
    run.ok_or_else(|| Error::NotFound { what: "run", name: format!("number {space}") })
}
