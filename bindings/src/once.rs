//! What is remembered of idempotency keys, as JavaScript asks for it.
//!
//! Invariant: a question changes nothing; the closure that does the work runs on the other side, after it.

use std::time::Duration;

use foldb_core::{Db, Result, Seen, value::Encoded};

use crate::{
    life, options,
    platform::PlatformStorage,
    wire::{Input, Output},
};

/// The receipt of the commit that carried a key, and its result.
pub(crate) fn recall(db: &Db<PlatformStorage>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let (options, _) = options::transaction(input)?;
    input.finish()?;
    let recalled = db.recall(&options)?;
    out.flag(recalled.is_some());
    if let Some(recalled) = recalled {
        life::receipt(&recalled.receipt, out);
        if let Some(Encoded(bytes)) = recalled.result {
            out.0.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

pub(crate) fn seen(db: &Db<PlatformStorage>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    match db.seen(input.bytes()?) {
        Seen::Committed { seq, time_micros } => {
            out.flag(true);
            out.number(seq);
            out.number(time_micros);
        }
        Seen::Unknown { since } => {
            out.flag(false);
            out.number(since);
        }
    }
    Ok(())
}

pub(crate) fn window(db: &Db<PlatformStorage>, out: &mut Output) {
    let window = db.idempotency_window();
    out.number(window.keys);
    out.number(window.keys_max);
    out.optional(window.age_micros_max, |out, age| out.number(age / 1000));
    out.number(window.since);
}

pub(crate) fn set_window(db: &Db<PlatformStorage>, input: &mut Input<'_>) -> Result<()> {
    let keys = input.number()?;
    let age = input.last(|input| input.optional(Input::number))?.map(Duration::from_millis);
    db.set_idempotency_window(keys, age)
}
