//! What several commands tell of a store, in words for people and as JSON for programs.

mod contents;
mod counts;
pub(crate) mod recovery;
mod stream;

pub(crate) use contents::Contents;
pub(crate) use counts::Counts;
pub(crate) use stream::stream;
