//! aedb: tables and pairs in memory over a log, with checkpoints.

use std::{path::Path, sync::Arc};

use aedb::{
    AedbInstance,
    catalog::DdlOperation,
    commit::validation::Mutation,
    config::{AedbConfig, DurabilityMode},
    permission::{CallerContext, Permission},
    query::plan::ConsistencyMode,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    store::{Mode, Peer, Reader, Store, Unsupported, event_key},
    workload::{Keys, Values},
};

const PROJECT: &str = "bench";
const PAIRS: &str = "app";
const EVENTS: &str = "events";
/// Above this the engine refuses an envelope.
const MUTATIONS_MAX: usize = 10_000;

pub fn peer() -> Peer {
    Peer {
        name: "aedb",
        version: "0.3.1",
        about: "Key-value calls on a runtime with two workers. Strict: DurabilityMode::Full; Buffered: \
                DurabilityMode::Batch, synced every 10 ms. Limits on memory and scan length raised. Bulk load: \
                envelopes of 10,000, then force_fsync. Snapshot: backup_full.",
        rows: None,
        volatile: false,
        open,
    }
}

// The instance goes before the runtime that its tasks run on.
struct Aedb {
    instance: Arc<AedbInstance>,
    runtime: Runtime,
    caller: CallerContext,
}

fn open(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>> {
    let base = match mode {
        Mode::Memory => return Err(Unsupported.into()),
        Mode::Buffered => AedbConfig { durability_mode: DurabilityMode::Batch, ..AedbConfig::default() },
        Mode::Strict => AedbConfig { durability_mode: DurabilityMode::Full, ..AedbConfig::default() },
    };
    let config =
        AedbConfig { max_scan_rows: 1 << 24, max_memory_estimate_bytes: 8 << 30, max_snapshot_age_ms: 600_000, ..base };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let guard = runtime.enter();
    let instance = Arc::new(AedbInstance::open_anonymous(config, directory)?);
    drop(guard);
    runtime.block_on(prepare(&instance))?;
    Ok(Box::new(Aedb { runtime, instance, caller: CallerContext::new("bench") }))
}

async fn prepare(instance: &AedbInstance) -> anyhow::Result<()> {
    if instance.project_exists(PROJECT).await? {
        return Ok(());
    }
    instance.create_project(PROJECT).await?;
    for scope in [PAIRS, EVENTS] {
        if !instance.scope_exists(PROJECT, scope).await? {
            instance.create_scope(PROJECT, scope).await?;
        }
    }
    instance
        .commit(Mutation::Ddl(DdlOperation::GrantPermission {
            caller_id: "bench".into(),
            permission: Permission::KvRead { project_id: PROJECT.into(), scope_id: Some(PAIRS.into()), prefix: None },
            actor_id: None,
            delegable: false,
        }))
        .await?;
    Ok(())
}

impl Aedb {
    fn write(&self, scope: &str, entries: Vec<(Vec<u8>, Vec<u8>)>) -> anyhow::Result<()> {
        self.runtime.block_on(self.instance.kv_set_many_atomic(PROJECT, scope, entries))?;
        Ok(())
    }
}

impl Store for Aedb {
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()> {
        work(&mut AedbReader(self))
    }

    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        self.runtime.block_on(self.instance.kv_set(PROJECT, PAIRS, key.to_vec(), value.to_vec()))?;
        Ok(())
    }

    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()> {
        self.write(PAIRS, keys.iter().map(|key| (key.to_vec(), values.of(key).to_vec())).collect())
    }

    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()> {
        for start in (0..sorted.len()).step_by(MUTATIONS_MAX) {
            let indices = start..(start + MUTATIONS_MAX).min(sorted.len());
            let keys = indices.map(|index| sorted.get(index));
            self.write(PAIRS, keys.map(|key| (key.to_vec(), values.of(key).to_vec())).collect())?;
        }
        self.runtime.block_on(self.instance.force_fsync())?;
        Ok(())
    }

    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()> {
        self.write(
            EVENTS,
            (first..).zip(payloads).map(|(at, payload)| (event_key(at).to_vec(), payload.to_vec())).collect(),
        )
    }

    fn snapshot(&self, directory: &Path) -> anyhow::Result<()> {
        self.runtime.block_on(self.instance.backup_full(directory))?;
        Ok(())
    }

    fn leave(self: Box<Self>) -> anyhow::Result<()> {
        // Dropped without this, the store can refuse to open again: "segment hash chain mismatch".
        self.close()
    }

    fn close(self: Box<Self>) -> anyhow::Result<()> {
        self.runtime.block_on(self.instance.shutdown())?;
        Ok(())
    }
}

struct AedbReader<'a>(&'a Aedb);

impl Reader for AedbReader<'_> {
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool> {
        let get = self.0.instance.kv_get_no_auth(PROJECT, PAIRS, key, ConsistencyMode::AtLatest);
        let Some(entry) = self.0.runtime.block_on(get)? else { return Ok(false) };
        out.clear();
        out.extend_from_slice(&entry.value);
        Ok(true)
    }

    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize> {
        use std::ops::Bound::{Included, Unbounded};
        let (start, limit) = (Included(from.to_vec()), limit.min(1 << 23) as u64);
        let latest = ConsistencyMode::AtLatest;
        let range =
            self.0.instance.kv_scan_range(PROJECT, PAIRS, start, Unbounded, limit, None, latest, &self.0.caller);
        let entries = self.0.runtime.block_on(range)?.entries;
        entries.iter().for_each(|(key, entry)| visit(key, &entry.value));
        Ok(entries.len())
    }
}
