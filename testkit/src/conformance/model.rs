//! A case of many random operations against a map of byte vectors, for what nobody thought of.

use std::collections::BTreeMap;

use foldb_core::storage::{Storage, StorageFile};

use super::{
    Case, Outcome,
    check::{Doing, case, has_names, named_holds, wide},
};
use crate::Random;

type Model = BTreeMap<String, Vec<u8>>;

const OPERATIONS: usize = 600;
const FILE_BYTES_MAX: usize = 40_000;

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![case(
        "random_operations_do_what_they_do_to_a_map_of_vectors",
        &[
            |storage| {
                let model = work(storage, 1, Model::new())?;
                // Named so that the next phase may expect it.
                sync_all(storage, &model)
            },
            |storage| {
                let model = work(&foldb_core::storage::MemStorage::new(), 1, Model::new())?;
                agree(storage, &model)?;
                work(storage, 2, model).map(drop)
            },
        ],
    )]
}

/// Does the operations of the seed on both and compares what each returns.
fn work<S: Storage>(storage: &S, seed: u64, mut model: Model) -> Result<Model, String> {
    let mut random = Random::new(seed);
    for number in 0..OPERATIONS {
        step(storage, &mut random, &mut model).map_err(|why| format!("seed {seed}, operation {number}: {why}"))?;
    }
    agree(storage, &model)?;
    Ok(model)
}

fn step<S: Storage>(storage: &S, random: &mut Random, model: &mut Model) -> Outcome {
    let name = format!("log-{}", random.below(5));
    let Some(bytes) = model.get_mut(&name) else {
        drop(storage.create(&name).doing("creating")?);
        model.insert(name, Vec::new());
        return Ok(());
    };
    if random.chance(1, 30) {
        model.remove(&name);
        return storage.remove(&name).doing("removing");
    }
    let file = storage.open(&name).doing("opening")?;
    let (offset, count) = (random.index(FILE_BYTES_MAX), random.index(9000));
    match random.below(10) {
        0..5 => {
            let written = random.bytes(count);
            file.write_at(wide(offset), &written).doing("writing")?;
            if count > 0 {
                bytes.resize(bytes.len().max(offset + count), 0);
                bytes[offset..offset + count].copy_from_slice(&written);
            }
        }
        5..8 => {
            let found = super::check::read(&file, wide(offset), count)?;
            let there = bytes.get(offset..).unwrap_or(&[]);
            super::check::same_bytes("read", &found, &there[..count.min(there.len())])?;
        }
        8 => {
            file.set_len(wide(offset)).doing("setting the length")?;
            bytes.resize(offset, 0);
        }
        _ => file.sync().doing("syncing")?,
    }
    super::check::same("length", file.len().doing("asking for the length")?, wide(bytes.len()))
}

fn sync_all<S: Storage>(storage: &S, model: &Model) -> Outcome {
    model.keys().try_for_each(|name| storage.open(name).doing("opening")?.sync().doing("syncing"))
}

fn agree<S: Storage>(storage: &S, model: &Model) -> Outcome {
    has_names(storage, &model.keys().map(String::as_str).collect::<Vec<_>>())?;
    model.iter().try_for_each(|(name, bytes)| named_holds(storage, name, bytes))
}
