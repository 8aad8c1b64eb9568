//! The idempotency window as bytes. Rule F-49.
//!
//! Invariant: reading what was written gives the same window, and nothing that was read is beyond the limits of what could have
//! been committed.

use alloc::{format, vec::Vec};

use super::{catalog::write_bytes, fields::Fields, layout::wide};
use crate::{
    Result,
    limits::{FINGERPRINT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_WINDOW_MAX, RESULT_BYTES_MAX},
    log::{OnceKey, varint},
    planted::{self, Planted},
    state::{IdempotencyWindow, WindowBounds},
};

/// The idempotency window's bytes.
pub(super) fn encode(window: &IdempotencyWindow) -> Vec<u8> {
    let mut out = Vec::new();
    let saved = if planted::active(Planted::IdempotencyWindowNotSaved) { 0 } else { window.len() };
    varint::write(&mut out, window.bounds.keys);
    varint::write(&mut out, window.bounds.age_micros.unwrap_or(0));
    varint::write(&mut out, window.forgotten_seq);
    varint::write(&mut out, wide(saved));
    for (key, kept) in window.entries().take(saved) {
        write_bytes(&mut out, key);
        varint::write(&mut out, kept.seq);
        varint::write(&mut out, kept.time_micros);
        write_bytes(&mut out, &kept.fingerprint);
        write_bytes(&mut out, &kept.result);
    }
    out
}

/// Reads the idempotency window of a state with this seq.
pub(super) fn decode(mut fields: Fields<'_>, seq: u64) -> Result<IdempotencyWindow> {
    let mut window = IdempotencyWindow::default();
    window.bounds.keys = IDEMPOTENCY_WINDOW_MAX;
    let (keys, age_micros, forgotten_seq) = (fields.varint()?, fields.varint()?, fields.varint()?);
    let count = fields.varint()?;
    if !(1..=IDEMPOTENCY_WINDOW_MAX).contains(&keys) || count > keys || forgotten_seq > seq {
        return Err(fields.corrupt(format!("{count} keys of {keys}, and those up to seq {forgotten_seq} are gone")));
    }
    let mut last = forgotten_seq;
    for _ in 0..count {
        let key = fields.length_and_bytes()?;
        let (at, time_micros) = (fields.varint()?, fields.varint()?);
        let once = OnceKey { key, fingerprint: fields.length_and_bytes()?, result: fields.length_and_bytes()? };
        let fits = key.len() <= IDEMPOTENCY_KEY_BYTES_MAX
            && once.fingerprint.len() <= FINGERPRINT_BYTES_MAX
            && once.result.len() <= RESULT_BYTES_MAX;
        if !fits || at <= last || at > seq {
            return Err(fields.corrupt(format!("a key of {} bytes from seq {at} behind seq {last}", key.len())));
        }
        last = at;
        window.insert(&once, at, time_micros);
    }
    fields.finish()?;
    // Only now: what is in a snapshot was within its bounds when it was written.
    window.bounds = WindowBounds { keys, age_micros: Some(age_micros).filter(|age| *age != 0) };
    window.forgotten_seq = forgotten_seq;
    Ok(window)
}
