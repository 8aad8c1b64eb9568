//! The clock and the entropy of the JavaScript engine.

use core::sync::atomic::{AtomicU64, Ordering};

use foldb_core::host::Host;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);

    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn now_millis() -> f64;
}

/// Most bytes that `getRandomValues` gives at once.
const RANDOM_BYTES_MAX: usize = 65_536;

/// The last time that was given.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A clock that was set back by more than this is followed; by less, it has only not advanced yet.
const JITTER_MICROS: u64 = 1_000_000;

/// The engine's clock and its cryptographic random source.
///
/// Engines round their clocks, to a millisecond or coarser. Entries of a trace sort by their times, so within one step of
/// the clock each time is a microsecond later than the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsHost;

impl Host for JsHost {
    fn now_micros(&self) -> u64 {
        // Times are shown to people, nothing is ordered by them: a clock before 1970 counts as 1970.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        let clock = (now_millis() * 1000.0) as u64;
        let last = LAST.load(Ordering::Relaxed);
        let now = if clock <= last && last - clock < JITTER_MICROS { last + 1 } else { clock };
        LAST.store(now, Ordering::Relaxed);
        now
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(RANDOM_BYTES_MAX) {
            get_random_values(piece);
        }
    }
}
