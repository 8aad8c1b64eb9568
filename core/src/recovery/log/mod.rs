//! Recovery of the log: which segments there are, where the log ends, and every transaction in it.
//!
//! [`survey`] looks at names, anchors and segment headers and refuses whatever does not fit together; [`fold`] then reads
//! the segments and hands out the transactions in order. Both only read.
//!
//! Invariants:
//! - Every transaction that is handed out was on stable media before. What may have been seen by the operating system
//!   only is returned as a tail, for the engine to write again before anybody reads it (rule F-25).
//! - A transaction is handed out whole or not at all.
//! - The log is never cut where anything says that what stood there had been promised (rule F-22).

mod fold;
mod newest;
mod read;
mod salvage;
mod scan;
mod sequence;
mod survey;
mod window;

pub use fold::{LogOutcome, LogRecord, LogReport, LogStart, fold};
pub use newest::{Cut, TailFrame, TailRecord};
pub use survey::{SegmentInfo, Survey, survey};

#[cfg(test)]
mod tests;
