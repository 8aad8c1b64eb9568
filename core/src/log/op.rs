//! Operations: what a transaction does, one code, one key and one body each. Rules F-18 and F-21.

/// What an operation does. Codes come in families of sixteen, so that each primitive can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum OpCode {
    /// Sets a pair. The body is the value in CBOR.
    KvPut = 0x10,
    /// Deletes a pair.
    KvDelete = 0x11,
    /// Adds to a counter. The body is the counter's kind and the delta.
    KvAdd = 0x12,
    /// Sets a document. The body is the document.
    JsonPut = 0x20,
    /// Deletes a document.
    JsonDelete = 0x21,
    /// Appends events to the stream that is the key. The body is their count and the events.
    EventAppend = 0x30,
    /// Forgets the oldest events of a stream. The body is the seq of the first that is kept.
    EventTrim = 0x31,
    /// Deletes a stream.
    StreamDelete = 0x32,
    /// Sets a cell. The body is the cell's counter and the value in CBOR.
    StatePut = 0x40,
    /// Deletes a cell.
    StateDelete = 0x41,
    /// Records a trace entry. The key is its id, the body the entry in CBOR.
    TracePut = 0x50,
    /// Begins a run.
    RunBegin = 0x60,
    /// Ends a run.
    RunEnd = 0x61,
    /// Resumes a run that has ended.
    RunResume = 0x62,
    /// Changes labels or metadata of a run.
    RunAnnotate = 0x63,
    /// Deletes a run.
    RunDelete = 0x64,
    /// Says how many idempotency keys the store remembers, and for how long.
    KeyWindow = 0x68,
}

impl OpCode {
    /// Every code that this program knows.
    pub const ALL: [OpCode; 17] = [
        OpCode::KvPut,
        OpCode::KvDelete,
        OpCode::KvAdd,
        OpCode::JsonPut,
        OpCode::JsonDelete,
        OpCode::EventAppend,
        OpCode::EventTrim,
        OpCode::StreamDelete,
        OpCode::StatePut,
        OpCode::StateDelete,
        OpCode::TracePut,
        OpCode::RunBegin,
        OpCode::RunEnd,
        OpCode::RunResume,
        OpCode::RunAnnotate,
        OpCode::RunDelete,
        OpCode::KeyWindow,
    ];

    /// The byte that stands for it in the log.
    #[inline]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The operation that this byte stands for; `None` for a byte that this program does not know.
    #[inline]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x10 => OpCode::KvPut,
            0x11 => OpCode::KvDelete,
            0x12 => OpCode::KvAdd,
            0x20 => OpCode::JsonPut,
            0x21 => OpCode::JsonDelete,
            0x30 => OpCode::EventAppend,
            0x31 => OpCode::EventTrim,
            0x32 => OpCode::StreamDelete,
            0x40 => OpCode::StatePut,
            0x41 => OpCode::StateDelete,
            0x50 => OpCode::TracePut,
            0x60 => OpCode::RunBegin,
            0x61 => OpCode::RunEnd,
            0x62 => OpCode::RunResume,
            0x63 => OpCode::RunAnnotate,
            0x64 => OpCode::RunDelete,
            0x68 => OpCode::KeyWindow,
            _ => return None,
        })
    }
}

/// One operation, as it stands in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<'a> {
    /// What it does.
    pub code: OpCode,
    /// On which key.
    pub key: &'a [u8],
    /// With what.
    pub body: &'a [u8],
    /// Offset of the body from the payload's first byte. [`LogPosition::payload_offset`](super::LogPosition::payload_offset)
    /// makes an offset in the segment of it.
    pub body_at: u64,
}
