//! Reading whole pieces of files into memory.

use alloc::vec::Vec;

use crate::{
    Error, Result,
    log::wide,
    storage::{StorageError, StorageFile},
};

/// Fills `buffer` with the bytes of `file` from `offset` on. The caller knows from the length that they are there: fewer
/// are an input/output error and never an end of file, because a failing device must not look like a shorter log.
pub(super) fn read_exactly<F: StorageFile>(file: &F, name: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
    let read = if buffer.is_empty() { 0 } else { file.read_at(offset, buffer)? };
    if read == buffer.len() {
        return Ok(());
    }
    let message = alloc::format!("{read} of {} bytes at offset {offset}, inside the file's length", buffer.len());
    Err(StorageError::Io { name: name.into(), action: "reading", message }.into())
}

/// Makes `buffer` hold the bytes `start..end` of `file`. The memory is kept for the next call.
pub(super) fn read_range<F: StorageFile>(
    file: &F,
    name: &str,
    start: u64,
    end: u64,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let bytes = end.saturating_sub(start);
    let too_large =
        || Error::Limit { what: "a log segment in memory", size: bytes, limit: wide(isize::MAX.unsigned_abs()) };
    let len = usize::try_from(bytes).map_err(|_| too_large())?;
    // The length comes from a file system, where a sparse file of terabytes costs nothing.
    buffer.try_reserve_exact(len.saturating_sub(buffer.len())).map_err(|_| too_large())?;
    buffer.resize(len, 0);
    read_exactly(file, name, start, buffer)
}
