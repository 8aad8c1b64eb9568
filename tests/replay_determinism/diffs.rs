//! What two runs, or two versions of one, differ in.

use foldb::{DocumentChange, EntryChange, json::Change};

use super::*;

/// Two runs that got the same, each in its own order.
fn twins(db: &Db<MemStorage>) -> (RunId, RunId) {
    let make = |name: &str, turned: bool| {
        let run = db.runs().begin(RunOptions::named(name)).unwrap();
        let numbers: Vec<i64> = if turned { (0..50).rev().collect() } else { (0..50).collect() };
        for number in numbers {
            run.kv().put(format!("key {number:02}"), number).unwrap();
        }
        run.kv().put("large", vec![1_u8; 3000]).unwrap();
        run.json().set("doc", &json!({ "a": 1, "list": [1, 2], "same": true })).unwrap();
        run.json().set("removed", &json!([])).unwrap();
        run.events().append_batch("log", (0..10).map(|number| NewEvent::new("e", number))).unwrap();
        run.state().init("cell", 1).unwrap();
        let plan = run.trace().record(TraceRecord::new(TraceKind::Thought, "plan")).unwrap();
        run.trace().record(TraceRecord::new(TraceKind::ToolCall, "search").parent(plan)).unwrap();
        run.id()
    };
    (make("older", false), make("newer", true))
}

#[test]
fn a_diff_of_a_view_with_itself_or_with_its_twin_is_empty() {
    let db = store();
    let (older, newer) = twins(&db);
    for (one, other) in [(older, older), (older, newer), (newer, older)] {
        let diff = db.diff(one, other).unwrap();
        assert!(diff.is_empty(), "{diff:?}");
    }
    let replayed = db.replay(older).unwrap();
    assert!(replayed.space().diff(&db.view().run(newer).unwrap()).unwrap().is_empty(), "replayed and live");
    let view = db.view();
    db.kv().put("later", 1).unwrap();
    assert!(view.default_space().diff(&view.default_space()).unwrap().is_empty());
    assert_eq!(view.default_space().diff(&db.view().default_space()).unwrap().len(), 1);
}

#[test]
fn a_diff_names_what_was_added_removed_and_changed_in_every_primitive() {
    let db = store();
    let (older, newer) = twins(&db);
    let run = db.runs().get(newer).unwrap();
    run.kv().put("key 07", "changed").unwrap();
    run.kv().remove("key 08").unwrap();
    run.kv().put("zz", 1).unwrap();
    run.kv().put("large", vec![2_u8; 3000]).unwrap();
    run.json().set_at("doc", "/list/1", &json!(3)).unwrap();
    run.json().delete_at("doc", "/a").unwrap();
    run.json().set_at("doc", "/b", &json!({ "c": 1 })).unwrap();
    run.json().delete("removed").unwrap();
    run.json().set("added", &json!("x")).unwrap();
    run.events().append("log", "e", 10).unwrap();
    run.events().trim("log", 3).unwrap();
    run.events().append("other", "e", 1).unwrap();
    run.state().set("cell", 2).unwrap();
    run.state().init("new cell", 1).unwrap();
    run.trace().record(TraceRecord::new(TraceKind::Error, "more")).unwrap();
    let diff = db.diff(older, newer).unwrap();

    let kv: Vec<_> = diff.kv.iter().map(|entry| (String::from_utf8_lossy(&entry.key), &entry.change)).collect();
    assert_eq!(kv.len(), 4, "{kv:?}");
    assert_eq!(kv[0].1, &EntryChange::Changed { from: 7.into(), to: "changed".into() });
    assert_eq!(kv[1].1, &EntryChange::Removed(8.into()));
    assert!(kv[2].0 == "large" && matches!(kv[2].1, EntryChange::Changed { .. }));
    assert_eq!((&*kv[3].0, kv[3].1), ("zz", &EntryChange::Added(1.into())));

    assert_eq!(diff.json.len(), 3);
    assert_eq!(diff.json[0].change, DocumentChange::Added(json!("x")));
    let DocumentChange::Changed(paths) = &diff.json[1].change else { panic!("{:?}", diff.json[1]) };
    let paths: Vec<_> = paths.iter().map(|change| (change.path.as_str(), &change.change)).collect();
    assert_eq!(
        paths,
        [
            ("/a", &Change::Removed(json!(1))),
            ("/b", &Change::Added(json!({ "c": 1 }))),
            ("/list/1", &Change::Changed { from: json!(2), to: json!(3) }),
        ]
    );
    assert_eq!(diff.json[2].change, DocumentChange::Removed(json!([])));

    let streams: Vec<_> = diff.events.iter().map(|stream| (stream.stream.as_slice(), &stream.events)).collect();
    assert_eq!(streams.len(), 2);
    let log: Vec<_> =
        streams[0].1.iter().map(|(seq, change)| (*seq, matches!(change, EntryChange::Added(_)))).collect();
    assert_eq!(log, [(1, false), (2, false), (11, true)], "trimmed, and appended");
    assert_eq!((streams[1].0, streams[1].1.len()), (&b"other"[..], 1));

    assert_eq!(diff.state.len(), 2);
    let EntryChange::Changed { from, to } = &diff.state[0].change else { panic!("{:?}", diff.state[0]) };
    assert_eq!((from.counter, to.counter, &to.value), (1, 2, &2.into()));
    assert!(matches!(diff.state[1].change, EntryChange::Added(_)));

    assert_eq!(diff.trace.len(), 1, "{:?}", diff.trace);
    assert!(matches!(&diff.trace[0], (3, EntryChange::Added(entry)) if entry.name == "more"));
    assert_eq!(diff.len(), 4 + 3 + 4 + 2 + 1);

    // The other way round it is the same, turned.
    let turned = db.diff(newer, older).unwrap();
    assert_eq!(turned.len(), diff.len());
    assert_eq!(turned.kv[3].change, EntryChange::Removed(1.into()));
    // And bringing the changes over makes the two equal.
    let back = db.runs().get(older).unwrap();
    for entry in &diff.kv {
        match &entry.change {
            EntryChange::Added(value) | EntryChange::Changed { to: value, .. } => {
                back.kv().put(&entry.key, value).unwrap();
            }
            EntryChange::Removed(_) => back.kv().remove(&entry.key).unwrap(),
        }
    }
    assert!(db.diff(older, newer).unwrap().kv.is_empty());
}

#[test]
fn a_diff_of_two_versions_of_one_run_is_what_happened_between_them() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put_many((0..2000).map(|number| (format!("key {number:05}"), number))).unwrap();
    let before = db.view();
    run.kv().put("key 01000", -1).unwrap();
    run.kv().add_i64("key 00500", 0).unwrap();
    run.kv().put("key 00700", 700).unwrap();
    let after = db.view();
    let diff = before.run(run.id()).unwrap().diff(&after.run(run.id()).unwrap()).unwrap();
    // What was written again with the same value is not different.
    assert_eq!(diff.kv.len(), 1, "{diff:?}");
    assert_eq!(diff.kv[0].change, EntryChange::Changed { from: 1000.into(), to: (-1).into() });
    let then = db.replay_at(run.id(), before.seq()).unwrap();
    assert_eq!(then.space().diff(&after.run(run.id()).unwrap()).unwrap(), diff, "the replay of then says the same");
}

/// Streams and traces were compared place by place: one entry that was inserted into ten made ten differences.
#[test]
fn one_step_that_was_inserted_is_one_difference() {
    let db = foldb::memory();
    let steps = |run: &foldb::Run<'_, _>, inserted: bool| {
        let root = run.trace().record(TraceRecord::new(TraceKind::Thought, "root").time_micros(1)).unwrap();
        for number in 0..10_u64 {
            if inserted && number == 3 {
                run.trace()
                    .record(TraceRecord::new(TraceKind::ToolCall, "search").data("x").parent(root).time_micros(25))
                    .unwrap();
                run.events().append("log", "e", "x").unwrap();
            }
            let time = 10 * (number + 1);
            let call = TraceRecord::new(TraceKind::ToolCall, "search").data(number).parent(root).time_micros(time);
            let call = run.trace().record(call).unwrap();
            let note = TraceRecord::new(TraceKind::Thought, "note").parent(call).time_micros(time + 1);
            run.trace().record(note).unwrap();
            run.events().append("log", "e", number).unwrap();
        }
    };
    let begin = || db.runs().begin(RunOptions::named("run")).unwrap();
    let (older, newer) = (begin(), begin());
    steps(&older, false);
    steps(&newer, true);
    let diff = db.diff(older.id(), newer.id()).unwrap();
    assert!(
        matches!(&diff.trace[..], [(6, EntryChange::Added(entry))] if entry.data == "x".into()),
        "{:?}",
        diff.trace
    );
    assert_eq!(diff.events.len(), 1);
    let events = &diff.events[0].events;
    assert!(matches!(&events[..], [(4, EntryChange::Added(event))] if event.payload == "x".into()), "{events:?}");
    let back = db.diff(newer.id(), older.id()).unwrap();
    assert!(matches!(&back.trace[..], [(6, EntryChange::Removed(_))]), "{:?}", back.trace);
    assert!(matches!(&back.events[0].events[..], [(4, EntryChange::Removed(_))]), "{:?}", back.events);
    // A step that came to something else is a change, also behind one that was inserted.
    newer.events().append("log", "e", 11).unwrap();
    older.events().append("log", "e", 12).unwrap();
    let diff = db.diff(older.id(), newer.id()).unwrap();
    let events = &diff.events[0].events;
    assert!(matches!(&events[..], [(4, EntryChange::Added(_)), (12, EntryChange::Changed { .. })]), "{events:?}");
}
