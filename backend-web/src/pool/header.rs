//! The header of a pool file: which file of the store it carries.
//!
//! Invariant: decoding reads bytes and nothing else; a copy that passes was written whole, for this pool file. Layout and
//! rules: `docs/platform.md`, "The pool's files", rules 2 to 4.

use foldb_core::storage::{FILE_NAME_BYTES_MAX, check_name};

/// Bytes before those of the store's file. A whole block of every disk, so that the store's own blocks stay aligned.
pub const HEADER_BYTES: u64 = 4096;

/// Where the two copies begin: in different sectors of any disk, so that one torn write spares the other.
pub(super) const COPY_OFFSETS: [u64; 2] = [0, 2048];
/// Length of a copy.
pub(super) const COPY_BYTES: usize = 128;

const MAGIC: [u8; 8] = *b"foldb\0pf";
const VERSION: u32 = 1;
const STATE_FREE: u8 = 0;
const STATE_NAMED: u8 = 1;

const AT_VERSION: usize = 8;
const AT_STATE: usize = 12;
const AT_NAME_LEN: usize = 13;
const AT_COUNTER: usize = 16;
const AT_NUMBER: usize = 24;
const AT_NAME: usize = 32;
const AT_CHECKSUM: usize = COPY_BYTES - 4;
const _: () = assert!(AT_NAME + FILE_NAME_BYTES_MAX <= AT_CHECKSUM);

/// What one copy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Counts the changes of all headers of the pool; the highest is the newest.
    pub(super) counter: u64,
    /// The file that is carried, or `None` for a free pool file.
    pub(super) name: Option<String>,
}

/// What the two copies say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// No copy passes and no bytes are behind the header: the pool file was made and never finished.
    Blank,
    /// The newest copy, where it is, and whether the other one says the same.
    Valid { header: Header, place: usize, settled: bool },
    /// A newer version of foldb wrote this.
    Newer { version: u32 },
    /// No copy passes, and bytes are behind the header.
    Damaged,
}

impl Header {
    pub(super) fn encode(&self, number: u64) -> [u8; COPY_BYTES] {
        let mut bytes = [0; COPY_BYTES];
        let mut put = |at: usize, field: &[u8]| {
            if let Some(target) = bytes.get_mut(at..at + field.len()) {
                target.copy_from_slice(field);
            }
        };
        put(0, &MAGIC);
        put(AT_VERSION, &VERSION.to_le_bytes());
        put(AT_COUNTER, &self.counter.to_le_bytes());
        put(AT_NUMBER, &number.to_le_bytes());
        match &self.name {
            None => put(AT_STATE, &[STATE_FREE]),
            Some(name) => {
                // Checked before: a name has at most 64 bytes.
                put(AT_STATE, &[STATE_NAMED]);
                put(AT_NAME_LEN, &[u8::try_from(name.len()).unwrap_or(0)]);
                put(AT_NAME, name.as_bytes());
            }
        }
        let checksum = foldb_core::checksum::hash(bytes.get(..AT_CHECKSUM).unwrap_or_default());
        if let Some(target) = bytes.get_mut(AT_CHECKSUM..) {
            target.copy_from_slice(&checksum.to_le_bytes());
        }
        bytes
    }

    /// What a copy says, if it passes: `Err` with the version for one that a newer program wrote.
    fn decode(bytes: &[u8], number: u64) -> Result<Option<Self>, u32> {
        let Some(body) = bytes.get(..AT_CHECKSUM) else { return Ok(None) };
        if field(bytes, AT_CHECKSUM) != Some(foldb_core::checksum::hash(body).to_le_bytes())
            || field(bytes, 0) != Some(MAGIC)
        {
            return Ok(None);
        }
        // The checksum passes, so these bytes are what somebody meant.
        let version = field(bytes, AT_VERSION).map_or(0, u32::from_le_bytes);
        if version > VERSION {
            return Err(version);
        }
        if field(bytes, AT_NUMBER).map(u64::from_le_bytes) != Some(number) {
            return Ok(None);
        }
        let counter = field(bytes, AT_COUNTER).map_or(0, u64::from_le_bytes);
        let [state] = field(bytes, AT_STATE).unwrap_or_default();
        let [name_len] = field(bytes, AT_NAME_LEN).unwrap_or_default();
        let name = match state {
            STATE_FREE => None,
            STATE_NAMED => {
                let name = bytes.get(AT_NAME..AT_NAME + usize::from(name_len));
                let name = name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| check_name(name).is_ok());
                let Some(name) = name else { return Ok(None) };
                Some(String::from(name))
            }
            _ => return Ok(None),
        };
        Ok(Some(Header { counter, name }))
    }
}

/// Reads both copies out of the first block of pool file `number`, which is `len` bytes long in all.
pub(super) fn decode(block: &[u8], number: u64, len: u64) -> Decoded {
    let copy = |place: usize| {
        let at = COPY_OFFSETS.get(place).and_then(|at| usize::try_from(*at).ok())?;
        block.get(at..at + COPY_BYTES)
    };
    let read = |place| copy(place).map_or(Ok(None), |bytes| Header::decode(bytes, number));
    match (read(0), read(1)) {
        (Err(version), _) | (_, Err(version)) => Decoded::Newer { version },
        (Ok(Some(first)), Ok(Some(second))) => {
            let settled = first == second;
            let place = usize::from(second.counter > first.counter);
            Decoded::Valid { header: if place == 1 { second } else { first }, place, settled }
        }
        (Ok(Some(header)), Ok(None)) => Decoded::Valid { header, place: 0, settled: false },
        (Ok(None), Ok(Some(header))) => Decoded::Valid { header, place: 1, settled: false },
        // A pool file is finished, with a header on the medium, before anything is written behind it.
        (Ok(None), Ok(None)) if len <= HEADER_BYTES => Decoded::Blank,
        (Ok(None), Ok(None)) => Decoded::Damaged,
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
