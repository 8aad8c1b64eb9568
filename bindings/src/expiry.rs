//! Times to live: entries that are over at some time, and their removal.
//!
//! Invariant: what is written with a time is one operation of the log, whichever way the time was said.

use std::time::Duration;

use foldb_core::{Db, Result, RunId, primitive::access::Reads, state::Family, value::Encoded};

use crate::{
    access::Space,
    operation::Operation,
    platform::PlatformStorage,
    primitives::family,
    wire::{Input, Output, malformed},
};

/// How long what is written lives.
enum Life {
    Ever,
    /// As what it replaces.
    Kept,
    For(Duration),
    /// Until a time in microseconds since 1970.
    Until(u64),
}

fn millis(input: &mut Input<'_>) -> Result<Duration> {
    input.number().map(Duration::from_millis)
}

fn life(input: &mut Input<'_>) -> Result<Life> {
    match input.u8()? {
        0 => Ok(Life::Kept),
        1 => millis(input).map(Life::For),
        2 => input.number().map(Life::Until),
        3 => Ok(Life::Ever),
        _ => Err(malformed("an unknown time to live")),
    }
}

/// The same call of pairs, documents or cells.
macro_rules! of_family {
    ($space:ident, $family:ident, $primitive:ident => $call:expr) => {
        match $family {
            Family::Json => {
                let $primitive = $space.json();
                $call
            }
            Family::State => {
                let $primitive = $space.state();
                $call
            }
            _ => {
                let $primitive = $space.kv();
                $call
            }
        }
    };
}

/// Writes of entries with a time, and changes of the time alone.
pub(crate) fn entries(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let (family, key) = (family(input)?, input.bytes()?);
    match operation {
        Operation::EntryPut => return put(space, family, key, input, out),
        Operation::EntryPutIfAbsent => {
            let ttl = input.optional(millis)?;
            let value = Encoded(input.last(Input::bytes)?);
            return match (family, ttl) {
                (Family::Kv, Some(ttl)) => space.kv().put_if_absent_with_ttl(key, value, ttl),
                (Family::Kv, None) => space.kv().put_if_absent(key, value),
                (Family::State, Some(ttl)) => space.state().init_with_ttl(key, value, ttl),
                (Family::State, None) => space.state().init(key, value),
                _ => Err(malformed("documents have no such call")),
            };
        }
        Operation::EntryTouch => {
            let ttl = input.last(millis)?;
            out.flag(of_family!(space, family, primitive => primitive.touch(key, ttl)?));
        }
        Operation::EntryExpireAt => {
            let micros = input.last(Input::number)?;
            out.flag(of_family!(space, family, primitive => primitive.expire_at(key, micros)?));
        }
        Operation::EntryPersist => {
            input.finish()?;
            out.flag(of_family!(space, family, primitive => primitive.persist(key)?));
        }
        _ => return space.read_dyn(&mut |reads| expiry(reads, space.number, family, key, out)),
    }
    Ok(())
}

/// When an entry is over, behind the moment that its reader goes by.
fn expiry(reads: &dyn Reads, space: u32, family: Family, key: &[u8], out: &mut Output) -> Result<()> {
    let mut micros = None;
    reads.get_with(space, family, key, &mut |item| {
        micros = item.and_then(|item| item.expires_at());
        Ok(())
    })?;
    out.number(reads.now_micros());
    out.optional(micros, Output::number);
    Ok(())
}

fn put(space: &Space<'_>, family: Family, key: &[u8], input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let life = life(input)?;
    if family == Family::Json {
        let (json, document) = (space.json(), input.last(Input::document)?);
        return match life {
            Life::Ever => json.set(key, &document),
            Life::Kept => json.set_keep_ttl(key, &document),
            Life::For(ttl) => json.set_with_ttl(key, &document, ttl),
            Life::Until(micros) => json.set_expiring_at(key, &document, micros),
        };
    }
    let value = Encoded(input.last(Input::bytes)?);
    if family == Family::State {
        let cells = space.state();
        out.number(match life {
            Life::Ever => cells.set(key, value)?,
            Life::Kept => cells.set_keep_ttl(key, value)?,
            Life::For(ttl) => cells.set_with_ttl(key, value, ttl)?,
            Life::Until(micros) => cells.set_expiring_at(key, value, micros)?,
        });
        return Ok(());
    }
    let kv = space.kv();
    match life {
        Life::Ever => kv.put(key, value),
        Life::Kept => kv.put_keep_ttl(key, value),
        Life::For(ttl) => kv.put_with_ttl(key, value, ttl),
        Life::Until(micros) => kv.put_expiring_at(key, value, micros),
    }
}

/// Removes what is over, of the whole store or of a run.
pub(crate) fn sweep(db: &Db<PlatformStorage>, run: Option<RunId>, limit: u64, out: &mut Output) -> Result<()> {
    let swept = match run {
        Some(run) => db.runs().get(run)?.sweep_expired(limit)?,
        None => db.sweep_expired(limit)?,
    };
    out.number(swept.entries);
    out.flag(swept.is_complete);
    Ok(())
}
