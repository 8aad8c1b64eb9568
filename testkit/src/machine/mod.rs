//! A machine that fails in every way in which real ones do, driven by one seed.
//!
//! [`SimMachine`] is a computer with one disk. A process takes the store with [`SimMachine::attach`]; it can be killed, and
//! the power can fail between two operations or in the middle of one. Which of the [`FaultClass`]es happen, and how often,
//! is a [`Plan`]; how often they did is [`Fired`]. The contents of files, the choice that a power failure makes among pending
//! operations, and images at rest are those of [`crash`](crate::crash): what is added here is a device below the contract
//! (transfers that are short or move nothing, errors, a quota), lies of that device (writes that go elsewhere, reads that
//! are stale), processes that exclude each other, and [`damage`] at rest.
//!
//! There is no journal, so that a simulation of hours needs no memory for it: what a power failure may do is kept
//! for the present only.
//!
//! ```
//! use foldb_core::storage::{Storage, StorageError, StorageFile};
//! use foldb_testkit::machine::{FaultClass, Plan, SimMachine};
//!
//! let machine = SimMachine::new(7, Plan::none().with(FaultClass::LostWrite, 1));
//! let storage = machine.attach()?;
//! assert!(matches!(machine.attach(), Err(StorageError::Locked { .. })));
//!
//! let file = storage.create("log-1")?;
//! file.write_at(0, b"kept")?;
//! file.sync()?;
//! file.write_at(4, b" and lost")?;
//! machine.lose_power();
//!
//! assert_eq!(machine.live_image().bytes("log-1").unwrap(), b"kept");
//! assert_eq!(machine.fired().of(FaultClass::LostWrite), 1);
//! assert!(file.sync().is_err(), "its process is dead");
//! # Ok::<(), StorageError>(())
//! ```

mod damage;
mod evidence;
mod fault;
mod hardware;
mod host;
mod storage;
#[cfg(test)]
mod tests;

pub use damage::damage;
pub use evidence::{Evidence, Frame, Segment};
pub use fault::{FaultClass, Fired, Plan};
pub use host::SimHost;
pub use storage::{SimFile, SimMachine, SimStorage};
