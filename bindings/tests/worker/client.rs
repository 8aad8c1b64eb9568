//! [`Client`]: a store and its buffers, as `ts/memory.ts` has them.

use foldb_wasm::{Operation, Store, destroy_store};
use js_sys::{Uint8Array, WebAssembly::Memory};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::wire::{Answer, Failure, Id, Place, Request, STORE, view};

/// In what a call returns: somebody who listens has something to hear.
const ANNOUNCE: u32 = 1 << 30;
/// In what a call returns: the length.
const LENGTH: u32 = (1 << 29) - 1;

/// How a store is opened: `src/options.rs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) strict: bool,
    pub(crate) create: bool,
    pub(crate) recovery: u8,
    pub(crate) snapshot_on_close: bool,
    pub(crate) segment_bytes: u32,
}

impl Opening {
    pub(crate) const STRICT: Opening =
        Opening { strict: true, create: true, recovery: 0, snapshot_on_close: false, segment_bytes: 1 << 20 };
    pub(crate) const BUFFERED: Opening = Opening { strict: false, ..Opening::STRICT };

    pub(crate) fn encode(self) -> Vec<u8> {
        let request = Request(Vec::new());
        let request = if self.strict { request.u8(0) } else { request.u8(1).number(60_000).number(1 << 20) };
        let request = request.flag(self.create).u8(self.recovery).flag(false).flag(self.snapshot_on_close);
        request.flag(true).number(self.segment_bytes).flag(false).flag(false).flag(true).0
    }
}

/// Who asks of a store.
pub(crate) struct Client {
    pub(crate) store: Store,
    /// The number that requests are sent under.
    pub(crate) number: u32,
    /// Whether the last call said that somebody has something to hear.
    pub(crate) announced: bool,
}

/// A change that is announced: its run, its primitive, its key.
pub(crate) type Changed = (Option<Id>, u8, String);

/// What was thrown: kind, code and message, apart by line feeds.
pub(crate) fn thrown(error: JsValue) -> Failure {
    let text = error.as_string().unwrap_or_else(|| panic!("{error:?} was thrown"));
    let mut parts = text.splitn(3, '\n').map(String::from);
    let mut next = || parts.next().expect("three parts");
    Failure { kind: next(), code: next(), message: next() }
}

impl Client {
    pub(crate) fn of(store: Store) -> Client {
        Client { store, number: 1, announced: false }
    }

    /// A store in the module's memory, with a log.
    pub(crate) fn memory() -> Client {
        Client::of(Store::open_memory(&Opening::BUFFERED.encode()).map_err(thrown).unwrap())
    }

    /// A store of this name, opened as it is.
    pub(crate) async fn open(name: &str, opening: Opening) -> Result<Client, Failure> {
        Store::open_opfs(name.into(), 200, opening.encode(), None).await.map(Client::of).map_err(thrown)
    }

    /// A store of this name that has nothing in it, whatever was there before.
    pub(crate) async fn fresh(name: &str, opening: Opening) -> Client {
        destroy_store(name.into()).await.map_err(thrown).unwrap();
        Client::open(name, opening).await.unwrap()
    }

    /// Lets the event loop make files ready for the log to grow into.
    pub(crate) async fn ready(&self) {
        JsFuture::from(self.store.replenish()).await.map_err(thrown).unwrap();
    }

    fn send(&mut self, bytes: &[u8]) -> u32 {
        let length = u32::try_from(bytes.len()).unwrap();
        let at = self.store.reserve(length).unwrap();
        if length > 0 {
            Self::place(at, length).copy_from(bytes);
        }
        length
    }

    /// Bytes of the module's own memory, as JavaScript sees them.
    fn place(at: usize, length: u32) -> Uint8Array {
        let memory: Memory = wasm_bindgen::memory().unchecked_into();
        Uint8Array::new_with_byte_offset_and_length(&memory.buffer(), u32::try_from(at).unwrap(), length)
    }

    fn answer(&mut self, returned: u32) -> Answer {
        self.announced = returned & ANNOUNCE != 0;
        Answer(Self::place(self.store.output_at(), returned & LENGTH).to_vec())
    }

    /// The answer to bytes of any kind.
    pub(crate) fn call(&mut self, bytes: &[u8]) -> Answer {
        let length = self.send(bytes);
        let returned = self.store.call(self.number, length);
        self.answer(returned)
    }

    pub(crate) fn try_ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        Failure::of(self.call(&request.0))
    }

    /// The answer to a request that must not fail.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        self.try_ask(request).unwrap_or_else(|failure| panic!("{failure:?}, asked by {request:?}"))
    }

    /// The kind of the error that a request is answered with.
    #[track_caller]
    pub(crate) fn refused(&mut self, request: &Request) -> String {
        match self.try_ask(request) {
            Err(failure) => failure.kind,
            Ok(answer) => panic!("answered by {answer:?}, asked by {request:?}"),
        }
    }

    /// The answer to bytes of any kind, as a message of several requests.
    pub(crate) fn call_all(&mut self, bytes: &[u8]) -> Answer {
        let length = self.send(bytes);
        let returned = self.store.call_all(self.number, 0, length);
        self.answer(returned)
    }

    /// The answers to requests of one message.
    pub(crate) fn ask_all(&mut self, requests: &[Request]) -> Vec<Result<Answer, Failure>> {
        let message = requests.iter().fold(Request(Vec::new()), |message, request| message.bytes(&request.0));
        let mut answers = self.call_all(&message.0);
        let mut read = Vec::new();
        while !answers.is_empty() {
            read.push(Failure::of(Answer(answers.bytes())));
        }
        read
    }

    /// Listens to all commits under this handle.
    pub(crate) fn listen(&mut self, handle: u32) {
        self.ask(&view(handle).ask(Operation::Subscribe).flag(false).flag(false).u32(0).u32(0).u32(0).none(2));
        assert_eq!(self.announcements(), [], "nothing from before");
    }

    /// The commits that were announced to one who listens since the last time: each a seq with what it changed.
    pub(crate) fn announcements(&mut self) -> Vec<(f64, Vec<Changed>)> {
        let returned = self.store.announcements();
        let mut answer = self.answer(returned);
        let changed = |answer: &mut Answer| (answer.optional(Answer::array), answer.u8(), answer.text());
        let commit = |answer: &mut Answer| {
            assert!(answer.flag(), "an error");
            let seq = answer.number();
            assert!(answer.number() > 0.0, "a time");
            answer.flag();
            assert_eq!(answer.u8(), 0, "no cause");
            (seq, answer.list(changed))
        };
        let heard = answer.list(|answer| {
            answer.take(4);
            let commits = answer.list(commit);
            assert!(!answer.flag(), "it is over");
            commits
        });
        assert!(answer.is_empty());
        heard.into_iter().flatten().collect()
    }

    pub(crate) fn put(&mut self, place: Place, key: &str, value: i64) {
        self.ask(&place.ask(Operation::KvPut).bytes(key).value(value));
    }

    pub(crate) fn get(&mut self, place: Place, key: &str) -> Option<foldb_core::value::Value> {
        self.ask(&place.ask(Operation::EntryGet).u8(0).bytes(key)).rest()
    }

    /// The number that a pair has.
    pub(crate) fn number_at(&mut self, place: Place, key: &str) -> Option<i64> {
        self.get(place, key).map(|value| value.as_i64().unwrap())
    }

    pub(crate) fn begin_run(&mut self, name: &str) -> Id {
        self.ask(&STORE.ask(Operation::RunBegin).bytes(name).none(2).u32(0).value(())).array()
    }

    /// Keys and values of all pairs of a place.
    pub(crate) fn pairs(&mut self, place: Place) -> Vec<(String, Vec<u8>)> {
        self.ask(&place.ask(Operation::EntryScan).u8(0).scan("")).entries()
    }

    pub(crate) fn digest(&mut self, place: Place) -> Vec<u8> {
        self.ask(&place.ask(Operation::Digest)).0
    }

    /// Opens a replay of a run, of the default space without one, and says how many transactions it has.
    pub(crate) fn replay(&mut self, handle: u32, run: Option<Id>) -> f64 {
        let place = run.map_or(view(handle), |run| view(handle).run(run));
        self.ask(&place.ask(Operation::ReplayOpen).none(1)).number()
    }

    pub(crate) fn release(&mut self, handle: u32) {
        self.ask(&view(handle).ask(Operation::Release));
    }

    /// Seq of the last commit.
    pub(crate) fn seq(&mut self) -> f64 {
        let seq = self.ask(&view(u32::MAX).ask(Operation::ViewOpen)).number();
        self.release(u32::MAX);
        seq
    }

    /// What a whole verification finds to be wrong.
    pub(crate) fn violations(&mut self) -> Vec<(String, String)> {
        let place = view(u32::MAX - 1);
        let mut answer = self.ask(&place.ask(Operation::VerifyOpen));
        let mut before = -1.0;
        while !answer.flag() {
            answer.text();
            let (done, total) = (answer.number(), answer.number());
            assert!(before < done && done < total, "{before} < {done} < {total}");
            before = done;
            answer = self.ask(&place.ask(Operation::VerifyStep));
        }
        answer.take(8 * 8);
        answer.list(|answer| (answer.text(), answer.text()))
    }

    /// The next piece of an export, and whether it is the last.
    pub(crate) fn exported(&mut self, place: Place) -> (bool, Vec<u8>) {
        let mut answer = self.ask(&place.ask(Operation::ExportStep));
        let finished = answer.flag();
        let (done, total) = (answer.number(), answer.number());
        assert!(finished == (done == total && total > 0.0), "{done} of {total}");
        (finished, answer.0)
    }

    /// The store as one file.
    pub(crate) fn archive(&mut self) -> Vec<u8> {
        let place = view(u32::MAX - 2);
        self.ask(&place.ask(Operation::ExportOpen));
        let mut archive = Vec::new();
        loop {
            let (finished, piece) = self.exported(place);
            archive.extend(piece);
            if finished {
                return archive;
            }
        }
    }

    pub(crate) fn close(mut self) {
        self.store.close().map_err(thrown).unwrap();
    }
}
