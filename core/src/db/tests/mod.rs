//! What the driver promises as a whole, where only core can look.

mod damaged;
mod failing;
mod forged;
mod portable;
