//! [`Encoded`]: a value as its bytes, for hosts that encode and decode by themselves.

use alloc::vec::Vec;

use super::{Decode, Encode, cbor};
use crate::Result;

/// A value that is encoded already, or that is to be read without being decoded.
///
/// The bytes are checked both ways: what is not one value in its only form ([`Error::Invalid`](crate::Error::Invalid))
/// or is over a limit ([`Error::Limit`](crate::Error::Limit)) goes neither in nor out.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::Encoded;
/// let db = foldb::Db::memory();
/// db.kv().put("greeting", Encoded(b"\x62hi"))?;
/// assert_eq!(db.kv().get::<String>("greeting")?.as_deref(), Some("hi"));
/// assert_eq!(db.kv().get::<Encoded<Vec<u8>>>("greeting")?, Some(Encoded(b"\x62hi".to_vec())));
/// assert!(db.kv().put("broken", Encoded(b"\x18\x01")).is_err(), "a longer form than needed");
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoded<B>(pub B);

impl<B: AsRef<[u8]>> Encode for Encoded<B> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let bytes = self.0.as_ref();
        cbor::check(bytes)?;
        out.extend_from_slice(bytes);
        Ok(())
    }
}

impl Decode for Encoded<Vec<u8>> {
    fn decode(bytes: &[u8]) -> Result<Self> {
        cbor::check(bytes)?;
        Ok(Encoded(bytes.to_vec()))
    }
}
