//! Memory per key. It runs first and alone: one engine at a time, nothing else alive in the process.

use crate::{
    files,
    harness::{Bench, guarded},
    memory,
    store::{Memory, Mode},
};

pub fn memory(bench: &mut Bench) -> anyhow::Result<()> {
    const ROWS: [&str; 1] = ["memory"];
    if !bench.wants(&ROWS) {
        return Ok(());
    }
    for peer in bench.participants(&ROWS) {
        let (name, open) = (bench.peers[peer].name, bench.peers[peer].open);
        let path = files::fresh(bench.path(peer, "memory"))?;
        let measured = guarded(|| {
            memory::start();
            let store = open(&path, Mode::Buffered)?;
            bench.load(store.as_ref())?;
            store.settle()?;
            // Reads everything once, so that what an engine caches is there.
            let mut count = 0;
            store.with_reader(&mut |reader| {
                count = reader.range(b"", usize::MAX, &mut |_, _| ())?;
                Ok(())
            })?;
            anyhow::ensure!(count == bench.keys.len(), "holds {count} keys instead of {}", bench.keys.len());
            let counted = store.memory();
            let live = memory::live_bytes();
            memory::stop();
            store.close()?;
            Ok((counted, live))
        });
        memory::stop();
        files::remove(&path)?;
        let keys = bench.keys.len() as f64;
        match measured {
            Ok((Memory::Allocator, live)) => bench.report.sample("memory", name, live as f64 / keys),
            Ok((Memory::Own(bytes, what), _)) => {
                bench.report.sample("memory", name, bytes as f64 / keys);
                bench.report.note("memory", name, what.into());
            }
            Err(error) => bench.excuse(&ROWS, name, &error),
        }
    }
    bench.print(&ROWS);
    Ok(())
}
