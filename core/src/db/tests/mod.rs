//! What the driver promises as a whole, where only core can look.

mod forged;
mod portable;
