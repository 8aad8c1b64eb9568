//! Positioned reads and writes that are whole or an error.
//!
//! Invariant: the loops end. A call that is interrupted is repeated; a call that moves no byte where there is one to
//! move is an error, never a reason to try again for ever and never the end of the file.

use std::{
    fs::File,
    io::{Error, ErrorKind, Result},
};

/// Fills `buffer` from `offset` on and returns how many bytes that were: fewer than asked only at the end of the file.
pub(crate) fn read(file: &File, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    // Systems count offsets in signed numbers and call a read that reaches beyond them invalid. Every file ends before.
    let nameable = usize::try_from(i64::MAX.unsigned_abs().saturating_sub(offset)).unwrap_or(usize::MAX);
    let count = buffer.len().min(nameable);
    let buffer = &mut buffer[..count];
    read_whole(offset, buffer, |at, rest| system::read_at(file, rest, at), || Ok(file.metadata()?.len()))
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write(file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
    write_whole(offset, bytes, |at, rest| system::write_at(file, rest, at))
}

fn read_whole(
    offset: u64,
    buffer: &mut [u8],
    mut read_at: impl FnMut(u64, &mut [u8]) -> Result<usize>,
    mut file_len: impl FnMut() -> Result<u64>,
) -> Result<usize> {
    let mut done = 0;
    // Set after an empty read inside the file: another handle may have grown it in between, so one more try is fair.
    let mut came_back_empty = false;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = advanced(offset, done)?;
        match read_at(at, rest) {
            Ok(0) => {
                let len = file_len()?;
                if at >= len {
                    break;
                }
                if came_back_empty {
                    let message = format!("the system read 0 bytes at offset {at} of a file of {len} bytes");
                    return Err(Error::new(ErrorKind::UnexpectedEof, message));
                }
                came_back_empty = true;
            }
            Ok(count) => {
                done += count;
                came_back_empty = false;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn write_whole(offset: u64, bytes: &[u8], mut write_at: impl FnMut(u64, &[u8]) -> Result<usize>) -> Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match write_at(advanced(offset, done)?, rest) {
            Ok(0) => {
                let message = format!("the system wrote 0 of {} bytes", rest.len());
                return Err(Error::new(ErrorKind::WriteZero, message));
            }
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `offset + done`, or the error that a system gives for an offset that no file can have.
fn advanced(offset: u64, done: usize) -> Result<u64> {
    let sum = u64::try_from(done).ok().and_then(|done| offset.checked_add(done));
    sum.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the offset is larger than any file"))
}

#[cfg(unix)]
mod system {
    use std::{fs::File, io::Result, os::unix::fs::FileExt};

    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        FileExt::read_at(file, buffer, offset)
    }

    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> Result<usize> {
        FileExt::write_at(file, bytes, offset)
    }
}

#[cfg(windows)]
mod system {
    use std::{fs::File, io::Result, os::windows::fs::FileExt};

    // Both move the handle's own cursor. That harms nothing: no code here reads or writes at the cursor.
    pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        file.seek_read(buffer, offset)
    }

    pub(super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> Result<usize> {
        file.seek_write(bytes, offset)
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use std::{
        fs::File,
        io::{Read, Result, Seek, SeekFrom, Write},
        sync::{Mutex, PoisonError},
    };

    /// Handles of one file may share a cursor, so seeking and moving bytes are one step, for all files together.
    static CURSOR: Mutex<()> = Mutex::new(());

    pub(super) fn read_at(mut file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let _cursor = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read(buffer)
    }

    pub(super) fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> Result<usize> {
        let _cursor = CURSOR.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write(bytes)
    }
}

#[cfg(test)]
#[path = "positioned_tests.rs"]
mod tests;
