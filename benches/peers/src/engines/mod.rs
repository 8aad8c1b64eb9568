//! One file per engine. Adding an engine is writing one file and naming it here.

mod aedb;
mod fjall;
pub mod floors;
#[cfg(feature = "foldb")]
mod foldb;
mod lmdb;
mod redb;
mod sled;
mod sled_alpha;
mod sqlite;

use crate::store::Peer;

/// The name by which foldb's own column is found.
pub const FOLDB: &str = "foldb";

/// Everything that can be measured, floors first.
pub fn all() -> Vec<Peer> {
    let mut peers = floors::all();
    #[cfg(feature = "foldb")]
    peers.push(foldb::peer());
    peers.extend([lmdb::peer(), redb::peer(), sqlite::peer(), fjall::peer(), fjall::peer_written()]);
    peers.extend([sled::peer(), sled_alpha::peer(), aedb::peer()]);
    peers
}
