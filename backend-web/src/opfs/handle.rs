//! [`OpfsHandle`]: a `FileSystemSyncAccessHandle`.
//!
//! Invariant: a count that the browser returns is checked before it is used as one.

use web_sys::{FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

use super::failure::failure;
use crate::pool::{AccessHandle, Failure};

/// The largest whole number that an `f64` tells apart from its neighbours: `Number.MAX_SAFE_INTEGER`.
const SAFE_MAX: u64 = (1 << 53) - 1;
const SAFE_MAX_F64: f64 = 9_007_199_254_740_991.0;

/// What Chromium returns in place of a count and of an exception where a file fails: the internal code of the failure, from -1 to
/// -16, as 32 bits without a sign, or as 64 where a length was asked for.
const CHROMIUM_CODES: f64 = 16.0;
const TWO_POW_32: f64 = 4_294_967_296.0;
const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;
/// The code for "no space": the quota does not suffice.
const CHROMIUM_NO_SPACE: f64 = 8.0;

/// An exclusive handle of a file of OPFS.
#[derive(Debug)]
pub struct OpfsHandle {
    handle: FileSystemSyncAccessHandle,
    /// One object for all calls, so that none is made for each.
    options: FileSystemReadWriteOptions,
}

impl OpfsHandle {
    pub(super) fn new(handle: FileSystemSyncAccessHandle) -> Self {
        OpfsHandle { handle, options: FileSystemReadWriteOptions::new() }
    }

    fn at(&self, offset: u64) -> Result<&FileSystemReadWriteOptions, Failure> {
        self.options.set_at_f64(to_number(offset)?);
        Ok(&self.options)
    }
}

impl AccessHandle for OpfsHandle {
    fn len(&self) -> Result<u64, Failure> {
        let size = self.handle.get_size().map_err(|thrown| failure(&thrown))?;
        // At that size numbers are 2,048 apart, so the code itself is lost.
        if size == TWO_POW_64 {
            return Err(Failure::Lost("it gave a failure as the length".into()));
        }
        from_number(size)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        if at > SAFE_MAX {
            // Beyond the end of every file that a browser can have.
            return Ok(0);
        }
        let options = self.at(at)?;
        count(self.handle.read_with_u8_array_and_options(buffer, options).map_err(|thrown| failure(&thrown))?)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<usize, Failure> {
        let options = self.at(at)?;
        let written = self.handle.write_with_u8_array_and_options(bytes, options).map_err(|thrown| failure(&thrown))?;
        // Taken for a count, a full disk would cost the store its writes, and whatever else would be told in riddles.
        if u32::try_from(bytes.len()).is_ok_and(|asked| f64::from(asked) < written) {
            match TWO_POW_32 - written {
                CHROMIUM_NO_SPACE => return Err(Failure::Full),
                code if (1.0..=CHROMIUM_CODES).contains(&code) => {
                    return Err(Failure::Lost(format!("it gave -{code} as the count of bytes that were written")));
                }
                _ => {}
            }
        }
        count(written)
    }

    fn truncate(&self, len: u64) -> Result<(), Failure> {
        // What no browser can do, none has room for.
        let len = to_number(len).map_err(|_| Failure::Full)?;
        self.handle.truncate_with_f64(len).map_err(|thrown| failure(&thrown))
    }

    fn flush(&self) -> Result<(), Failure> {
        self.handle.flush().map_err(|thrown| failure(&thrown))
    }

    fn close(&self) {
        self.handle.close();
    }
}

/// A size or an offset as a number of JavaScript.
fn to_number(value: u64) -> Result<f64, Failure> {
    if value > SAFE_MAX {
        return Err(Failure::Other(format!("{value} is over 2^53 - 1, the largest offset that a browser knows")));
    }
    // Exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "checked: whole numbers up to 2^53 are exact")]
    Ok(value as f64)
}

/// A size that the browser returned.
fn from_number(value: f64) -> Result<u64, Failure> {
    if !(0.0..=SAFE_MAX_F64).contains(&value) || value.fract() != 0.0 {
        return Err(Failure::Other(format!("the browser gave {value} as a number of bytes")));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: a whole number up to 2^53")]
    Ok(value as u64)
}

fn count(value: f64) -> Result<usize, Failure> {
    usize::try_from(from_number(value)?)
        .map_err(|_| Failure::Other(format!("the browser gave {value} as a count of bytes")))
}
