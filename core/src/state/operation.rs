//! What the fold has to be able to read of an operation, whatever the state is.
//!
//! Invariant: an operation that passes here is refused by the fold only for what it finds: a space that is not there, a run
//! that begins out of turn, a sum that leaves its range. Nothing else gets into a transaction or a record. Rules F-33 to F-38.

use alloc::{
    format,
    string::{String, ToString},
};

use super::{
    DEFAULT_SPACE, EditBody, EventBytes, RunAnnotated, RunBegun, RunEnded, RunResumed, SpaceNumber, State, Sweep,
    decode_body, idempotency::decode_bounds, parse_expiry_body, read_event, split_expiring_body,
};
use crate::{
    Error, Result,
    log::{OpCode, RecordView, segment_name, varint::Reader},
    primitive::check_trace_index,
    value::Delta,
};

/// What the fold has to do for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hardness {
    /// Keep the body or remove it: nothing can go wrong.
    Plain,
    /// Read the body.
    Read,
    /// Change the catalog of runs: what else the record does there decides whether it can.
    Runs,
}

impl Hardness {
    #[inline]
    pub(crate) fn of(code: OpCode) -> Self {
        match code {
            OpCode::KvPut
            | OpCode::KvDelete
            | OpCode::JsonPut
            | OpCode::JsonDelete
            | OpCode::StatePut
            | OpCode::StateDelete
            | OpCode::StreamDelete => Hardness::Plain,
            OpCode::KvAdd
            | OpCode::JsonEdit
            | OpCode::EventAppend
            | OpCode::EventTrim
            | OpCode::TracePut
            | OpCode::KvPutExpiring
            | OpCode::KvExpire
            | OpCode::JsonPutExpiring
            | OpCode::JsonExpire
            | OpCode::StatePutExpiring
            | OpCode::StateExpire
            | OpCode::Sweep
            | OpCode::KeyWindow => Hardness::Read,
            OpCode::RunBegin | OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate | OpCode::RunDelete => {
                Hardness::Runs
            }
        }
    }
}

/// Whether the fold can read an operation. Costs nothing for puts and deletions, whose bodies it does not look into.
#[inline]
pub(crate) fn check_operation(space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
    if Hardness::of(code) == Hardness::Plain {
        return Ok(());
    }
    match code {
        OpCode::KvAdd => Delta::decode(body).map(|_| ()),
        OpCode::JsonEdit => EditBody::parse(body).map(|_| ()),
        OpCode::EventAppend => check_events(body),
        OpCode::EventTrim => trimmed_to(body).map(|_| ()),
        OpCode::TracePut => check_trace_index(key, body),
        OpCode::RunBegin => check_beginning(key, body),
        OpCode::RunEnd => decode_body::<RunEnded>("run end", body).map(|_| ()),
        OpCode::RunResume => decode_body::<RunResumed>("run resume", body).map(|_| ()),
        OpCode::KeyWindow => check_bounds(space, key, body),
        OpCode::RunAnnotate => decode_body::<RunAnnotated>("run annotation", body).map(|_| ()),
        OpCode::KvPutExpiring | OpCode::JsonPutExpiring | OpCode::StatePutExpiring => {
            split_expiring_body(body).map(|_| ())
        }
        OpCode::KvExpire | OpCode::JsonExpire | OpCode::StateExpire => parse_expiry_body(body).map(|_| ()),
        OpCode::Sweep => check_sweep(key, body),
        _ => Ok(()),
    }
}

impl State {
    /// Whether the fold can read all operations of a record that changes no runs, and finds their spaces.
    pub(crate) fn check_operations(&self, frames: &[RecordView<'_>]) -> Result<()> {
        for frame in frames {
            for group in frame.groups() {
                if self.space(group.space).is_none() {
                    return Err(refused(frame, format!("space {} does not exist", group.space)));
                }
                for op in group.ops() {
                    check_operation(group.space, op.code, op.key, op.body)
                        .map_err(|error| refused(frame, error.to_string()))?;
                }
            }
        }
        Ok(())
    }
}

fn refused(frame: &RecordView<'_>, what: String) -> Error {
    Error::Corrupt { file: segment_name(frame.at().segment), offset: frame.at().offset, rule: "F-39", what }
}

/// The oldest seq that a trim with this body keeps.
pub(crate) fn trimmed_to(body: &[u8]) -> Result<u64> {
    Ok(Reader::new(body).varint()?)
}

fn check_events(body: &[u8]) -> Result<()> {
    let events = EventBytes::parse(body)?;
    let mut reader = Reader::new(events.bytes);
    for _ in 0..events.count {
        read_event(&mut reader)?;
    }
    match reader.remaining() {
        0 => Ok(()),
        left => Err(Error::Invalid { what: "event batch", why: format!("{left} bytes are left behind it") }),
    }
}

#[cold]
fn check_bounds(space: SpaceNumber, key: &[u8], body: &[u8]) -> Result<()> {
    if space != DEFAULT_SPACE || !key.is_empty() || decode_bounds(body).is_none() {
        let why = format!("{} bytes in space {space}", body.len());
        return Err(Error::Invalid { what: "bounds of the window of keys", why });
    }
    Ok(())
}

#[cold]
fn check_sweep(key: &[u8], body: &[u8]) -> Result<()> {
    if !key.is_empty() {
        return Err(Error::Invalid { what: "sweep", why: format!("it has a key of {} bytes", key.len()) });
    }
    Sweep::parse(body).map(|_| ())
}

#[cold]
fn check_beginning(key: &[u8], body: &[u8]) -> Result<()> {
    if key.len() != 16 {
        return Err(Error::Invalid { what: "run id", why: format!("it has {} bytes", key.len()) });
    }
    decode_body::<RunBegun>("run", body).map(|_| ())
}
