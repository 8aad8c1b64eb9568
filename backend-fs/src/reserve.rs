//! Growing a file with its space reserved, where the system can.
//!
//! Invariant: after an error the length is what it was, so that a full disk costs nothing and the store stays usable.

use std::{fs::File, io::Result};

/// Sets the length from `old` to the larger `new`. New bytes read as zeros.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn grow(file: &File, old: u64, new: u64) -> Result<()> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    loop {
        // Without flags the call reserves blocks for the new range and sets the length. Only the new range: reserving
        // the old one as well would walk every extent of a large file.
        match fallocate(file, FallocateFlags::empty(), old, new - old) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            // File systems that cannot reserve (FAT over FUSE, old NFS) and sandboxes without the call. They report a
            // full disk at the write instead; docs/platform.md says so.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return file.set_len(new),
            Err(error) => {
                // Some file systems keep the part that they could reserve, and the length with it. Give it back: on a
                // full disk these are the last blocks that anybody has. The first error is the one that matters.
                let _ = file.set_len(old);
                return Err(error.into());
            }
        }
    }
}

/// Sets the length from `old` to the larger `new`. New bytes read as zeros. NTFS allocates their clusters here; APFS
/// and other copy-on-write file systems reserve nothing that a later write could rely on, whatever they are asked.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn grow(file: &File, _old: u64, new: u64) -> Result<()> {
    file.set_len(new)
}
