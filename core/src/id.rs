//! Identifiers: [`RunId`] and [`StoreId`]. Their bytes come from the host; nothing here reads a clock or entropy.

use alloc::string::{String, ToString};
use core::{fmt, hash::BuildHasher, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, Result, host::Host};

/// Identifies a run, in any store, for ever: a UUID of version 7 (RFC 9562), so that ids sort by the time of their making. Where a
/// run is begun under a [key](crate::Runs::begin_or_get) the id is made of the key: a UUID of version 8.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::RunId;
/// let id: RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
/// assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 16]);

/// Identifies one store: random bytes chosen when it is created, repeated in every file so that a foreign file is noticed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId([u8; 16]);

impl RunId {
    /// A new id from the host's clock and entropy (RFC 9562, section 5.7).
    pub fn generate(host: &dyn Host) -> Self {
        Self(uuid_v7(host))
    }

    /// The id of the run that a store has under a key: the first 16 bytes of BLAKE3 over the store's id and the key, with the marks
    /// of a UUID of version 8. It never changes: a later version that made another id of the same key would do all the work again
    /// that the run says is done.
    ///
    /// For hosts that begin the run themselves; [`Runs::begin_or_get`](crate::Runs::begin_or_get) is for everybody else.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{Db, RunId, RunOptions};
    /// let db = Db::memory();
    /// let run = db.runs().begin_or_get("import", RunOptions::named("import"))?;
    /// assert_eq!(run.id(), RunId::of_key(db.id(), b"import"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn of_key(store: StoreId, key: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("foldb 2026-11-29 run of a key");
        hasher.update(&store.0).update(key);
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The same; `None` for another number of bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 16 bytes of the id, in the order in which they are stored and sorted.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// What a table in memory finds it by. Never stored.
    pub(crate) fn hash_for_table(&self) -> u64 {
        rustc_hash::FxBuildHasher.hash_one(self.0)
    }
}

impl StoreId {
    /// A new random id.
    pub fn generate(host: &dyn Host) -> Self {
        let mut bytes = [0; 16];
        host.fill_random(&mut bytes);
        Self(bytes)
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the id.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// 16 bytes of a UUIDv7: 48 bits of milliseconds, version, 74 random bits, variant.
pub(crate) fn uuid_v7(host: &dyn Host) -> [u8; 16] {
    let mut bytes = [0; 16];
    host.fill_random(&mut bytes);
    let millis = (host.now_micros() / 1000).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

fn write_hyphenated(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

fn parse_hyphenated(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = text.bytes().enumerate().filter(|(at, byte)| !(*byte == b'-' && matches!(at, 8 | 13 | 18 | 23)));
    for byte in &mut bytes {
        let high = char::from(digits.next()?.1).to_digit(16)?;
        let low = char::from(digits.next()?.1).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

macro_rules! text_form {
    ($id:ident, $what:literal) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hyphenated(&self.0, f)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hyphenated(&self.0, f)
            }
        }

        impl FromStr for $id {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_hyphenated(text).map(Self).ok_or_else(|| Error::Invalid {
                    what: $what,
                    why: String::from(
                        "expected 32 hexadecimal digits, as in 01890a5d-ac96-774b-bcce-b302099a8057, found ",
                    ) + &text.to_string(),
                })
            }
        }

        /// As text, so that it can be a field of a value or the result of a transaction.
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

text_form!(RunId, "run id");
text_form!(StoreId, "store id");
