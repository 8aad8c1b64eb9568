//! An agent that is killed in the middle of its work, and goes on where it was.
//!
//! The program starts itself as a child process, which works step by step; after a few steps it kills the child
//! (SIGKILL: no destructor, no last words), opens the store that the child left, and finishes the work. Every step is
//! then there exactly once.
//!
//! `cargo run --example agent_run`

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use foldb::{
    Direction, Run, RunOptions, RunStatus, Store,
    primitive::{TraceKind, TraceRecord},
    value::Value,
};
use serde_json::{Value as Json, json};

/// How many steps the work takes.
const STEPS: u64 = 12;
/// What the work is about, and what its run is found by: a process that is started again asks the same question.
const QUESTION: &str = "how tall is the tower?";
/// The step after which the child is killed.
const KILLED_AFTER: u64 = 5;
/// How the program tells its child what to be.
const WORKER: &str = "work-in";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [role, directory] = arguments.as_slice()
        && role == WORKER
    {
        work(&foldb::open(directory)?)?;
        return Ok(());
    }
    let directory = env::temp_dir().join(format!("foldb-agent-run-{}", std::process::id()));
    watch_and_kill(start_worker(&directory)?)?;

    let db = foldb::open(&directory)?;
    let report = db.recovery_report();
    println!("recovered up to commit {}; runs that nobody works on: {}", report.seq, report.orphaned_runs.len());
    let run = work(&db)?;
    check(&db, &run)?;
    // Started once more it finds that all is done, also where it was killed behind the end of the run.
    assert_eq!(work(&db)?.id(), run.id());
    check(&db, &run)?;
    db.close()?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// Does all that is left to do, and returns the run. It neither knows nor cares how often it was interrupted before.
fn work(db: &Store) -> foldb::Result<Run<'_>> {
    let run = resume_or_begin(db)?;
    if run.info()?.status == RunStatus::Completed {
        return Ok(run);
    }
    loop {
        // The position is in the same commit as the work, so it is right by construction.
        let done = run.state().get::<u64>("position")?.map_or(0, |cell| cell.value);
        if done == STEPS {
            break;
        }
        let step = done + 1;
        // A call to the world. If the process dies before the commit below, the next one makes the call again: what is
        // outside happens at least once, what is in the store exactly once.
        let answer = ask_model(step);
        db.transaction(|tx| {
            let run = tx.run(run.id())?;
            let call =
                TraceRecord::new(TraceKind::ToolCall, "ask_model").data(Value::try_from(json!({ "step": step }))?);
            run.trace().record(call)?;
            run.events().append("answers", "answered", step)?;
            run.json().set(format!("answer/{step:02}"), &answer)?;
            run.state().transition_or_init("position", 0_u64, |position| Ok(position + 1))?;
            Ok::<_, foldb::Error>(())
        })?;
        println!("step {step}");
    }
    run.end()?;
    Ok(run)
}

/// The run of this question, begun now or by an earlier process. One that has ended stays as it is: its work is done.
fn resume_or_begin(db: &Store) -> foldb::Result<Run<'_>> {
    let options = RunOptions::named("research").label("question", QUESTION);
    let run = db.runs().begin_or_get(QUESTION, options)?;
    if run.info()?.status == RunStatus::Orphaned {
        run.resume()?;
    }
    Ok(run)
}

/// Stands for a model, a tool, a network.
fn ask_model(step: u64) -> Json {
    thread::sleep(Duration::from_millis(20));
    json!({ "step": step, "text": format!("thought number {step}") })
}

fn start_worker(directory: &Path) -> Result<Child, Box<dyn Error>> {
    Ok(Command::new(env::current_exe()?).arg(WORKER).arg(directory).stdout(Stdio::piped()).spawn()?)
}

/// Shows what the child says, and kills it in the middle.
fn watch_and_kill(mut child: Child) -> Result<(), Box<dyn Error>> {
    let output = child.stdout.take().ok_or("the child has no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("  child: {line}");
        if line == format!("step {KILLED_AFTER}") {
            child.kill()?;
            println!("  child: killed");
            break;
        }
    }
    child.wait()?;
    Ok(())
}

/// Every step once, in order, and the history tells the same story as the live state.
fn check(db: &Store, run: &Run<'_>) -> Result<(), Box<dyn Error>> {
    let answers = run.events().range_as::<u64>("answers", .., None, Direction::Forward)?;
    let steps: Vec<u64> = answers.iter().map(|event| event.payload).collect();
    assert_eq!(steps, (1..=STEPS).collect::<Vec<_>>());
    assert_eq!(run.trace().count()?, STEPS);
    println!("{} answers, each once; the run was resumed {} time(s)", steps.len(), run.info()?.resumed);

    let replay = db.replay(run.id())?;
    assert_eq!(replay.digest()?, db.view().run(run.id())?.digest()?);
    println!("replay of {} transactions gives digest {}", replay.transactions(), replay.digest()?);
    assert!(db.verify(&mut |_| ControlFlow::Continue(()))?.is_ok());
    Ok(())
}
