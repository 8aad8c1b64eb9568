//! The first screen of the README as a program: one run, one transaction over four primitives, replayed and verified.
//!
//! `cargo run --example quickstart`

use std::ops::ControlFlow;

use foldb::{Result, RunOptions};
use serde_json::json;

fn main() -> Result<()> {
    let directory = std::env::temp_dir().join(format!("foldb-quickstart-{}", std::process::id()));

    // Created on first use; recovered after a crash.
    let db = foldb::open(&directory)?;
    let run = db.runs().begin(RunOptions::named("import").label("source", "orders.jsonl"))?;

    // Whole or not at all, over as many primitives and runs as you like; on stable media when it returns.
    db.transaction(|tx| {
        let run = tx.run(run.id())?;
        run.json().set("order/1", &json!({ "item": "tea", "count": 2 }))?;
        run.events().append("orders", "received", "order/1")?;
        run.state().transition_or_init("position", 0_u64, |line| Ok(line + 1))?;
        run.kv().add_i64("received", 1)
    })?;
    run.end()?;

    // The run again, folded from its log and from nothing else.
    let replay = db.replay(run.id())?;
    println!("replayed {} transactions of run {}", replay.transactions(), run.id());
    println!("order/1 is {}", replay.json().get("order/1")?.unwrap_or_default());
    assert_eq!(replay.kv().get::<i64>("received")?, Some(1));
    assert_eq!(replay.digest()?, db.view().run(run.id())?.digest()?);

    let report = db.verify(&mut |_| ControlFlow::Continue(()))?;
    println!("verified {} records, {} violations", report.records, report.violations.len());
    let id = run.id();
    db.close()?;

    // What the next process sees.
    let db = foldb::open(&directory)?;
    println!("reopened at commit {}: the run is {}", db.view().seq(), db.runs().info(id)?.status.name());
    db.close()?;
    std::fs::remove_dir_all(&directory).unwrap_or_default();
    Ok(())
}
