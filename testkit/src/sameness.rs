//! One store that every backend has to agree about: what is written is the same bytes, and what is read the same content,
//! natively, in each browser and in Node.
//!
//! [`write()`] makes the store, [`findings`] says what is in it, and [`FINDINGS`] and [`ARCHIVE_SHA256`] are what everybody
//! has to find. They are pinned here and nowhere else.
//!
//! Invariant: the store is a function of nothing. Changing it means new constants; a change of the format that does not
//! mean to alter these bytes must not.

use std::{fmt::Write as _, sync::Arc};

use foldb_core::{
    Db, Durability, Options, Result, RunId, RunOptions, RunStatus,
    primitive::{NewEvent, TraceKind, TraceRecord},
    storage::Storage,
    value::Value,
};
use serde_json::json;

use crate::SeededHost;

/// Seq of the last commit.
pub const SEQ: u64 = 123;

/// What [`findings`] gives: names and digests.
pub const FINDINGS: &[(&str, &str)] = &[
    ("seq", "123"),
    ("default space", "5065c0edd025695eed3feb9b78e69984145657d169d81fb06366bbbaf87b1b21"),
    ("default space, replayed", "5065c0edd025695eed3feb9b78e69984145657d169d81fb06366bbbaf87b1b21"),
    ("first, status", "completed"),
    ("first, live", "a08a91975108880b435328eca20cf0f3e96a287be16eedb14fd352d2c4ab77a4"),
    ("first, replayed", "a08a91975108880b435328eca20cf0f3e96a287be16eedb14fd352d2c4ab77a4"),
    ("first, half way", "a08a91975108880b435328eca20cf0f3e96a287be16eedb14fd352d2c4ab77a4"),
    ("second, status", "failed"),
    ("second, live", "d7432daac0e6804e55e5920ad14d2dfb16aa7c4b73ba0309d1fe550f280dec64"),
    ("second, replayed", "d7432daac0e6804e55e5920ad14d2dfb16aa7c4b73ba0309d1fe550f280dec64"),
    ("second, half way", "46905d1d1b926b4c4806222d249348f24542a38dabc0115b3fa8d49f03447d51"),
    ("orphaned, status", "orphaned"),
    ("orphaned, live", "8d5a689989eb0f31f0a936874a03b6f523b903b71c073c91019c98b40f847705"),
    ("orphaned, replayed", "8d5a689989eb0f31f0a936874a03b6f523b903b71c073c91019c98b40f847705"),
    ("orphaned, half way", "not begun"),
    ("first and second, differences", "20"),
    ("first and second, diff", "19d3326bda72c1cf30c8a69248e5885d068be24f0d68229503884c1093e3a57b"),
];

/// SHA-256 of the archive of the store as [`write()`] leaves it.
pub const ARCHIVE_SHA256: &str = "6f322631de59fbc968ee534294c08149b564788596a951dc34c83135e4ec85f2";

/// How the store is opened by those who only look.
pub fn options() -> Options {
    // Small segments, so that there are several; no snapshot but the one that is asked for.
    Options::new()
        .durability(Durability::buffered())
        .segment_bytes(16 << 10)
        .snapshot_log_bytes(None)
        .snapshot_on_close(false)
}

/// Writes the store into an empty storage, in the lives of two processes, and closes it. It touches every primitive, has
/// values inline and in the log, several segments, a snapshot with log behind it, a run that ended, one that its process
/// left behind, one that was deleted, and two that differ.
pub fn write<S: Storage + Clone>(storage: &S) -> Result<()> {
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options())?;
    let metadata = Value::try_from(json!({ "n": 1 }))?;
    let first = db.runs().begin(RunOptions::named("first").label("sort", "complete").metadata(metadata))?;
    fill(&db, first.id(), 40)?;
    first.end()?;
    let deleted = db.runs().begin(RunOptions::named("deleted"))?;
    fill(&db, deleted.id(), 5)?;
    deleted.cancel("not needed")?;
    db.runs().delete(deleted.id())?;
    db.snapshot()?;
    let second = db.runs().begin(RunOptions::named("second").parent(first.id()))?;
    fill(&db, second.id(), 42)?;
    second.kv().put("key 07", "changed")?;
    second.kv().remove("key 08")?;
    second.json().set_at("document 3", "/list/1", &json!("changed"))?;
    second.fail("as planned")?;
    db.close()?;

    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(2)), options())?;
    let orphaned = db.runs().begin(RunOptions::named("orphaned").label("sort", "left behind"))?;
    fill(&db, orphaned.id(), 20)?;
    db.kv().put("default space", "has this")?;
    db.close()
}

/// Every primitive, `steps` times.
fn fill<S: Storage>(db: &Db<S>, run: RunId, steps: i64) -> Result<()> {
    for step in 0..steps {
        db.transaction(|tx| {
            let run = tx.run(run)?;
            run.kv().put(format!("key {step:02}"), step * step)?;
            run.kv().put(b"\x00binary \xff".as_slice(), Value::Bytes(vec![0xff; 3]))?;
            run.kv().put("half", 0.5 + f64::from(u16::try_from(step).unwrap_or(0)))?;
            run.kv().put("far", i64::MIN + step)?;
            run.kv().add_u64("counted", u64::MAX >> 8)?;
            if step % 8 == 0 {
                // Over the inline limit: these stay in the log.
                run.kv().put(format!("large {step}"), "long text with an ö ".repeat(150))?;
            }
            run.json().set(
                format!("document {}", step % 5),
                &json!({ "step": step, "list": [step, null, { "deep": "ü".repeat(20) }], "float": 0.1 }),
            )?;
            run.events().append_batch("log", (0..3).map(|place| NewEvent::new("line", step * 3 + place)))?;
            run.state().transition_or_init("position", 0_i64, |position| Ok(position + 1))?;
            run.trace().record(TraceRecord::new(TraceKind::ToolCall, format!("call {step}")).data(step))?;
            Ok::<_, foldb_core::Error>(())
        })?;
    }
    db.runs().get(run)?.events().trim("log", 4)
}

/// What is in the store, by name: digests of the recovered state, of replays (to the end and to a version half way), and of
/// a diff; and how the runs stand.
pub fn findings<S: Storage>(db: &Db<S>) -> Result<Vec<(String, String)>> {
    let view = db.view();
    let mut found = vec![
        (String::from("seq"), view.seq().to_string()),
        (String::from("default space"), view.default_space().digest()?.to_string()),
        (String::from("default space, replayed"), db.replay_default()?.digest()?.to_string()),
    ];
    let runs = view.runs();
    for run in &runs {
        let status = match run.status {
            RunStatus::Orphaned => "orphaned".into(),
            ref other => format!("{other:?}").to_lowercase(),
        };
        found.push((format!("{}, status", run.name), status));
        found.push((format!("{}, live", run.name), view.run(run.id)?.digest()?.to_string()));
        found.push((format!("{}, replayed", run.name), db.replay(run.id)?.digest()?.to_string()));
        let half = db.replay_at(run.id, view.seq() / 2)?;
        let half = if half.transactions() == 0 { "not begun".into() } else { half.digest()?.to_string() };
        found.push((format!("{}, half way", run.name), half));
    }
    let id = |name: &str| runs.iter().find(|run| run.name == name).map(|run| run.id);
    if let (Some(first), Some(second)) = (id("first"), id("second")) {
        let diff = db.diff(first, second)?;
        found.push((String::from("first and second, differences"), diff.len().to_string()));
        found.push((String::from("first and second, diff"), digest_of_text(&format!("{diff:?}"))));
    }
    Ok(found)
}

/// Findings as text, one a line: what a failed comparison prints.
pub fn text<N: AsRef<str>, D: AsRef<str>>(findings: &[(N, D)]) -> String {
    findings.iter().fold(String::new(), |mut text, (name, digest)| {
        let _ = writeln!(text, "    (\"{}\", \"{}\"),", name.as_ref(), digest.as_ref());
        text
    })
}

/// Fails with both sides in words where a store differs from [`FINDINGS`].
pub fn check<S: Storage>(db: &Db<S>, place: &str) -> Result<()> {
    let found = findings(db)?;
    assert!(text(&found) == text(FINDINGS), "{place} found\n{}expected\n{}", text(&found), text(FINDINGS));
    Ok(())
}

fn digest_of_text(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
