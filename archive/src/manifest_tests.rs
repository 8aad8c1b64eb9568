//! Manifests: what is refused before anything else is read.

use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    let sum = "a".repeat(64);
    json!({
        "archive": "foldb-store", "version": 1, "format": 1,
        "store": "01890a5d-ac96-774b-bcce-b302099a8057", "seq": 5,
        "files": [
            { "name": "snap-00000000000000000002", "bytes": 10, "sha256": sum },
            { "name": "log-00000000000000000001", "bytes": 0, "sha256": sum },
            { "name": "log-00000000000000000002", "bytes": 7, "sha256": sum },
            { "name": "anchor-a", "bytes": 96, "sha256": sum },
        ],
    })
}

fn parse(manifest: &Value) -> Result<Manifest> {
    Manifest::parse(manifest.to_string().as_bytes(), 512)
}

#[test]
fn a_manifest_comes_back() {
    let manifest = parse(&good()).unwrap();
    assert_eq!(Manifest::parse(&manifest.encode(), 512), Ok(manifest.clone()));
    assert_eq!((manifest.seq(), manifest.file_bytes(), manifest.files().len()), (5, 113, 4));
    let sums = String::from_utf8(manifest.sums(b"text")).unwrap();
    assert!(sums.starts_with("982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1  manifest.json\n"));
    assert_eq!(sums.lines().count(), 5);
}

#[test]
fn names_that_are_not_a_stores_are_refused() {
    for name in [
        "../log-00000000000000000001",
        "/etc/passwd",
        "log-1",
        "log-00000000000000000000",
        "log-18446744073709551615",
        "anchor-c",
        "lock",
        "import",
        "",
        "log-00000000000000000001/x",
        "LOG-00000000000000000001",
    ] {
        let mut manifest = good();
        manifest["files"][1]["name"] = json!(name);
        let error = parse(&manifest).unwrap_err();
        assert!(matches!(error, ArchiveError::Refused { rule: "F-56", .. }), "{name}: {error}");
    }
}

#[test]
fn files_come_once_and_in_order() {
    for order in [[0, 2, 1, 3], [1, 0, 2, 3], [3, 0, 1, 2], [0, 1, 1, 3], [0, 0, 1, 3], [0, 1, 3, 3]] {
        let mut manifest = good();
        manifest["files"] = order.map(|place: usize| good()["files"][place].clone()).to_vec().into();
        assert!(parse(&manifest).is_err(), "{order:?}");
    }
}

#[test]
fn impossible_values_are_refused() {
    let changes: &[(&str, Value)] = &[
        ("/files/0/bytes", json!(u64::MAX)),
        ("/files/0/bytes", json!(i64::MAX)), // With the others it is too much.
        ("/files/0/bytes", json!(-1)),
        ("/files/0/bytes", json!(1.5)),
        ("/files/0/sha256", json!("A".repeat(64))),
        ("/files/0/sha256", json!("a".repeat(63))),
        ("/seq", json!(1_u64 << 60)),
        ("/store", json!(null)),
        ("/store", json!("01890A5D-ac96-774b-bcce-b302099a8057")),
        ("/store", json!("01890a5dac96774bbcceb302099a8057")),
        ("/store", json!("not an id")),
        ("/files", json!([])),
        ("/files", json!({})),
        ("/version", json!(0)),
        ("/format", json!(0)),
    ];
    for (place, value) in changes {
        let mut manifest = good();
        *manifest.pointer_mut(place).unwrap() = value.clone();
        let error = parse(&manifest).unwrap_err();
        assert!(matches!(error, ArchiveError::Refused { rule: "F-56", .. }), "{place} {value}: {error}");
    }
    let mut manifest = good();
    manifest["extra"] = json!(1);
    assert!(parse(&manifest).is_err(), "a member that is not known");
    assert!(Manifest::parse(br#"{"archive":"foldb-store","version":1,"version":1}"#, 0).is_err(), "a member twice");
    assert!(Manifest::parse("[".repeat(1_000_000).as_bytes(), 0).is_err(), "no recursion without end");
    assert!(Manifest::parse(b"\xff", 0).is_err());
}

#[test]
fn what_is_newer_says_so_and_what_is_foreign_too() {
    for (member, value) in [("version", 2), ("format", 2)] {
        let mut manifest = good();
        manifest[member] = json!(value);
        assert!(matches!(parse(&manifest), Err(ArchiveError::Newer { found: 2, supported: 1, .. })), "{member}");
    }
    // A newer version may have members that this one does not know.
    let newer = json!({ "archive": "foldb-store", "version": 9, "base": "x" });
    assert!(matches!(parse(&newer), Err(ArchiveError::Newer { found: 9, .. })));
    let foreign = json!({ "archive": "something", "version": 1 });
    assert!(matches!(parse(&foreign), Err(ArchiveError::NotAnArchive { .. })));
}
