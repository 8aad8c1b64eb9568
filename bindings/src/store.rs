//! [`Store`]: the object that JavaScript holds.
//!
//! Invariant: JavaScript writes into the input buffer and reads from the output buffer only between calls, and asks for
//! their places again whenever a call says that they have moved.

use std::{ops::ControlFlow, sync::Arc};

use foldb_core::{Db, Durability, Error, Progress, Ticker, recovery::Damage, storage::MemStorage};
use js_sys::Function;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::{
    announce::Journal,
    execute::Executor,
    failure::thrown,
    handles::Handles,
    host::JsHost,
    node::{NodeFiles, NodeStorage},
    options,
    platform::PlatformStorage,
    wire::Output,
};

/// Set in what a call returns: the output buffer has moved.
const MOVED: u32 = 1 << 31;
/// Set in what a call returns: there are commits to announce.
const ANNOUNCE: u32 = 1 << 30;
/// Set in what a call returns: few files are ready for the log to grow into.
#[cfg(target_family = "wasm")]
const LOW: u32 = 1 << 29;
/// Most bytes of an answer; the length shares its word with the marks.
const ANSWER_BYTES_MAX: usize = (1 << 29) - 1;
/// An output buffer of more than this is given back after its answer.
const KEPT_BYTES: usize = 4 << 20;

/// An open store. Everything that it does is asked for by a request: see `ts/wire/`.
#[wasm_bindgen]
pub struct Store {
    db: Option<Db<PlatformStorage>>,
    ticker: Ticker<PlatformStorage>,
    handles: Handles,
    journal: Journal,
    strict: bool,
    input: Vec<u8>,
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
                journal: Journal::default(),
                input: Vec::new(),
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
        if self.journal.has_commits() {
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

    /// A store in a directory, which the caller has locked. `progress` is called as recovery goes on: see [`told`].
    #[wasm_bindgen(js_name = openNode)]
    pub fn open_node(files: NodeFiles, options: &[u8], progress: Option<Function>) -> Result<Store, JsValue> {
        Store::open(PlatformStorage::Node(NodeStorage::new(files)), options, progress)
    }

    /// Makes room for `bytes` in the input buffer, keeping what is there, and returns where it is.
    pub fn reserve(&mut self, bytes: u32) -> usize {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.input.len() < bytes {
            self.input.resize(bytes, 0);
        }
        self.input.as_ptr().addr()
    }

    /// Where the output buffer is.
    #[wasm_bindgen(js_name = outputAt)]
    pub fn output_at(&self) -> usize {
        self.output.0.as_ptr().addr()
    }

    /// Answers the request in the first `length` bytes of the input buffer and returns the length of the answer.
    pub fn call(&mut self, client: u32, length: u32) -> u32 {
        self.run(client, length, false)
    }

    /// [`Store::call`] for requests behind their lengths.
    #[wasm_bindgen(js_name = callAll)]
    pub fn call_all(&mut self, client: u32, length: u32) -> u32 {
        self.run(client, length, true)
    }

    /// The commits to announce, as an answer.
    pub fn announcements(&mut self) -> u32 {
        self.begin_answer();
        self.journal.write(&mut self.output);
        self.answered()
    }

    /// Whether commits are to be announced.
    pub fn announce(&mut self, active: bool) {
        self.journal.active = active;
    }

    /// Forgets what a client holds.
    #[wasm_bindgen(js_name = dropClient)]
    pub fn drop_client(&mut self, client: u32) {
        self.handles.drop_client(client);
    }

    /// What a timer calls: see [`Ticker::tick`].
    pub fn tick(&self) -> Result<bool, JsValue> {
        self.ticker.tick().map_err(|error| thrown(&error))
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

impl Store {
    fn run(&mut self, client: u32, length: u32, several: bool) -> u32 {
        self.begin_answer();
        let requests = usize::try_from(length).ok().and_then(|length| self.input.get(..length)).unwrap_or_default();
        let out = &mut self.output;
        match &self.db {
            Some(db) => {
                let mut executor = Executor {
                    db,
                    handles: &mut self.handles,
                    journal: &self.journal,
                    damage: &self.damage,
                    client,
                    strict: self.strict,
                };
                if several {
                    // What is malformed from here on has no length and can have no answer: the other side finds that
                    // answers are missing.
                    let _cut_off = executor.answer_all(requests, out);
                } else {
                    executor.answer(requests, out);
                }
            }
            None => {
                out.u8(1);
                crate::failure::write(&closed().into(), out);
            }
        }
        if out.0.len() > ANSWER_BYTES_MAX {
            let limit = Error::Limit { what: "answer bytes", size: out.0.len() as u64, limit: ANSWER_BYTES_MAX as u64 };
            let mut answer = Output::default();
            answer.u8(1);
            crate::failure::write(&limit.into(), &mut answer);
            out.0 = Vec::new();
            if several {
                out.bytes(&answer.0);
            } else {
                *out = answer;
            }
        }
        self.answered()
    }
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
