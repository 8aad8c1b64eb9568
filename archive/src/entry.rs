//! Entries of the tar: names, headers, padding.
//!
//! Invariant: the header of an entry is a function of its name and length. So equal stores give equal archives, and a header
//! that is read is compared, not interpreted: there are no links, devices, directories, owners, long names or sparse maps
//! to be careful with. Rule F-55.

use crate::{ArchiveError, Result, manifest::shortened};

/// The unit of a tar.
pub(crate) const BLOCK_BYTES: usize = 512;
/// What an archive ends with: two blocks of zeros.
pub(crate) const TRAILER_BYTES: u64 = 1024;
/// How many bytes of a header the name has.
const PATH_BYTES: usize = 100;
/// The folder that an archive unpacks into.
const FOLDER: &str = "foldb-store";
/// The first entry.
pub(crate) const MANIFEST_NAME: &str = "manifest.json";
/// The second entry.
pub(crate) const SUMS_NAME: &str = "SHA256SUMS";

/// The header of the entry with this name and length.
pub(crate) fn header(name: &str, bytes: u64) -> [u8; BLOCK_BYTES] {
    let mut header = tar::Header::new_ustar();
    // Names are shorter than 100 bytes and have no dots before slashes: there is nothing to refuse.
    let _ = header.set_path(format!("{FOLDER}/{name}"));
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    *header.as_bytes()
}

/// Whether these bytes, fewer than a header has, can be the beginning of an archive: of the first entry's header.
pub(crate) fn begins_first(bytes: &[u8]) -> bool {
    // The name, and the zeros behind it.
    let first = header(MANIFEST_NAME, 0);
    bytes.iter().zip(&first).take(PATH_BYTES).all(|(byte, expected)| byte == expected)
}

/// How many zeros follow the bytes of an entry.
pub(crate) fn padding(bytes: u64) -> u64 {
    bytes.next_multiple_of(512).saturating_sub(bytes)
}

/// Bytes that an entry takes in the archive, header and padding included.
pub(crate) fn stored_bytes(bytes: u64) -> u64 {
    512_u64.saturating_add(bytes).saturating_add(padding(bytes))
}

/// Reads the length in the header of the entry that has to come now, at `offset` of the archive. Everything else in the
/// header is determined, so whatever differs is named and refused.
pub(crate) fn read_header(block: &[u8; BLOCK_BYTES], name: &str, offset: u64) -> Result<u64> {
    let found = tar::Header::from_byte_slice(block);
    if name == MANIFEST_NAME && block.get(257..262).is_none_or(|magic| magic != b"ustar") {
        return Err(not_an_archive(block));
    }
    let refused = |what: String| ArchiveError::Refused { entry: name.into(), offset, rule: "F-55", what };
    let damaged = |what: &str| ArchiveError::Damaged { entry: name.into(), offset, what: what.into() };
    if block.iter().all(|byte| *byte == 0) {
        return Err(refused("the archive ends where this entry should come".into()));
    }
    if !checksum_holds(block) {
        return Err(damaged("the checksum of the tar header does not hold"));
    }
    let path = shortened(&String::from_utf8_lossy(&found.path_bytes()));
    let kind = found.entry_type();
    if !kind.is_file() {
        return Err(refused(format!("{path:?} is {}, and an archive has plain files only", described(kind))));
    }
    if path != format!("{FOLDER}/{name}") {
        if name == MANIFEST_NAME {
            return Err(ArchiveError::NotAnArchive { why: format!("its first entry is {path:?}") });
        }
        return Err(refused(format!("{path:?} comes instead")));
    }
    let bytes = found.entry_size().map_err(|_| refused("the length in the tar header is not a number".into()))?;
    if header(name, bytes) != *block {
        return Err(refused("the tar header has other fields than `foldb export` writes".into()));
    }
    Ok(bytes)
}

/// That something else begins with these bytes, and what, where that can be told.
pub(crate) fn not_an_archive(bytes: &[u8]) -> ArchiveError {
    const KNOWN: [(&[u8], &str); 5] = [
        (&[0x1f, 0x8b], "it is compressed by gzip, decompress it first"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "it is compressed by zstd, decompress it first"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "it is compressed by xz, decompress it first"),
        (b"BZh", "it is compressed by bzip2, decompress it first"),
        (b"PK\x03\x04", "it is a zip file"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic));
    let why = known.map_or("it does not begin like a tar", |(_, why)| why);
    ArchiveError::NotAnArchive { why: why.into() }
}

/// The sum of all bytes, those of the sum itself taken as spaces.
fn checksum_holds(block: &[u8; BLOCK_BYTES]) -> bool {
    let mut header = tar::Header::new_ustar();
    *header.as_mut_bytes() = *block;
    let said = header.cksum().ok();
    header.set_cksum();
    said.is_some() && said == header.cksum().ok()
}

fn described(kind: tar::EntryType) -> &'static str {
    match kind {
        tar::EntryType::Link | tar::EntryType::Symlink => "a link",
        tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => "a device",
        tar::EntryType::Directory => "a directory",
        tar::EntryType::GNUSparse => "a sparse file",
        tar::EntryType::XHeader | tar::EntryType::XGlobalHeader => "an extended (pax) header",
        tar::EntryType::GNULongName | tar::EntryType::GNULongLink => "a long name",
        _ => "of an unknown type",
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
