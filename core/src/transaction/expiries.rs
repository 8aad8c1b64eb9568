//! When something that a transaction writes is over: what becomes of a write that is there already.
//!
//! Invariant: a key has one write, which says both what is put and when that is over. Only where nothing is put is the expiry written
//! alone.

use super::{
    write::{WriteBody, puts_expiring, puts_of, slot},
    write_set::WriteSet,
};
use crate::{
    Error, Result,
    log::OpCode,
    state::{expiring_body, parse_expiry_body, split_expiring_body},
    value::{Delta, apply_delta},
};

/// How many bytes of a body are the value.
pub(super) fn value_len(code: OpCode, body: &[u8]) -> usize {
    if !puts_expiring(code) {
        return body.len();
    }
    split_expiring_body(body).map_or(body.len(), |(_, value)| value.len())
}

/// An addition and an expiry that come together without anybody knowing the sum.
pub(super) fn sum_unknown() -> Error {
    let why = "a counter's sum and its expiry are written as one put, and the sum was not read".into();
    Error::Invalid { what: "operation", why }
}

impl WriteSet {
    /// Says when what is put already is over. What is deleted stays deleted.
    pub(super) fn expire_again(&mut self, at: usize, body: &[u8]) -> Result<()> {
        let Some(write) = self.writes.get(at) else { return Ok(()) };
        let (WriteBody::Bytes(before), Some((put, put_expiring))) = (self.body(write), puts_of(slot(write.code)))
        else {
            return Ok(());
        };
        let value = match write.code {
            code if code == put => before,
            code if code == put_expiring => split_expiring_body(before)?.1,
            _ => return Ok(()),
        };
        match parse_expiry_body(body)? {
            Some(micros) => {
                let value = expiring_body(micros, value);
                self.change(at, put_expiring.into(), &value)
            }
            None => {
                let value = value.to_vec();
                self.change(at, put.into(), &value)
            }
        }
    }

    /// Adds to a counter that is put: the sum is over when the counter is.
    pub(super) fn add_to_expiring(&mut self, at: usize, delta: &[u8]) -> Result<()> {
        let Some(write) = self.writes.get(at) else { return Ok(()) };
        let WriteBody::Bytes(before) = self.body(write) else { return Ok(()) };
        let (micros, value) = split_expiring_body(before)?;
        let sum = apply_delta(self.key(write), Some(value), &Delta::decode(delta)?)?;
        self.change(at, OpCode::KvPutExpiring.into(), &expiring_body(micros, &sum))
    }
}
