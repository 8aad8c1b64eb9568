//! The numbers of the system end in the variant that tells the caller what to do.

use super::*;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn the_errors_of_linux_keep_their_meaning() {
    use rustix::io::Errno;
    let from = |errno: Errno| storage_error(Path::new("/store/log-1"), "writing", &errno.into());
    let name = String::from("/store/log-1");
    let action = "writing";
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        assert_eq!(from(errno), StorageError::Full { name: name.clone(), action });
    }
    for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
        assert_eq!(from(errno), StorageError::Denied { name: name.clone(), action });
    }
    assert_eq!(from(Errno::NOENT), StorageError::Missing { name: name.clone() });
    assert_eq!(from(Errno::EXIST), StorageError::Exists { name: name.clone() });
    for errno in [Errno::MFILE, Errno::NFILE] {
        assert_eq!(from(errno), StorageError::TooManyOpen { name: name.clone(), action });
    }
    for errno in [Errno::IO, Errno::FBIG, Errno::STALE] {
        assert!(matches!(from(errno), StorageError::Io { .. }), "{errno:?}");
    }
}

#[test]
fn an_input_output_error_keeps_the_words_of_the_system() {
    let error = storage_error(Path::new("log-1"), "reading", &Error::other("the device is on fire"));
    assert_eq!(error.to_string(), "input/output error while reading log-1: the device is on fire");
}
