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
    /// Sets a pair that is over at a time. The body is the time and the value in CBOR.
    KvPutExpiring = 0x13,
    /// Says when a pair is over. The body is the time; empty where it never is.
    KvExpire = 0x14,
    /// Sets a document. The body is the document.
    JsonPut = 0x20,
    /// Deletes a document.
    JsonDelete = 0x21,
    /// Changes a document. The body says which one, and what to do to its bytes.
    JsonEdit = 0x22,
    /// Sets a document that is over at a time. The body is the time and the document.
    JsonPutExpiring = 0x23,
    /// Says when a document is over. The body is the time; empty where it never is.
    JsonExpire = 0x24,
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
    /// Sets a cell that is over at a time. The body is the time, the cell's counter and the value in CBOR.
    StatePutExpiring = 0x42,
    /// Says when a cell is over. The body is the time; empty where it never is.
    StateExpire = 0x43,
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
    /// Removes what is over at a time from a space. The body is the time, and how many entries go at most.
    Sweep = 0x69,
}

impl OpCode {
    /// Every code that this program knows.
    pub const ALL: [OpCode; 25] = [
        OpCode::KvPut,
        OpCode::KvDelete,
        OpCode::KvAdd,
        OpCode::KvPutExpiring,
        OpCode::KvExpire,
        OpCode::JsonPut,
        OpCode::JsonDelete,
        OpCode::JsonEdit,
        OpCode::JsonPutExpiring,
        OpCode::JsonExpire,
        OpCode::EventAppend,
        OpCode::EventTrim,
        OpCode::StreamDelete,
        OpCode::StatePut,
        OpCode::StateDelete,
        OpCode::StatePutExpiring,
        OpCode::StateExpire,
        OpCode::TracePut,
        OpCode::RunBegin,
        OpCode::RunEnd,
        OpCode::RunResume,
        OpCode::RunAnnotate,
        OpCode::RunDelete,
        OpCode::KeyWindow,
        OpCode::Sweep,
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
            0x13 => OpCode::KvPutExpiring,
            0x14 => OpCode::KvExpire,
            0x20 => OpCode::JsonPut,
            0x21 => OpCode::JsonDelete,
            0x22 => OpCode::JsonEdit,
            0x23 => OpCode::JsonPutExpiring,
            0x24 => OpCode::JsonExpire,
            0x30 => OpCode::EventAppend,
            0x31 => OpCode::EventTrim,
            0x32 => OpCode::StreamDelete,
            0x40 => OpCode::StatePut,
            0x41 => OpCode::StateDelete,
            0x42 => OpCode::StatePutExpiring,
            0x43 => OpCode::StateExpire,
            0x50 => OpCode::TracePut,
            0x60 => OpCode::RunBegin,
            0x61 => OpCode::RunEnd,
            0x62 => OpCode::RunResume,
            0x63 => OpCode::RunAnnotate,
            0x64 => OpCode::RunDelete,
            0x68 => OpCode::KeyWindow,
            0x69 => OpCode::Sweep,
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
