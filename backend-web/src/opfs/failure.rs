//! From what a browser throws to [`Failure`], in one place.
//!
//! Invariant: what a caller acts on comes from the name of the exception, which the specification fixes. The message is
//! for people, and differs between browsers.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

use crate::pool::Failure;

/// What a thrown value means.
pub(super) fn failure(thrown: &JsValue) -> Failure {
    let text = |name: &str| {
        let value = Reflect::get(thrown, &JsValue::from_str(name)).ok();
        value.and_then(|value| value.as_string()).filter(|text| !text.is_empty())
    };
    let name = text("name").unwrap_or_else(|| "Error".into());
    let message = text("message").unwrap_or_else(|| format!("{thrown:?}"));
    let words = format!("{name}: {message}");
    match name.as_str() {
        "QuotaExceededError" => Failure::Full,
        "NoModificationAllowedError" => Failure::Locked,
        "NotFoundError" => Failure::Missing,
        "NotAllowedError" | "SecurityError" => Failure::Denied(words),
        "InvalidStateError" => Failure::Lost(words),
        _ => Failure::Other(words),
    }
}
