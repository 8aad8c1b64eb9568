//! What the driver promises as a whole, where only core can look.

mod damaged;
mod expiry;
mod expiry_model;
pub(crate) mod failing;
mod forged;
mod interval;
mod places;
mod portable;
