//! What the driver promises as a whole, where only core can look.

mod damaged;
pub(crate) mod failing;
mod forged;
mod interval;
mod portable;
