//! Events on their way into a stream: [`NewEvent`] and [`EventBatch`].

use alloc::vec::Vec;

use crate::{Result, error::check_limit, limits::KEY_BYTES_MAX, log::varint, value::Encode};

/// An event that is to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEvent<'a, P> {
    /// What sort of event it is, up to [`KEY_BYTES_MAX`] bytes.
    pub kind: &'a str,
    /// What happened.
    pub payload: P,
}

impl<'a, P> NewEvent<'a, P> {
    /// An event of this kind with this payload.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::NewEvent;
    /// assert_eq!(NewEvent::new("tick", 7).kind, "tick");
    /// ```
    pub const fn new(kind: &'a str, payload: P) -> Self {
        NewEvent { kind, payload }
    }
}

/// Events that are encoded already, one behind the other in a single buffer.
///
/// Collect events into one and append it whole: that is one commit, one log record and one tree entry, however many
/// there are. Cleared and filled again it allocates nothing.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::primitive::EventBatch;
///
/// let mut batch = EventBatch::new();
/// batch.push("opened", "door 7")?;
/// batch.push("closed", "door 7")?;
/// assert_eq!(batch.len(), 2);
/// batch.clear();
/// assert!(batch.is_empty());
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventBatch {
    bytes: Vec<u8>,
    count: u64,
    /// How many bytes the length of the last payload took. Payloads of a batch are mostly alike, and where the guess is
    /// right a payload is encoded where it stays.
    length_bytes: usize,
}

impl EventBatch {
    /// An empty batch.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// assert!(EventBatch::new().is_empty());
    /// ```
    pub const fn new() -> Self {
        EventBatch { bytes: Vec::new(), count: 0, length_bytes: 1 }
    }

    /// An empty batch with room for this many encoded bytes.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// assert_eq!(EventBatch::with_capacity(64 << 10).len(), 0);
    /// ```
    pub fn with_capacity(bytes: usize) -> Self {
        EventBatch { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// How many events there are.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// let mut batch = EventBatch::new();
    /// batch.push("tick", 7)?;
    /// assert_eq!(batch.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// assert!(EventBatch::new().is_empty());
    /// ```
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The encoded events.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes the events take in the log.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// let mut batch = EventBatch::new();
    /// batch.push("tick", 7)?;
    /// // Two lengths of one byte, four letters, and a small integer of one byte.
    /// assert_eq!(batch.encoded_bytes(), 7);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn encoded_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Removes the events and keeps the memory.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// let mut batch = EventBatch::new();
    /// batch.push("tick", 7)?;
    /// batch.clear();
    /// assert_eq!(batch.encoded_bytes(), 0);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if kind or payload are too large,
    /// [`Error::Invalid`](crate::Error::Invalid) if the payload cannot be encoded. The batch is then as it was.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::EventBatch;
    /// let mut batch = EventBatch::new();
    /// batch.push("measured", 21.5)?;
    /// batch.push("named", "kitchen")?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn push(&mut self, kind: &str, payload: impl Encode) -> Result<()> {
        check_limit("event kind bytes", kind.len(), KEY_BYTES_MAX)?;
        let start = self.bytes.len();
        varint::write(&mut self.bytes, wide(kind.len()));
        self.bytes.extend_from_slice(kind.as_bytes());
        let length_at = self.bytes.len();
        let guess = self.length_bytes.max(1);
        self.bytes.resize(length_at + guess, 0);
        if let Err(error) = payload.encode(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.patch_length(length_at, guess);
        self.count += 1;
        Ok(())
    }

    /// Writes the length of the payload that is the end of the buffer into the `guess` bytes in front of it, and moves
    /// the payload where the length needs more bytes or fewer: every number has one encoding only.
    fn patch_length(&mut self, length_at: usize, guess: usize) {
        let payload_at = length_at + guess;
        let length = self.bytes.len() - payload_at;
        let needed = varint::encoded_len(wide(length));
        if needed != guess {
            let end = length_at + needed + length;
            self.bytes.resize(end.max(payload_at + length), 0);
            self.bytes.copy_within(payload_at..payload_at + length, length_at + needed);
            self.bytes.truncate(end);
            self.length_bytes = needed;
        }
        let mut rest = wide(length);
        for (index, byte) in self.bytes.iter_mut().skip(length_at).take(needed).enumerate() {
            let [low, ..] = (rest & 0x7f).to_le_bytes();
            *byte = if index + 1 == needed { low } else { low | 0x80 };
            rest >>= 7;
        }
    }
}

/// A length in memory fits 64 bits on every target that exists.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
