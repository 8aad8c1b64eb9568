//! Ids of trace entries.
//!
//! Invariant: ids sort by the times that they were made of, so that a range of times is a range of ids. Rule F-38.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result, RunId, host::Host, id::uuid_v7, value::Value};

/// Microseconds of one step of an id's 48-bit time.
const MICROS_PER_MILLI: u64 = 1000;

/// The first time that no id can hold: 2^48 milliseconds, in the year 10889.
pub(super) const TIME_MICROS_END: u64 = (1 << 48) * MICROS_PER_MILLI;

/// Identifies a trace entry: a UUID of version 7 (RFC 9562) that holds the entry's time to a quarter of a microsecond,
/// so that ids sort by time. Entries of one microsecond have no particular order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// The id with these 16 bytes.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::TraceId;
    /// assert_eq!(TraceId::from_bytes([7; 16]).to_bytes(), [7; 16]);
    /// ```
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        TraceId(bytes)
    }

    /// The 16 bytes of the id, in the order in which they are stored and sorted.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::{ScanOptions, TraceId};
    /// let id: TraceId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
    /// let behind_it = ScanOptions::all().after(id.to_bytes());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A new id of an entry of this time. The time is checked to be before [`TIME_MICROS_END`].
    pub(super) fn generate(host: &dyn Host, time_micros: u64) -> Self {
        let mut bytes = uuid_v7(host);
        let [prefix @ .., _, _] = time_prefix(time_micros);
        bytes[..6].copy_from_slice(&prefix);
        // RFC 9562, section 6.2, method 3: the 12 bits behind the version are the fraction of the millisecond.
        let [_, _, _, _, _, _, high, low] = time_prefix(time_micros);
        bytes[6] = 0x70 | high;
        bytes[7] = low;
        TraceId(bytes)
    }

    /// The lowest id that an entry of this time can have.
    pub(super) fn lowest(time_micros: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&time_prefix(time_micros));
        bytes[6] |= 0x70;
        bytes
    }
}

/// The first 8 bytes of an id of this time, without its version: 48 bits of milliseconds, 4 bits of nothing, and 12
/// bits of the fraction.
fn time_prefix(time_micros: u64) -> [u8; 8] {
    let millis = time_micros / MICROS_PER_MILLI;
    let fraction = (time_micros % MICROS_PER_MILLI) * 4096 / MICROS_PER_MILLI;
    ((millis << 16) | fraction).to_be_bytes()
}

// A trace id is written the way a run id is; both are UUIDs.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&RunId::from_bytes(self.0), f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TraceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<RunId>() {
            Ok(id) => Ok(TraceId(id.to_bytes())),
            Err(Error::Invalid { why, .. }) => Err(Error::Invalid { what: "trace id", why }),
            Err(other) => Err(other),
        }
    }
}

/// Text for people, 16 bytes in the store.
impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = match Value::deserialize(deserializer)? {
            Value::Bytes(bytes) => bytes.try_into().map(TraceId).ok(),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        id.ok_or_else(|| serde::de::Error::custom("expected a trace id of 16 bytes"))
    }
}
