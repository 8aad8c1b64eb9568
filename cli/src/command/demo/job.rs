//! The work that the demo does: it goes through strike reports in transactions of 25, over all primitives.
//!
//! Invariant: a transaction holds the work on its reports *and* the position behind them. So whoever continues from the
//! position does every report once, and the result does not depend on where the work was interrupted.

use std::{thread, time::Duration};

use foldb::{
    RunId, Store, TransactionRun,
    primitive::{EventBatch, TraceKind, TraceRecord},
};
use serde_json::{Value, json};

use super::dataset::Strike;
use crate::{
    failure::{Failure, Result, Status},
    value,
};

/// Reports in a transaction.
pub(super) const BATCH: usize = 25;

/// The cell that says how many reports are done.
const POSITION_CELL: &str = "job";

/// The work on one run.
pub(super) struct Job<'a> {
    pub(super) store: &'a Store,
    pub(super) run: RunId,
    pub(super) strikes: &'a [Strike],
    /// How long each report takes besides the work of the store; real work would wait for a model or a network here.
    pub(super) pace: Duration,
}

impl Job<'_> {
    /// How many reports are done.
    pub(super) fn position(&self) -> Result<usize> {
        let run = self.store.runs().get(self.run)?;
        let cell = run.state().get::<foldb::value::Value>(POSITION_CELL)?;
        let done = cell.and_then(|cell| cell.value.get("done").and_then(foldb::value::Value::as_u64)).unwrap_or(0);
        usize::try_from(done).map_err(|_| {
            Failure::new(Status::Corrupt, "demo", format!("the job's position is {done}, beyond any memory"))
        })
    }

    /// Does what is left to do. Calls `committed` after each transaction with the number of reports done. Returns the
    /// number of transactions.
    pub(super) fn work(&self, mut committed: impl FnMut(usize) -> Result<()>) -> Result<u64> {
        let mut done = self.position()?;
        let mut transactions = 0;
        while done < self.strikes.len() {
            let batch = self.strikes.get(done..).unwrap_or_default();
            let batch = batch.get(..BATCH).unwrap_or(batch);
            done += batch.len();
            self.commit(batch, done)?;
            transactions += 1;
            committed(done)?;
        }
        Ok(transactions)
    }

    fn commit(&self, batch: &[Strike], done: usize) -> Result<()> {
        let position = value::from_json(
            &json!({ "done": done, "of": self.strikes.len(), "last": batch.last().map(|strike| &strike.id) }),
        )?;
        self.store.transaction(|transaction| {
            let run = transaction.run(self.run)?;
            let (mut strikes, mut damages) = (EventBatch::new(), EventBatch::new());
            for strike in batch {
                thread::sleep(self.pace);
                count(&run, strike)?;
                file_under_airport(&run, strike)?;
                let record = value::from_json(&json!(strike))?;
                strikes.push(&strike.phase, &record)?;
                if strike.is_damaging() {
                    damages.push(&strike.damage, strike.id.as_str())?;
                    decide(&run, strike)?;
                }
            }
            run.events().append_encoded("strikes", &strikes)?;
            run.events().append_encoded("damages", &damages)?;
            run.state().set(POSITION_CELL, &position).map(drop)
        })?;
        Ok(())
    }
}

type InTransaction<'a, 'b> = TransactionRun<'a, 'b>;

/// Counters never conflict, so any number of writers could do this at once.
fn count(run: &InTransaction<'_, '_>, strike: &Strike) -> foldb::Result<()> {
    let kv = run.kv();
    kv.add_i64("strikes", 1)?;
    kv.add_i64(format!("strikes/species/{}", strike.species), 1)?;
    kv.add_i64(format!("strikes/phase/{}", strike.phase), 1)?;
    kv.add_i64("cost_total", strike.cost_total)
}

/// One document for each airport, with sums and the newest report.
fn file_under_airport(run: &InTransaction<'_, '_>, strike: &Strike) -> foldb::Result<()> {
    let documents = run.json();
    let key = format!("airport/{}", strike.airport);
    let mut document = documents.get(&key)?.unwrap_or_else(|| {
        json!({ "airport": strike.airport, "state": strike.state, "strikes": 0, "damaging": 0, "cost_total": 0, "sizes": {} })
    });
    add(&mut document["strikes"], 1);
    add(&mut document["damaging"], i64::from(strike.is_damaging()));
    add(&mut document["cost_total"], strike.cost_total);
    add(&mut document["sizes"][&strike.size], 1);
    document["last"] = json!({ "id": strike.id, "date": strike.date, "species": strike.species });
    documents.set(&key, &document).map(drop)
}

fn add(number: &mut Value, delta: i64) {
    *number = json!(number.as_i64().unwrap_or(0) + delta);
}

/// A decision that somebody may want to have explained later: what was decided, on what, and why.
fn decide(run: &InTransaction<'_, '_>, strike: &Strike) -> foldb::Result<()> {
    let (decision, why) = match strike.damage.as_str() {
        "Substantial" => ("inspect the aircraft", "the damage is substantial"),
        _ if strike.cost_total > 0 => ("ask for the bill", "the damage is minor, but it had a price"),
        _ => ("file the report", "the damage is minor and had no price"),
    };
    let data = value::from_json(&json!({ "strike": strike.id, "decision": decision, "why": why }))?;
    let record = TraceRecord::new(TraceKind::Decision, "triage").data(data).time_micros(decision_time(strike));
    run.trace().record(record).map(drop)
}

/// When a decision was made, as far as this demo goes: a second for each report, from 1998 on. Trace entries are ordered
/// by time, and a clock would give another order on another machine.
fn decision_time(strike: &Strike) -> u64 {
    const START_OF_1998_SECONDS: u64 = 883_612_800;
    let number: u64 = strike.id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
    (START_OF_1998_SECONDS + number) * 1_000_000
}
