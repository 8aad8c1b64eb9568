//! Headers of entries: what is written, what is refused.

use super::*;

#[test]
fn a_header_comes_back_with_lengths_that_need_more_than_octal_digits() {
    for bytes in [0, 1, 511, 512, (8 << 30) - 1, 8 << 30, 1 << 40, i64::MAX as u64] {
        let block = header("log-00000000000000000001", bytes);
        assert_eq!(read_header(&block, "log-00000000000000000001", 0), Ok(bytes));
    }
}

#[test]
fn whatever_differs_in_a_header_is_refused() {
    let good = header("anchor-a", 96);
    for at in 0..BLOCK_BYTES {
        for flip in [1, 0x80] {
            let mut block = good;
            block[at] ^= flip;
            assert!(read_header(&block, "anchor-a", 0).is_err(), "byte {at}, as damage");
            // A forger makes the checksum hold.
            let mut forged = tar::Header::new_ustar();
            *forged.as_mut_bytes() = block;
            forged.set_cksum();
            let read = read_header(forged.as_bytes(), "anchor-a", 0);
            // The length alone may be another one: who compares it is the decoder. So is the checksum itself.
            let is_free = (124..136).contains(&at) || (148..156).contains(&at);
            assert!(is_free || read.is_err(), "byte {at}, forged: {read:?}");
        }
    }
}

#[test]
fn what_is_in_the_way_is_named() {
    let named = |change: &dyn Fn(&mut tar::Header)| {
        let mut forged = tar::Header::new_ustar();
        *forged.as_mut_bytes() = header("anchor-a", 96);
        change(&mut forged);
        forged.set_cksum();
        read_header(forged.as_bytes(), "anchor-a", 0).unwrap_err().to_string()
    };
    let kinds = [
        (b'1', "a link"),
        (b'2', "a link"),
        (b'3', "a device"),
        (b'5', "a directory"),
        (b'S', "sparse"),
        (b'x', "pax"),
        (b'g', "pax"),
        (b'L', "long name"),
        (b'?', "unknown"),
    ];
    for (kind, word) in kinds {
        let error = named(&|forged| forged.set_entry_type(tar::EntryType::new(kind)));
        assert!(error.contains(word) && error.contains("F-55"), "{error}");
    }
    let error = named(&|forged| forged.set_path("foldb-store/anchor-b").unwrap());
    assert!(error.contains("anchor-b"), "{error}");
    let error = named(&|forged| forged.set_path_absolute("/etc/passwd").unwrap());
    assert!(error.contains("/etc/passwd"), "{error}");
    let error = named(&|forged| forged.set_mode(0o777));
    assert!(error.contains("other fields"), "{error}");
    assert!(matches!(read_header(&[0; 512], MANIFEST_NAME, 0), Err(ArchiveError::NotAnArchive { .. })));
}
