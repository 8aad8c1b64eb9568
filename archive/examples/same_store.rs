//! Writes the store that all backends share as an archive, and beside it what everybody has to find in it: for the tests in
//! other languages. Usage: `same_store FOLDER`.

use std::{env, error::Error, fs, ops::ControlFlow, path::PathBuf};

use foldb_archive::{ClosedStore, export};
use foldb_core::storage::MemStorage;
use foldb_testkit::sameness;
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("name a folder")?);
    let storage = MemStorage::new();
    sameness::write(&storage)?;
    let mut archive = Vec::new();
    let go_on = &mut |_| ControlFlow::Continue(());
    export(ClosedStore::new(storage, go_on)?, &mut archive, go_on)?;
    fs::write(folder.join("same-store.tar"), archive)?;
    let findings: Map<String, Value> =
        sameness::FINDINGS.iter().map(|(name, digest)| ((*name).into(), json!(digest))).collect();
    let expected = json!({ "sha256": sameness::ARCHIVE_SHA256, "seq": sameness::SEQ, "findings": findings });
    fs::write(folder.join("same-store.json"), expected.to_string())?;
    Ok(())
}
