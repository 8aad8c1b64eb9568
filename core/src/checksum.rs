//! CRC-32 (IEEE 802.3), the checksum of everything in a store's files.
//!
//! Invariant: the same numbers everywhere. Natively this is `crc32fast`, which uses the processor's instructions. A browser
//! has none for it, and the tables that `crc32fast` needs there are 16 KiB that no compression makes smaller, an eighth of what
//! an app may ship; so in WebAssembly the same tables are computed when they are first needed. A test holds the two together.

#[cfg(not(target_family = "wasm"))]
pub use crc32fast::{Hasher, hash};
#[cfg(target_family = "wasm")]
pub use tables::{Hasher, hash};

#[cfg(any(test, target_family = "wasm"))]
#[cfg_attr(not(target_family = "wasm"), expect(unreachable_pub, reason = "natively it is there to be tested only"))]
mod tables;

#[cfg(test)]
mod tests;
