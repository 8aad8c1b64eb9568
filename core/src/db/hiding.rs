//! What a reader does not see because it is over by the host's clock.
//!
//! Invariants:
//! - A reader has one moment, from the first entry on that is over at some time: what it has seen does not vanish under it, and what it
//!   has not seen does not appear. Readers of what is never over do not ask the clock at all.
//! - Nothing is decided here for the log: the fold sees records, and what they say of times.

use std::sync::OnceLock;

use crate::host::Host;

/// The moment that a reader goes by, in microseconds, once something has asked for it. No name of [`crate::sync`]: whichever thread
/// asks first, one moment comes of it, and no schedule can show a difference.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment(OnceLock<u64>);

/// What is over for a reader, and whether it hides that.
#[derive(Clone, Copy)]
pub(crate) struct Hider<'a> {
    host: &'a dyn Host,
    moment: &'a Moment,
    hides: bool,
}

impl<'a> Hider<'a> {
    pub(crate) fn new(host: &'a dyn Host, moment: &'a Moment, hides: bool) -> Self {
        Hider { host, moment, hides }
    }

    /// The moment.
    pub(crate) fn now_micros(&self) -> u64 {
        *self.moment.0.get_or_init(|| self.host.now_micros())
    }

    /// The same, and it shows everything.
    pub(crate) fn showing_all(self) -> Self {
        Hider { hides: false, ..self }
    }

    /// Whether an entry is not shown.
    #[inline]
    pub(crate) fn hides(&self, expires: Option<u64>) -> bool {
        match expires {
            Some(micros) => self.hides && self.is_over(micros),
            None => false,
        }
    }

    /// Whether an entry that is over at a time is over.
    pub(crate) fn is_over(&self, micros: u64) -> bool {
        micros <= self.now_micros()
    }
}
