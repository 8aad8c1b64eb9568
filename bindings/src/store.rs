//! [`Store`]: the object that JavaScript holds.
//!
//! Invariant: JavaScript writes into the input buffer and reads from the output buffer only between calls, and asks for
//! their places again whenever a call says that they have moved.

use std::{ops::ControlFlow, sync::Arc};

use foldb_core::{Db, Durability, Error, Progress, Ticker, recovery::Damage, storage::MemStorage};
use js_sys::Function;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    announce::Due,
    execute::{Executor, fail, fail_each},
    failure::thrown,
    handles::Handles,
    host::JsHost,
    node::{NodeFiles, NodeStorage},
    options,
    platform::PlatformStorage,
    together::Together,
    wire::{Output, REQUEST_BYTES_MAX},
};

/// Set in what a call returns: the output buffer has moved.
const MOVED: u32 = 1 << 31;
/// Set in what a call returns: somebody who listens has something to hear.
const ANNOUNCE: u32 = 1 << 30;
/// Set in what a call returns: few files are ready for the log to grow into.
#[cfg(target_family = "wasm")]
const LOW: u32 = 1 << 29;
/// A buffer of more than this is given back once it is not needed any more.
const KEPT_BYTES: usize = 4 << 20;
/// Most bytes of the input buffer: a request, behind what a page sends along with it.
const INPUT_BYTES_MAX: usize = REQUEST_BYTES_MAX + (8 << 20);

/// An open store. Everything that it does is asked for by a request: see `ts/wire/`.
#[wasm_bindgen]
pub struct Store {
    db: Option<Db<PlatformStorage>>,
    ticker: Ticker<PlatformStorage>,
    handles: Handles,
    due: Due,
    together: Together,
    strict: bool,
    input: Vec<u8>,
    /// How many bytes of the input are answered.
    answered_to: usize,
    output: Output,
    output_at: usize,
    /// What is wrong in the storage below the store's files, as far as opening it has shown.
    pub(crate) damage: Vec<Damage>,
    #[cfg(target_family = "wasm")]
    pub(crate) pool: Option<foldb_web::pool::Pool<foldb_web::OpfsDirectory>>,
}

impl Store {
    pub(crate) fn open(storage: PlatformStorage, options: &[u8], progress: Option<Function>) -> Result<Store, JsValue> {
        let open = || -> foldb_core::Result<Store> {
            let mut options = options::store(options)?;
            if let Some(progress) = progress {
                options = options.progress(move |step| told(&progress, step));
            }
            let strict = options.commit_durability() == Durability::Strict;
            let db = Db::open(storage, Arc::new(JsHost), options)?;
            Ok(Store {
                ticker: db.ticker(),
                db: Some(db),
                strict,
                handles: Handles::default(),
                due: Due::default(),
                together: Together::default(),
                input: Vec::new(),
                answered_to: 0,
                output: Output::default(),
                output_at: 0,
                damage: Vec::new(),
                #[cfg(target_family = "wasm")]
                pool: None,
            })
        };
        open().map_err(|error| thrown(&error))
    }

    /// The length of the answer, with the marks.
    fn answered(&mut self) -> u32 {
        let mut answer = u32::try_from(self.output.0.len()).unwrap_or(u32::MAX);
        let at = self.output.0.as_ptr().addr();
        if at != self.output_at {
            self.output_at = at;
            answer |= MOVED;
        }
        if !self.due.is_empty() {
            answer |= ANNOUNCE;
        }
        #[cfg(target_family = "wasm")]
        if crate::opfs::is_low(self.pool.as_ref()) {
            answer |= LOW;
        }
        answer
    }

    fn begin_answer(&mut self) {
        self.output.0.clear();
        if self.output.0.capacity() > KEPT_BYTES {
            self.output.0 = Vec::new();
        }
    }
}

#[wasm_bindgen]
impl Store {
    /// A store in the module's memory.
    #[wasm_bindgen(js_name = openMemory)]
    pub fn open_memory(options: &[u8]) -> Result<Store, JsValue> {
        Store::open(PlatformStorage::Memory(MemStorage::new()), options, None)
    }

    /// A store in a directory, which the caller has locked. `progress` is called as recovery goes on, with the phase, what is
    /// done and what there is to do; what it returns says whether to stop.
    #[wasm_bindgen(js_name = openNode)]
    pub fn open_node(files: NodeFiles, options: &[u8], progress: Option<Function>) -> Result<Store, JsValue> {
        Store::open(PlatformStorage::Node(NodeStorage::new(files)), options, progress)
    }

    /// Makes room for `bytes` in the input buffer, keeping what is in those, and returns where it is. What a long request
    /// left is given back by the next short one.
    pub fn reserve(&mut self, bytes: u32) -> Result<usize, JsValue> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes > INPUT_BYTES_MAX {
            let (size, limit) = (bytes as u64, INPUT_BYTES_MAX as u64);
            return Err(thrown(&Error::Limit { what: "request bytes", size, limit }));
        }
        if self.input.len() < bytes {
            self.input.reserve_exact(bytes - self.input.len());
            self.input.resize(bytes, 0);
        } else if self.input.len() > KEPT_BYTES && bytes <= KEPT_BYTES {
            self.input.truncate(bytes);
            self.input.shrink_to_fit();
        }
        Ok(self.input.as_ptr().addr())
    }

    /// Where the output buffer is.
    #[wasm_bindgen(js_name = outputAt)]
    pub fn output_at(&self) -> usize {
        self.output.0.as_ptr().addr()
    }

    /// Answers the request in the first `length` bytes of the input buffer and returns the length of the answer.
    pub fn call(&mut self, client: u32, length: u32) -> u32 {
        self.begin_answer();
        let request = part(&self.input, 0, length);
        match &self.db {
            Some(db) => {
                let (damage, due, strict) = (&self.damage, &self.due, self.strict);
                let (handles, together) = (&mut self.handles, &self.together);
                Executor { db, handles, together, due, damage, client, strict }.answer(request, &mut self.output);
            }
            None => fail(&closed().into(), &mut self.output),
        }
        self.answered()
    }

    /// [`Store::call`] for requests behind their lengths, from `from` to `to` of the input buffer. [`Store::answered_to`]
    /// says how far it has come, since answers that are large together are given one part after the other.
    #[wasm_bindgen(js_name = callAll)]
    pub fn call_all(&mut self, client: u32, from: u32, to: u32) -> u32 {
        self.begin_answer();
        let requests = part(&self.input, from, to);
        let answered = match &self.db {
            Some(db) => {
                let (damage, due, strict) = (&self.damage, &self.due, self.strict);
                let (handles, together) = (&mut self.handles, &self.together);
                Executor { db, handles, together, due, damage, client, strict }.answer_all(requests, &mut self.output)
            }
            None => {
                fail_each(requests, &closed(), &mut self.output);
                requests.len()
            }
        };
        self.answered_to = answered.saturating_add(usize::try_from(from).unwrap_or(usize::MAX));
        self.answered()
    }

    /// Where the first request begins that the last [`Store::call_all`] has not answered: where it is to go on, or, if that
    /// is where it began, what cannot be answered, because it is cut off.
    #[wasm_bindgen(js_name = answeredTo)]
    pub fn answered_to(&self) -> usize {
        self.answered_to
    }

    /// What those hear who listen, as an answer.
    pub fn announcements(&mut self) -> u32 {
        self.begin_answer();
        let (at, mut count) = (self.output.0.len(), 0);
        self.output.u32(0);
        for number in self.due.take() {
            // One that was released is not there any more.
            if let Some(listener) = self.handles.listener(number) {
                listener.write(&mut self.output);
                count += 1;
            }
        }
        self.output.patch(at, count);
        self.answered()
    }

    /// Forgets what a client holds.
    #[wasm_bindgen(js_name = dropClient)]
    pub fn drop_client(&mut self, client: u32) {
        self.handles.drop_client(client);
    }

    /// What a timer calls: see [`Ticker::tick`]. Marked like what a call returns; the length says whether there is more to do.
    pub fn tick(&mut self) -> Result<u32, JsValue> {
        let more = self.ticker.tick().map_err(|error| thrown(&error))?;
        let heard = if self.due.is_empty() { 0 } else { ANNOUNCE };
        Ok(u32::from(more) | heard)
    }

    /// Closes the store. Nothing can be asked afterwards.
    pub fn close(&mut self) -> Result<(), JsValue> {
        self.handles = Handles::default();
        match self.db.take() {
            Some(db) => db.close().map_err(|error| thrown(&error)),
            None => Ok(()),
        }
    }
}

/// Bytes of the input buffer; none where the other side is mistaken about its length.
fn part(input: &[u8], from: u32, to: u32) -> &[u8] {
    let place = |number| usize::try_from(number).unwrap_or(usize::MAX);
    input.get(place(from)..place(to)).unwrap_or_default()
}

/// Tells JavaScript how far recovery is; it returns whether to stop. A function that throws is not called again.
fn told(progress: &Function, step: Progress) -> ControlFlow<()> {
    // Lengths of files are below 2^53.
    let [done, total] = [step.done, step.total].map(|bytes| JsValue::from_f64(bytes as f64));
    match progress.call3(&JsValue::UNDEFINED, &step.phase.into(), &done, &total) {
        Ok(stop) if stop.is_falsy() => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

fn closed() -> Error {
    Error::Unsupported { what: "the operation", why: "the store was closed".into() }
}
