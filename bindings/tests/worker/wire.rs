//! Requests and answers as bytes, written and read as `ts/wire/` does it.

use foldb_core::{json::encode_document, value::Value};
use foldb_wasm::Operation;
use serde_json::Value as Json;

/// The id of a run, or of a trace entry.
pub(crate) type Id = [u8; 16];

/// What a request works on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    target: u8,
    handle: u32,
    run: Option<Id>,
}

/// The store itself.
pub(crate) const STORE: Place = Place { target: 0, handle: 0, run: None };

/// A transaction.
pub(crate) const fn transaction(handle: u32) -> Place {
    Place { target: 1, handle, run: None }
}

/// A view, or a replay.
pub(crate) const fn view(handle: u32) -> Place {
    Place { target: 2, handle, run: None }
}

/// A transaction whose answers nobody waits for.
pub(crate) const fn unheard(handle: u32) -> Place {
    Place { target: 3, handle, run: None }
}

impl Place {
    pub(crate) const fn run(self, run: Id) -> Place {
        Place { run: Some(run), ..self }
    }

    pub(crate) fn ask(self, operation: Operation) -> Request {
        let mut request = Request(vec![operation as u8, self.target]);
        if self.target != 0 {
            request = request.u32(self.handle);
        }
        request.optional(self.run.as_ref(), |out, run| out.raw(run))
    }
}

/// A request that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Request(pub(crate) Vec<u8>);

impl Request {
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Request {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(self, byte: u8) -> Request {
        self.raw(&[byte])
    }

    pub(crate) fn flag(self, flag: bool) -> Request {
        self.u8(u8::from(flag))
    }

    pub(crate) fn u32(self, number: u32) -> Request {
        self.raw(&number.to_le_bytes())
    }

    pub(crate) fn number(self, number: u32) -> Request {
        self.f64(f64::from(number))
    }

    pub(crate) fn f64(self, number: f64) -> Request {
        self.raw(&number.to_le_bytes())
    }

    /// A key, or text.
    pub(crate) fn bytes(self, bytes: impl AsRef<[u8]>) -> Request {
        let bytes = bytes.as_ref();
        self.u32(u32::try_from(bytes.len()).unwrap()).raw(bytes)
    }

    pub(crate) fn value(self, value: impl Into<Value>) -> Request {
        let mut encoded = Vec::new();
        value.into().encode(&mut encoded).unwrap();
        self.bytes(encoded)
    }

    pub(crate) fn document(self, document: &Json) -> Request {
        let mut encoded = Vec::new();
        encode_document(document, &mut encoded).unwrap();
        self.bytes(encoded)
    }

    pub(crate) fn optional<T>(self, value: Option<T>, write: impl FnOnce(Request, T) -> Request) -> Request {
        let request = self.flag(value.is_some());
        match value {
            Some(value) => write(request, value),
            None => request,
        }
    }

    /// So many optional things, none of which is there.
    pub(crate) fn none(self, count: usize) -> Request {
        self.raw(&vec![0; count])
    }

    /// A range of keys: all of them, or those with a prefix.
    pub(crate) fn prefix(self, prefix: &str) -> Request {
        self.optional((!prefix.is_empty()).then_some(prefix), Request::bytes).none(6)
    }

    /// A range, and all of it forwards.
    pub(crate) fn scan(self, prefix: &str) -> Request {
        self.prefix(prefix).none(3)
    }
}

/// An answer that is being read. Reading past its end fails the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) Vec<u8>);

impl Answer {
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        assert!(count <= self.0.len(), "the answer has {} bytes left, not {count}", self.0.len());
        self.0.drain(..count).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn flag(&mut self) -> bool {
        match self.u8() {
            0 => false,
            1 => true,
            other => panic!("a flag is {other}"),
        }
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub(crate) fn number(&mut self) -> f64 {
        f64::from_le_bytes(self.array())
    }

    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let length = self.u32();
        self.take(usize::try_from(length).unwrap())
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn value(&mut self) -> Value {
        Value::decode(&self.bytes()).unwrap()
    }

    pub(crate) fn optional<T>(&mut self, read: impl FnOnce(&mut Answer) -> T) -> Option<T> {
        self.flag().then(|| read(self))
    }

    pub(crate) fn list<T>(&mut self, mut read: impl FnMut(&mut Answer) -> T) -> Vec<T> {
        (0..self.u32()).map(|_| read(self)).collect()
    }

    /// The value that the rest is; none without a rest.
    pub(crate) fn rest(self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::decode(&self.0).unwrap())
    }

    /// The document that the rest is.
    pub(crate) fn rest_document(self) -> Option<Json> {
        (!self.is_empty()).then(|| foldb_core::json::decode_document(&self.0).unwrap())
    }

    /// Keys and values of entries, which have all heads before all values.
    pub(crate) fn entries(&mut self) -> Vec<(String, Vec<u8>)> {
        let count = self.u32();
        let heads = usize::try_from(self.u32()).unwrap();
        let mut heads = Answer(self.take(heads));
        (0..count)
            .map(|_| {
                let (key, value) = (heads.u32(), heads.u32());
                heads.number();
                let key = String::from_utf8(heads.take(usize::try_from(key).unwrap())).unwrap();
                (key, self.take(usize::try_from(value).unwrap()))
            })
            .collect()
    }
}

/// An error in an answer, or one that was thrown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    /// What an answer says.
    pub(crate) fn of(mut answer: Answer) -> Result<Answer, Failure> {
        match answer.u8() {
            0 => Ok(answer),
            1 => {
                let failure = Failure { kind: answer.text(), code: answer.text(), message: answer.text() };
                assert!(answer.is_empty(), "{failure:?} is all that an answer says");
                Err(failure)
            }
            other => panic!("an answer begins with {other}"),
        }
    }
}
