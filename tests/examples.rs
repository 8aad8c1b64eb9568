//! The programs under `examples/` do what they say, also where they are killed and started again.
//!
//! A child is this test program again, told by its environment which example to be. It says a line before it does something outside
//! of the store and waits for an answer: so the parent decides at which of these moments it dies, and no time is waited for.

#[expect(dead_code, reason = "its `main` is for the program")]
#[path = "../examples/agent.rs"]
mod agent;
#[expect(dead_code, reason = "its `main` is for the program")]
#[path = "../examples/ledger.rs"]
mod ledger;
#[expect(dead_code, reason = "its `main` is for the program")]
#[path = "../examples/queue.rs"]
mod queue;

use std::{
    collections::BTreeSet,
    env,
    io::{self, BufRead, BufReader, Write},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
};

use foldb::{Direction, PushOptions, QueueCounts, RunStatus, Store, prelude::ScanOptions};

/// Which example a child is, and which store it works in.
const EXAMPLE: &str = "FOLDB_EXAMPLE";
const STORE: &str = "FOLDB_EXAMPLE_STORE";
/// What a child says before it does something outside.
const WORD: &str = "outside: ";

/// Not a test of its own: what the child does. It returns at once unless it was started as a child.
#[test]
fn the_child_is_an_example_until_it_is_killed() {
    let (Ok(example), Some(store)) = (env::var(EXAMPLE), env::var_os(STORE)) else { return };
    let db = foldb::open(store).unwrap();
    match example.as_str() {
        "agent" => {
            agent::research(&db, &|what| {
                wait_outside(what);
                agent::answer(what)
            })
            .unwrap();
        }
        "queue" => queue::work(&db, &|job| {
            wait_outside(&format!("{:?}", job.payload));
            queue::send(job)
        })
        .unwrap(),
        _ => {
            ledger::trade(&db).unwrap();
        }
    }
    db.close().unwrap();
}

/// Says where the child is, and goes on when the parent wants it.
fn wait_outside(what: &str) {
    // One line, one write: where several threads wait, each has an answer of its own.
    println!("{WORD}{what}");
    io::stdin().read_line(&mut String::new()).unwrap();
}

/// Starts a child and kills it at a line of this sort, the `moment`th one; or lets it end. Returns whether it was killed.
fn live(example: &str, store: &Path, word: &str, moment: usize) -> bool {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_child_is_an_example_until_it_is_killed", "--nocapture"])
        .env(EXAMPLE, example)
        .env(STORE, store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = child.stdin.take().unwrap();
    let mut heard = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        heard += usize::from(line.contains(word));
        if heard == moment && line.contains(word) {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        if line.contains(WORD) {
            answers.write_all(b"\n").unwrap();
        }
    }
    assert!(child.wait().unwrap().success(), "{example} ends well when it is left alone");
    false
}

fn assert_whole(db: &Store) {
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{:?}", report.violations);
}

#[test]
fn an_agent_that_is_killed_at_each_of_its_steps_answers_as_one_that_is_not() {
    let directory = tempfile::tempdir().unwrap();
    // The first process dies at its first question, the second at its second one, which the first did not get to, and so on.
    let deaths = (1..).take_while(|moment| live("agent", directory.path(), WORD, usize::from(*moment > 1) + 1)).count();
    let undisturbed = foldb::memory();
    let expected = agent::research(&undisturbed, &agent::answer).unwrap();

    let db = foldb::open(directory.path()).unwrap();
    let run = agent::research(&db, &|what| panic!("all is done, and {what} is asked")).unwrap();
    let info = run.info().unwrap();
    assert_eq!((info.status, info.message), (RunStatus::Completed, Some("Nile".into())));
    assert_eq!(usize::try_from(info.resumed).unwrap(), deaths);
    assert_eq!(deaths, 4, "one at each question");
    let steps = |run: &foldb::Run<'_>| {
        let events = run.events().range_as::<String>("steps", .., None, Direction::Forward).unwrap();
        events.into_iter().map(|event| event.payload).collect::<Vec<_>>()
    };
    assert_eq!(steps(&run), ["Nile", "Danube", "Rhine", "compare"]);
    assert_eq!(steps(&run), steps(&expected));
    assert_eq!(run.kv().get::<u64>("steps").unwrap(), Some(4));
    assert_eq!(run.state().get::<String>("phase").unwrap().unwrap().value, "answered");
    assert_eq!(run.trace().count().unwrap(), expected.trace().count().unwrap());
    agent::report(&db, &run).unwrap();
    assert_whole(&db);
}

#[test]
fn each_mail_of_the_queue_is_sent_once_or_given_up_whoever_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    for moment in [3, 9] {
        assert!(live("queue", directory.path(), WORD, moment), "there is enough to do");
    }
    assert!(!live("queue", directory.path(), WORD, usize::MAX));

    let db = foldb::open(directory.path()).unwrap();
    let mails = db.queue("mails").unwrap();
    let sent = db.events().range_as::<String>("sent", .., None, Direction::Forward).unwrap();
    let once: BTreeSet<_> = sent.iter().map(|event| event.payload.as_str()).collect();
    assert_eq!(once.len(), sent.len(), "none is sent twice, as the store tells it");
    assert_eq!(db.kv().get::<u64>("sent").unwrap(), u64::try_from(sent.len()).ok());
    let dead = mails.dead(100).unwrap();
    assert!(dead.iter().any(|job| job.payload.as_text() == Some("user7@example.com")), "nobody is there");
    assert_eq!(sent.len() + dead.len(), 22, "each is sent or given up");
    let left = QueueCounts { dead: mails.counts().unwrap().dead, ..QueueCounts::default() };
    assert_eq!(mails.counts().unwrap(), left, "nothing is left to do");
    // The same push again is none.
    mails.push_with(&PushOptions::new().idempotency_key("urgent"), "boss@example.com").unwrap();
    assert_eq!(mails.counts().unwrap(), left);
    assert_whole(&db);
}

#[test]
fn the_queue_tries_again_what_fails_and_gives_up_after_the_last_attempt() {
    let db = foldb::memory();
    queue::work(&db, &queue::send).unwrap();
    assert_eq!(db.kv().get::<u64>("sent").unwrap(), Some(21));
    let dead = db.queue("mails").unwrap().dead(100).unwrap();
    assert_eq!(dead.iter().map(|job| (job.attempts, job.error.as_str())).collect::<Vec<_>>(), [(3, "no such user")]);
    queue::report(&db).unwrap();
}

#[test]
fn the_books_of_a_ledger_agree_wherever_it_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    for moment in [1, 5, 20, 40] {
        assert!(live("ledger", directory.path(), "trader", moment), "there is enough to do");
        let db = foldb::open(directory.path()).unwrap();
        ledger::audit(&db).unwrap();
        db.close().unwrap();
    }
    assert!(!live("ledger", directory.path(), "trader", usize::MAX));
    let db = foldb::open(directory.path()).unwrap();
    ledger::audit(&db).unwrap();
    assert_whole(&db);
}

#[test]
fn a_transfer_happens_once_or_not_at_all() {
    let db = foldb::memory();
    ledger::trade(&db).unwrap();
    ledger::audit(&db).unwrap();
    let lines = || db.events().head("books").unwrap();
    let before = (lines(), db.view().default_space().digest().unwrap());
    let refused = ledger::transfer(&db, "all of it", "ada", "alan", 1_000).unwrap_err();
    assert!(matches!(refused, ledger::Refused::NotEnough { wanted: 1_000, .. }), "{refused:?}");
    let refused = ledger::transfer(&db, "to nobody", "ada", "nobody", 1).unwrap_err();
    assert!(matches!(refused, ledger::Refused::NoAccount), "{refused:?}");
    assert_eq!((lines(), db.view().default_space().digest().unwrap()), before, "nothing is left of what was refused");

    // Whoever has anything pays; asked again, he does not pay again.
    let accounts = db.kv().scan_as::<i64>(&ScanOptions::prefix("account/")).unwrap();
    let rich = accounts.iter().max_by_key(|pair| pair.value).unwrap();
    let from = String::from_utf8_lossy(&rich.key).replace("account/", "");
    let to = if from == "ada" { "alan" } else { "ada" };
    let left = ledger::transfer(&db, "rent", &from, to, 1).unwrap();
    assert_eq!(ledger::transfer(&db, "rent", &from, to, 1).unwrap(), left);
    assert_eq!((left, lines()), (rich.value - 1, before.0 + 1));
    ledger::audit(&db).unwrap();
}
