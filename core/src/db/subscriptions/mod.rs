//! Subscriptions: who hears of which commits, and when.
//!
//! A commit is announced to the [`Feed`] under the lock of the store, where it gets its seq; it is handed over once readers may see
//! it. Nobody is woken under that lock: whoever has committed or synced does it when it has let go of it.
//!
//! Invariants:
//! - Each commit is handed to each subscription once, in the order of the seqs, and never before it can be read.
//! - A commit costs no more for a subscriber that is slow: that one is told what it has missed.
//! - No wake-up is lost: who waits has registered under the lock of the feed, and what shows is noted under it before anybody
//!   looks for whom to wake.

mod callbacks;
mod feed;
mod subscription;
mod tail;

pub use self::{callbacks::Callback, subscription::Subscription, tail::Tail};
pub(crate) use self::{
    callbacks::Callbacks,
    feed::{End, Feed, OwnFeed},
};
