//! The module as JavaScript has it, in a dedicated worker of a real browser: requests go in and answers come out through the
//! buffers of a [`Store`](foldb_wasm::Store), over files of OPFS.
//!
//! Invariant: nothing here knows the store but by requests, so what is tested is what a page gets.
#![cfg(target_family = "wasm")]

mod announce;
mod archives;
mod client;
mod corpus;
mod lives;
mod malformed;
mod primitives;
mod promises;
mod transactions;
mod wire;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
