//! How a store and a transaction are opened, as JavaScript says it.

use std::time::Duration;

use foldb_core::{Durability, Options, RecoveryMode, Result, TransactionOptions};

use crate::wire::{Input, malformed};

fn durability(input: &mut Input<'_>) -> Result<Durability> {
    match input.u8()? {
        0 => Ok(Durability::Strict),
        1 => {
            let interval = Duration::from_millis(input.number()?);
            let bytes = usize::try_from(input.number()?).unwrap_or(usize::MAX);
            Ok(Durability::Buffered { interval, bytes })
        }
        2 => Ok(Durability::InMemory),
        3 => Ok(Durability::Relaxed { interval: Duration::from_millis(input.number()?) }),
        _ => Err(malformed("an unknown durability")),
    }
}

/// The options of a store.
pub(crate) fn store(bytes: &[u8]) -> Result<Options> {
    let mut input = Input::new(bytes);
    let mut options = Options::new().durability(durability(&mut input)?).create(input.flag()?);
    options = options.recovery(match input.u8()? {
        0 => RecoveryMode::Default,
        1 => RecoveryMode::Strict,
        2 => RecoveryMode::Salvage,
        _ => return Err(malformed("an unknown recovery mode")),
    });
    options = options.check_snapshots(input.flag()?).snapshot_on_close(input.flag()?);
    if let Some(bytes) = input.optional(Input::number)? {
        options = options.segment_bytes(bytes);
    }
    if let Some(bytes) = input.optional(|input| input.optional(Input::number))? {
        options = options.snapshot_log_bytes(bytes);
    }
    options = options.read_only(input.flag()?).hide_expired(input.flag()?);
    // Conflicts are retried on the other side, where the closure is.
    input.finish()?;
    Ok(options)
}

/// The options of a transaction, and the durability among them.
pub(crate) fn transaction(input: &mut Input<'_>) -> Result<(TransactionOptions, Option<Durability>)> {
    let mut options = TransactionOptions::new();
    let wanted = input.optional(durability)?;
    if let Some(durability) = wanted {
        options = options.durability(durability);
    }
    if let Some(key) = input.optional(Input::bytes)? {
        options = options.idempotency_key(key);
    }
    if let Some(fingerprint) = input.optional(Input::bytes)? {
        options = options.fingerprint(fingerprint);
    }
    if let Some(cause) = input.optional(Input::cause)? {
        options = options.because(cause);
    }
    Ok((options, wanted))
}
