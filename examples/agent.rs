//! An agent that answers a question step by step. Killed at any moment and started again, it goes on where it was.
//!
//!     cargo run --example agent [DIRECTORY]
//!
//! A step is one transaction: its answer, its event, its place in the trace and the agent's phase are there, or none of them. What it asks
//! the world may be asked again after a crash; what it has noted of the answer is there once.

use std::{env, path::PathBuf, thread, time::Duration};

use foldb::{
    Result, Run, RunId, RunOptions, RunStatus, Store,
    prelude::{Direction, ScanOptions, TraceKind, TraceRecord},
    primitive::TraceId,
};

const QUESTION: &str = "Which of these rivers is the longest: Nile, Danube, Rhine?";
const RIVERS: [(&str, u64); 3] = [("Nile", 6650), ("Danube", 2850), ("Rhine", 1233)];

fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("foldb-agent-example"), PathBuf::from);
    let db = foldb::open(path)?;
    let run = research(&db, &ask)?;
    report(&db, &run)?;
    db.close()
}

/// Does what is left to do of the question. It neither knows nor cares how often it was interrupted before.
pub(crate) fn research<'db>(db: &'db Store, ask: &dyn Fn(&str) -> String) -> Result<Run<'db>> {
    // The run of this question, begun now or by an earlier process.
    let run = db.runs().begin_or_get(QUESTION, RunOptions::named("research").label("question", QUESTION))?;
    match run.info()?.status {
        RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => return Ok(run),
        // A process died at it.
        RunStatus::Orphaned => drop(run.resume()?),
        _ => {}
    }
    let agent = Agent { db, run: run.id(), ask };
    let whole = db.once(agent.key("begin"), |tx| {
        let run = tx.run(run.id())?;
        run.state().init("phase", "looking up")?;
        run.trace().record(TraceRecord::new(TraceKind::Thought, QUESTION))
    })?;
    for (river, _) in RIVERS {
        agent.step(whole, TraceKind::Query, river)?;
    }
    run.state().set("phase", "comparing")?;
    let answer = agent.step(whole, TraceKind::Decision, "compare")?;
    // What ends the work is whole or not at all as well.
    db.transaction(|tx| {
        let run = tx.run(run.id())?;
        run.state().transition("phase", |_: String| Ok("answered".to_owned()))?;
        run.trace().finish(whole, Some(answer.as_str().into()), None)?;
        tx.runs().end(run.id(), Some(answer.clone()))
    })?;
    Ok(run)
}

struct Agent<'a> {
    db: &'a Store,
    run: RunId,
    ask: &'a dyn Fn(&str) -> String,
}

impl Agent<'_> {
    /// A step of this run, as an idempotency key.
    fn key(&self, step: &str) -> String {
        format!("{}: {step}", self.run)
    }

    /// Asks, and notes the answer, once: a step that was done gives back what it gave then, and nobody is asked.
    fn step(&self, parent: TraceId, kind: TraceKind, what: &str) -> Result<String> {
        self.db.once(self.key(what), |tx| {
            let answer = (self.ask)(what);
            let run = tx.run(self.run)?;
            run.trace().record(TraceRecord::new(kind.clone(), what).data(answer.as_str()).parent(parent))?;
            run.events().append("steps", "done", what)?;
            run.kv().add_u64("steps", 1)?;
            Ok(answer)
        })
    }
}

/// Stands for a model, a tool, a network.
fn ask(what: &str) -> String {
    println!("asking: {what}");
    thread::sleep(Duration::from_millis(300));
    answer(what)
}

pub(crate) fn answer(what: &str) -> String {
    match RIVERS.iter().find(|(river, _)| *river == what) {
        Some((river, length)) => format!("{river}: {length} km"),
        None => RIVERS.iter().max_by_key(|(_, length)| length).map_or("none", |(river, _)| river).into(),
    }
}

/// What is there of the work, and that its history tells the same.
pub(crate) fn report(db: &Store, run: &Run<'_>) -> Result<()> {
    let info = run.info()?;
    println!("{QUESTION}\n  {} (resumed {} times)", info.message.unwrap_or_default(), info.resumed);
    for found in run.events().all_as::<String>(None, None, Direction::Forward)? {
        println!("  {}: {} {}", found.event.version, found.event.payload, found.event.kind);
    }
    for entry in run.trace().list(&ScanOptions::all())? {
        let indent = if entry.parent.is_some() { "    " } else { "  " };
        println!("{indent}{} {:?}: {:?} {:?}", entry.kind, entry.name, entry.data, entry.output);
    }
    // Folded from the log and nothing else, it is what is there.
    let replay = db.replay(run.id())?;
    assert_eq!(replay.digest()?, db.view().run(run.id())?.digest()?);
    println!("  {} commits replayed, digest {}", replay.transactions(), replay.digest()?);
    Ok(())
}
