//! The write set beside a plain list of writes, and what it holds.

mod growth;
mod model;
mod savepoints;

use alloc::{vec, vec::Vec};

use super::{WriteBody, WriteSet};
use crate::{
    log::OpCode,
    primitive::EventBatch,
    state::{DEFAULT_SPACE, SpaceNumber},
    value::Delta,
};

/// What would be logged: space, code, key and body of each operation, in order.
type Logged = Vec<(SpaceNumber, OpCode, Vec<u8>, Vec<u8>)>;

fn logged(writes: &WriteSet) -> Logged {
    let mut logged = vec![];
    for at in writes.sorted() {
        let write = writes.get(at).unwrap();
        for operation in 0..writes.operations(write) {
            let body = match writes.operation_body(write, operation) {
                WriteBody::Bytes(body) => body.to_vec(),
                WriteBody::Events { count, bytes } => [&count.to_le_bytes(), bytes].concat(),
            };
            logged.push((write.space, write.code, writes.key(write).to_vec(), body));
        }
    }
    logged
}

fn put(writes: &mut WriteSet, key: &[u8], body: &[u8]) {
    writes.write(DEFAULT_SPACE, OpCode::KvPut, key, body).unwrap();
}

fn events(numbers: impl IntoIterator<Item = u64>) -> EventBatch {
    let mut batch = EventBatch::new();
    for number in numbers {
        batch.push("e", number).unwrap();
    }
    batch
}

fn addition(amount: i64) -> Vec<u8> {
    let mut body = vec![];
    Delta::I64(amount).encode(&mut body);
    body
}

fn varint(number: u64) -> Vec<u8> {
    let mut body = vec![];
    crate::log::varint::write(&mut body, number);
    body
}
