//! A snapshot file: opening, verifying and loading agree, and what was loaded is written as the same bytes.

use std::{collections::BTreeMap, ops::ControlFlow};

use foldb_core::{
    snapshot::{load_resident, open, verify, write},
    storage::{MemStorage, Storage},
    tree::NoPages,
};

use super::Fixup;

/// The first byte says which checksums are put right; the rest is the file.
pub(super) fn snapshot(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    Fixup::from_byte(*first).snapshot(&mut bytes);
    // A name that says nothing, so that any generation fits.
    let storage = MemStorage::from_files(BTreeMap::from([("snapshot", &bytes)]));
    let file = storage.open("snapshot").expect("it is there");
    let (opened, verified) = (open(&file, "snapshot"), verify(&file, "snapshot"));
    if let Err(error) = &opened {
        assert_eq!(verified.as_ref().map(|_| ()), Err(error), "what does not open does not verify");
    }
    let loaded = load_resident(&file, "snapshot");
    let Ok(info) = verified else { return };
    let (state, meta) = loaded.expect("what verifies can be loaded");
    assert_eq!((info.seq, info.generation, info.bytes), (meta.seq, meta.generation, bytes.len() as u64));
    let again = storage.create("again").expect("the name is free");
    let written = write(&again, &state, &meta, &NoPages, &mut |_, _| ControlFlow::Continue(()));
    // Generations that no file can have cannot be written, as nobody could give the file a name.
    if (1..u64::MAX).contains(&meta.generation) {
        assert_eq!(written, Ok(info), "what was loaded can be written");
        assert!(storage.files()["again"] == bytes, "a snapshot has one encoding");
    }
}
