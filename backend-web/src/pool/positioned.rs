//! Whole reads and writes over handles that may do them in part.
//!
//! Invariant: a short count is never taken for the end of a file. A read that gives nothing inside the file, and a write
//! that takes nothing, are failures and not reasons to try for ever.

use super::{AccessHandle, Failure};

/// Fills `buffer` from `at` on, as far as the file goes, and returns how many bytes those were.
pub(super) fn read<H: AccessHandle>(handle: &H, at: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let wanted = rest.len();
        let Some(position) = at.checked_add(wide(done)) else { break };
        match handle.read(position, rest)? {
            0 => {
                let len = handle.len()?;
                if position < len {
                    let what = format!("nothing was read at byte {position} of {len}");
                    return Err(Failure::Other(what));
                }
                break;
            }
            count if count > wanted => return Err(impossible("read", count, wanted)),
            count => done += count,
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `at`.
pub(super) fn write<H: AccessHandle>(handle: &H, at: u64, bytes: &[u8]) -> Result<(), Failure> {
    // No medium has an offset of 2^64; this is what every other backend says.
    at.checked_add(wide(bytes.len())).ok_or(Failure::Full)?;
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        let position = at + wide(done);
        match handle.write(position, rest)? {
            0 => {
                let what = format!("none of {} bytes were written at byte {position}", rest.len());
                return Err(Failure::Other(what));
            }
            count if count > rest.len() => return Err(impossible("written", count, rest.len())),
            count => done += count,
        }
    }
    Ok(())
}

fn impossible(what: &str, count: usize, wanted: usize) -> Failure {
    Failure::Other(format!("{count} bytes {what} where {wanted} were asked for"))
}

/// A size in memory as a size in a file; it fits 64 bits on every target that exists.
pub(super) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
