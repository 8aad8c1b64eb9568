//! What commits have changed, for those who listen: the announcement of a commit, what somebody wants to hear of, and the newest
//! announcements in bounded memory.
//!
//! Nothing here waits or wakes: that is the driver's. A live query, which is told of a commit that touches what it has
//! read, asks the same announcements.
//!
//! Invariants:
//! - An announcement says what the transaction wrote, once for each key (where a stream was trimmed and appended to, twice), and is the same for everybody who hears of it.
//! - What is forgotten for want of room is known to be forgotten, by its seq.

mod announced;
mod filter;
mod recent;
#[cfg(test)]
mod tests;

pub(crate) use self::{announced::Announced, recent::Recent};
pub use self::{
    announced::{Announcement, Change, Primitive},
    filter::ChangeFilter,
};
