//! What a store takes in memory.

use std::{collections::BTreeMap, env, fs, path::Path};

use criterion::Criterion;
use foldb::Durability;

use crate::{
    setting::{fresh_directory, key_count, length, load, open},
    workload::{Keys, SEED, Values},
};

/// Prints resident memory per key once: what the process has grown by, so allocator overhead is in it.
pub(crate) fn memory(_: &mut Criterion) {
    let mut filters = env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let is_wanted =
        filters.next().is_none_or(|first| "memory".contains(&first) || filters.any(|next| "memory".contains(&next)));
    if !is_wanted || env::args().any(|argument| argument == "--list") || !Path::new("/proc/self/statm").exists() {
        return;
    }
    let (keys, values) = (Keys::random(SEED, 1, key_count()), Values::new(SEED));
    let grown = |load: &mut dyn FnMut()| {
        let before = resident_bytes();
        load();
        (resident_bytes().saturating_sub(before)) / length(keys.len())
    };
    let mut store = None;
    let ours = grown(&mut || {
        let opened = open(&fresh_directory("memory"), Durability::buffered());
        load(&opened, &keys, &values);
        opened.sync().expect("a sync");
        store = Some(opened);
    });
    let mut map = BTreeMap::new();
    let floor = grown(&mut || keys.iter().for_each(|key| drop(map.insert(key.to_vec(), values.of(key).to_vec()))));
    println!("memory per key: foldb {ours} B, floor/BTreeMap {floor} B (resident set, {} keys)", keys.len());
    drop((store, map));
}

fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
