//! [`BrowserHost`]: the browser's clock and entropy.
//!
//! Invariant: it works wherever there are `performance`, `Date` and `crypto`: in workers, on pages, in Node, Deno and Bun.

use std::sync::atomic::{AtomicU64, Ordering};

use foldb_core::host::Host;
use js_sys::Date;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::{Crypto, Performance};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: Crypto;
    #[wasm_bindgen(thread_local_v2, js_name = performance)]
    static PERFORMANCE: Performance;
}

/// How far the steady clock may be off the wall clock before it is set anew, in milliseconds. It stops while a computer
/// sleeps, in some browsers, and does not follow when the user sets the clock.
const DRIFT_MAX_MILLIS: f64 = 100.0;

/// `crypto.getRandomValues` gives no more than this at once.
const RANDOM_BYTES_MAX: usize = 65_536;

/// The browser's clock and entropy.
#[derive(Debug, Default)]
pub struct BrowserHost {
    /// What is added to the steady clock to get the wall clock, in milliseconds, as the bits of an `f64`.
    offset: AtomicU64,
}

impl BrowserHost {
    /// A host whose clock is set at its first reading.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Host for BrowserHost {
    /// The wall clock, finer than a millisecond where the browser allows it. A clock before 1970 counts as 1970.
    fn now_micros(&self) -> u64 {
        let wall = Date::now();
        let steady = PERFORMANCE.with(|performance| performance.time_origin() + performance.now());
        let mut offset = f64::from_bits(self.offset.load(Ordering::Relaxed));
        if (steady + offset - wall).abs() > DRIFT_MAX_MILLIS {
            offset = wall - steady;
            self.offset.store(offset.to_bits(), Ordering::Relaxed);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of f64 saturates, and a time fits: 2^64 microseconds are 584,000 years"
        )]
        let micros = ((steady + offset) * 1000.0) as u64;
        micros
    }

    /// Bytes of the browser's random source.
    ///
    /// # Panics
    ///
    /// If there is no working random source. Salts that repeat let stale frames pass for current ones, so there is no
    /// second-best answer.
    fn fill_random(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(RANDOM_BYTES_MAX) {
            CRYPTO
                .with(|crypto| crypto.get_random_values_with_u8_array(part))
                .expect("a browser has a working random source");
        }
    }
}
