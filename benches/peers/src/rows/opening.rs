//! The rows about a store that is closed: how large it is, how fast it opens, how fast all of it is read.

use super::time;
use crate::{
    files,
    harness::{Bench, guarded},
    store::{Mode, Store},
};

/// Repetitions of rows that take seconds each.
const LONG_REPETITIONS: usize = 5;

pub fn disk(bench: &mut Bench) -> anyhow::Result<()> {
    const ROWS: [&str; 1] = ["disk"];
    if !bench.wants(&ROWS) {
        return Ok(());
    }
    bench.prepare_base(&ROWS)?;
    for peer in bench.participants(&ROWS).into_iter().filter(|peer| bench.has_base(*peer)).collect::<Vec<_>>() {
        let bytes = files::disk_bytes(&bench.path(peer, "base"))?;
        bench.report.sample("disk", bench.peers[peer].name, bytes as f64 / bench.keys.len() as f64);
    }
    bench.print(&ROWS);
    Ok(())
}

/// From a directory to the first value, with the files in the page cache and without.
pub fn open(bench: &mut Bench) -> anyhow::Result<()> {
    for (row, cold) in [("open", false), ("open-cold", true)] {
        let key = bench.keys.get(bench.keys.len() / 2).to_vec();
        closed(bench, row, cold, &mut |store| {
            let mut found = false;
            store.with_reader(&mut |reader| {
                found = reader.get(&key, &mut Vec::new())?;
                Ok(())
            })?;
            anyhow::ensure!(found, "lost a key");
            Ok(())
        })?;
    }
    Ok(())
}

/// Opens the store and reads all of it.
pub fn load(bench: &mut Bench) -> anyhow::Result<()> {
    let keys = bench.keys.len();
    closed(bench, "load", false, &mut |store| {
        let mut count = 0;
        store.with_reader(&mut |reader| {
            count = reader.range(b"", usize::MAX, &mut |_, _| ())?;
            Ok(())
        })?;
        anyhow::ensure!(count == keys, "holds {count} keys instead of {keys}");
        Ok(())
    })
}

fn closed(
    bench: &mut Bench,
    row: &'static str,
    cold: bool,
    work: &mut dyn FnMut(&dyn Store) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !bench.wants(&[row]) {
        return Ok(());
    }
    bench.prepare_base(&[row])?;
    let mut peers: Vec<usize> = bench.participants(&[row]).into_iter().filter(|peer| bench.has_base(*peer)).collect();
    for _ in 0..bench.repetitions.min(LONG_REPETITIONS) {
        for &peer in &peers {
            let (name, open, path) = (bench.peers[peer].name, bench.peers[peer].open, bench.path(peer, "base"));
            let measured = guarded(|| {
                if cold {
                    files::make_cold(&path)?;
                }
                let (elapsed, store) = time(|| {
                    let store = open(&path, Mode::Buffered)?;
                    work(store.as_ref())?;
                    Ok(store)
                })?;
                store.leave()?;
                Ok(elapsed)
            });
            match measured {
                Ok(elapsed) => bench.report.sample(row, name, elapsed),
                Err(error) => bench.excuse(&[row], name, &error),
            }
        }
        let turn = peers.len().min(1);
        peers.rotate_left(turn);
    }
    bench.print(&[row]);
    Ok(())
}
