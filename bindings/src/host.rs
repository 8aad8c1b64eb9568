//! The clock and the entropy of the JavaScript engine.

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

/// The engine's clock, in whole milliseconds as engines give it, and its cryptographic random source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsHost;

impl Host for JsHost {
    fn now_micros(&self) -> u64 {
        // Times are shown to people, nothing is ordered by them: a clock before 1970 counts as 1970.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        let micros = (now_millis() * 1000.0) as u64;
        micros
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(RANDOM_BYTES_MAX) {
            get_random_values(piece);
        }
    }
}
