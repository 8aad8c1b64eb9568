//! Those who listen to commits, and who of them has something to hear.
//!
//! Invariants: a listener hears what a [`Subscription`] hears, and nothing that this message has committed before its sync has
//! returned. Whoever has nothing to hear costs nothing: a listener is looked at when its subscription has woken it.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

use foldb_core::{Announcement, ChangeFilter, Db, Error, Primitive, Result, Subscription};

use crate::{
    failure,
    platform::PlatformStorage,
    wire::{Input, Output, malformed},
};

/// By client and handle.
type Number = (u32, u32);

/// The listeners that have something to hear.
#[derive(Clone, Default)]
pub(crate) struct Due(Arc<Mutex<Vec<Number>>>);

impl Due {
    fn add(&self, number: Number) {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !due.contains(&number) {
            due.push(number);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn take(&self) -> Vec<Number> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a subscription wakes.
struct Woken {
    due: Due,
    number: Number,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.due.add(self.number);
    }
}

/// Somebody who listens.
pub(crate) struct Listener {
    /// Gone once it is over.
    subscription: Option<Subscription>,
    woken: Arc<Woken>,
    /// What ended it before the store did, until that was told.
    failed: Option<Error>,
}

impl Listener {
    /// Listens from now on.
    pub(crate) fn new(db: &Db<PlatformStorage>, filter: ChangeFilter, due: &Due, number: Number) -> Result<Self> {
        let woken = Arc::new(Woken { due: due.clone(), number });
        let listener = Listener { subscription: Some(db.subscribe(filter)?), woken, failed: None };
        // The first look registers it.
        due.add(number);
        Ok(listener)
    }

    /// Nothing of what there is to hear is to be acted upon: it is over, for this reason.
    pub(crate) fn fail(&mut self, cause: &Error) {
        if self.subscription.take().is_some() {
            self.failed = Some(Error::Poisoned { cause: cause.to_string() });
            self.woken.due.add(self.woken.number);
        }
    }

    fn poll(&mut self) -> Poll<Option<Result<Announcement>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(subscription) = &mut self.subscription else { return Poll::Ready(None) };
        let waker = Waker::from(Arc::clone(&self.woken));
        subscription.poll_next(&mut Context::from_waker(&waker))
    }

    /// Writes what there is to hear: commits, the errors between them, and whether that was all.
    pub(crate) fn write(&mut self, out: &mut Output) {
        let (_, handle) = self.woken.number;
        out.u32(handle);
        let (at, mut count) = (out.0.len(), 0);
        out.u32(0);
        let is_over = loop {
            match self.poll() {
                Poll::Pending => break false,
                Poll::Ready(None) => break true,
                Poll::Ready(Some(heard)) => {
                    count += 1;
                    out.flag(heard.is_ok());
                    match heard {
                        Ok(commit) => announcement(&commit, out),
                        Err(error) => failure::write(&error.into(), out),
                    }
                }
            }
        };
        out.patch(at, count);
        out.flag(is_over);
    }
}

fn announcement(commit: &Announcement, out: &mut Output) {
    out.number(commit.seq());
    out.number(commit.time_micros());
    out.flag(commit.is_durable());
    out.cause(commit.cause());
    out.count(commit.changes().count());
    for change in commit.changes() {
        out.optional(change.run, |out, run| out.0.extend_from_slice(&run.to_bytes()));
        out.u8(number(change.primitive));
        out.bytes(change.key);
    }
}

/// The number of a primitive, as in `ts/commits.ts`.
fn number(primitive: Primitive) -> u8 {
    match primitive {
        Primitive::Kv => 0,
        Primitive::Json => 1,
        Primitive::Events => 2,
        Primitive::State => 3,
        Primitive::Trace => 4,
        _ => 5,
    }
}

/// Which changes somebody wants to hear of.
pub(crate) fn filter(input: &mut Input<'_>) -> Result<ChangeFilter> {
    let mut filter = ChangeFilter::all();
    if let Some(run) = input.optional(Input::run)? {
        filter = filter.run(run);
    }
    if input.flag()? {
        filter = filter.default_space();
    }
    for primitive in input.list(Input::u8)? {
        filter = filter.primitive(match primitive {
            0 => Primitive::Kv,
            1 => Primitive::Json,
            2 => Primitive::Events,
            3 => Primitive::State,
            4 => Primitive::Trace,
            5 => Primitive::Run,
            _ => return Err(malformed("an unknown primitive")),
        });
    }
    for key in input.list(Input::bytes)? {
        filter = filter.key(key);
    }
    for prefix in input.list(Input::bytes)? {
        filter = filter.prefix(prefix);
    }
    if input.flag()? {
        filter = filter.durable();
    }
    Ok(if input.flag()? { filter.or_life() } else { filter })
}
