//! An operator's questions, asked beside a process that writes.

mod common;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use common::{Place, first_file, text};
use foldb::{
    Options, RunOptions,
    primitive::{TraceKind, TraceRecord},
};
use serde_json::{Value, json};

/// The program, running until it is killed.
fn follow(place: &Place, arguments: &[&str]) -> (Child, impl Iterator<Item = Value>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_foldb"))
        .args(arguments)
        .args(["--follow", "--interval", "1", "--json"])
        .env("FOLDB_STORE", place.store())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines.map(|line| serde_json::from_str(&line.expect("the program goes on")).expect("JSON")))
}

fn end(mut child: Child) {
    child.kill().expect("the program is running");
    child.wait().expect("the program can be waited for");
}

#[test]
fn events_are_followed_beside_the_process_that_appends_them() {
    let place = Place::new();
    let store = foldb::open_with(place.store(), Options::new()).unwrap();
    let run = store.runs().begin(RunOptions::named("working")).unwrap();
    for number in 1..=5 {
        run.events().append("steps", "step", number).unwrap();
    }
    let (child, mut lines) = follow(&place, &["events", "tail", "steps", "--last", "2", "--run", "working"]);
    let mut next = || lines.next().expect("a line")["payload"].clone();
    assert_eq!((next(), next()), (json!(4), json!(5)));
    for number in 6..=20 {
        run.events().append("steps", "step", number).unwrap();
        assert_eq!(next(), json!(number));
    }
    end(child);
    assert_eq!(place.json_lines(&["events", "tail", "steps", "--run", "working"]).len(), 10);
}

#[test]
fn a_trace_is_followed_and_shown_as_a_tree_with_ids() {
    let place = Place::new();
    let store = foldb::open_with(place.store(), Options::new()).unwrap();
    let plan = store.trace().record(TraceRecord::new(TraceKind::Decision, "plan")).unwrap();
    let (child, mut lines) = follow(&place, &["trace", "tail"]);
    let mut next = || text(&lines.next().expect("a line"), "name").to_owned();
    assert_eq!(next(), "plan");
    let call = TraceRecord::new(TraceKind::ToolCall, "search").parent(plan);
    let call = store.trace().record(call).unwrap();
    assert_eq!(next(), "search");
    store.trace().record(TraceRecord::new(TraceKind::Decision, "another plan")).unwrap();
    assert_eq!(next(), "another plan");
    store.trace().record(TraceRecord::new(TraceKind::Thought, "result").parent(call)).unwrap();
    assert_eq!(next(), "result");
    end(child);
    let tree = place.json_lines(&["trace", "--tree"]);
    let shape: Vec<(u64, &str)> =
        tree.iter().map(|entry| (entry["depth"].as_u64().unwrap(), text(entry, "name"))).collect();
    assert_eq!(shape, [(0, "plan"), (1, "search"), (2, "result"), (0, "another plan")]);
    assert_eq!(text(&tree[1], "parent"), text(&tree[0], "id"));
    let shown = place.ok(&["trace", "--tree"]);
    assert!(shown.contains("\n└ search") && shown.contains("\n  └ result"), "{shown}");
    assert!(shown.contains(text(&tree[2], "id")), "{shown}");
}

#[test]
fn stats_are_told_by_run_by_stream_and_by_prefix() {
    let place = Place::new();
    place.ok(&["runs", "begin", "job"]);
    for key in ["user/1", "user/2", "order/1", "plain"] {
        place.ok(&["put", key, "value", "--run", "job"]);
    }
    place.ok(&["json", "set", "user/1", "{\"a\":1}", "--run", "job"]);
    place.ok(&["events", "append", "log", "x", "--run", "job"]);
    place.ok(&["put", "k", "v"]);
    let runs = place.json_lines(&["stats", "--by", "run"]);
    assert_eq!(runs.len(), 2);
    assert_eq!((&runs[0]["name"], &runs[0]["pairs"]), (&Value::Null, &json!(1)));
    assert_eq!((&runs[1]["name"], &runs[1]["pairs"], &runs[1]["documents"]), (&json!("job"), &json!(4), &json!(1)));
    let streams = place.json_lines(&["stats", "--by", "stream"]);
    assert_eq!(
        (&streams[0]["name"], &streams[0]["stream"], &streams[0]["events"]),
        (&json!("job"), &json!("log"), &json!(1))
    );
    let prefixes = place.json_lines(&["stats", "--by", "prefix", "--run", "job"]);
    let found: Vec<_> = prefixes
        .iter()
        .map(|line| (text(line, "what"), text(line, "prefix"), line["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        found,
        [("documents", "user/", 1), ("pairs", "order/", 1), ("pairs", "plain", 1), ("pairs", "user/", 2)]
    );
    assert!(place.ok(&["stats", "--by", "prefix"]).contains("(default space)"));
}

#[test]
fn a_dump_of_one_key_is_its_history_and_runs_have_names_in_it() {
    let place = Place::new();
    place.ok(&["runs", "begin", "job"]);
    place.ok(&["put", "k", "first", "--run", "job"]);
    place.ok(&["put", "other", "x", "--run", "job"]);
    place.ok(&["put", "k", "second", "--run", "job"]);
    place.ok(&["put", "k", "elsewhere"]);
    let lines = place.json_lines(&["dump", "--key", "k"]);
    let values: Vec<&Value> = lines.iter().map(|line| &line["operations"][0]["value"]).collect();
    assert_eq!(values, ["first", "second", "elsewhere"]);
    assert_eq!(lines[0]["operations"][0]["name"], "job");
    assert_eq!(place.json_lines(&["dump", "--key", "k", "--run", "job"]).len(), 2);
    let shown = place.ok(&["dump", "--ops"]);
    assert!(shown.contains("run job") && shown.contains("default space"), "{shown}");
    assert_eq!(place.json_lines(&["dump", "--key", "nothing"]).len(), 0);
    // What does not open is dumped with numbers.
    let segment = first_file(&place.store(), "log-");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert!(place.ok(&["dump", "--ops"]).contains("space 1"));
}

#[test]
fn what_is_not_here_and_is_elsewhere_is_said_to_be_there() {
    let place = Place::new();
    place.ok(&["runs", "begin", "job"]);
    place.ok(&["put", "k", "v", "--run", "job"]);
    place.ok(&["events", "append", "log", "x", "--run", "job"]);
    place.ok(&["json", "set", "d", "{}", "--run", "job"]);
    place.ok(&["put", "outside", "v"]);
    for arguments in [&["get", "k"][..], &["events", "list", "log"], &["events", "tail", "log"], &["json", "get", "d"]]
    {
        let hint = place.error(1, arguments)["hint"].as_str().expect("a hint").to_owned();
        assert!(hint.contains("in run \"job\"") && hint.contains("--run "), "{arguments:?}: {hint}");
    }
    let hint = place.error(1, &["get", "outside", "--run", "job"])["hint"].as_str().expect("a hint").to_owned();
    assert!(hint.contains("default space"), "{hint}");
    assert_eq!(place.error(1, &["get", "nowhere"])["hint"], Value::Null);
}

#[test]
fn every_list_goes_on_behind_the_cursor_of_the_page_before() {
    let place = Place::new();
    for number in 1..=3 {
        let n = number.to_string();
        place.ok(&["runs", "begin", &format!("run {n}")]);
        place.ok(&["put", &format!("k {n}"), &n]);
        place.ok(&["json", "set", &format!("d{n}"), &n]);
        place.ok(&["events", "append", "log", &n]);
        place.ok(&["events", "append", &format!("s{n}"), &n]);
    }
    let store = foldb::open_with(place.store(), Options::new()).unwrap();
    for number in 1..=3 {
        store.state().init(format!("c{number}"), number).unwrap();
        store.trace().record(TraceRecord::new(TraceKind::Thought, format!("t{number}"))).unwrap();
    }
    store.close().unwrap();
    for list in [
        &["runs"][..],
        &["scan"],
        &["scan", "--reverse"],
        &["json", "list"],
        &["events", "list", "log"],
        &["events", "list", "log", "--reverse"],
        &["events", "streams"],
        &["state"],
        &["trace"],
        &["trace", "--reverse"],
    ] {
        let whole = place.json_lines(list);
        let mut paged: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let after = cursor.as_deref().map(|cursor| vec!["--after", cursor]).unwrap_or_default();
            let page = place.json_lines(&[list, &["--limit", "2"], &after].concat());
            let Some(last) = page.last() else { break };
            cursor = Some(text(last, "cursor").to_owned());
            paged.extend(page);
        }
        assert_eq!(paged, whole, "{list:?}");
        assert!(whole.len() >= 3, "{list:?}");
        let shown = place.ok(&[list, &["--limit", "2"]].concat());
        assert!(shown.lines().last().unwrap().starts_with("go on with --after "), "{list:?}: {shown}");
    }
    assert!(place.ok(&["scan", "--limit", "1"]).ends_with("go on with --after 'k 1'\n"));
}

#[test]
fn a_list_of_runs_goes_on_behind_a_run_that_is_deleted_meanwhile() {
    let place = Place::new();
    for number in 1..=3 {
        place.ok(&["runs", "begin", &format!("run {number}")]);
    }
    let page = place.json_lines(&["runs", "--limit", "2"]);
    let store = foldb::open_with(place.store(), Options::new()).unwrap();
    store.runs().delete(text(&page[1], "id").parse().unwrap()).unwrap();
    store.close().unwrap();
    let rest = place.json_lines(&["runs", "--after", text(&page[1], "cursor")]);
    assert_eq!(rest.iter().map(|run| text(run, "name")).collect::<Vec<_>>(), ["run 1"]);
}

#[test]
fn what_a_tail_or_a_single_cell_would_ignore_is_refused() {
    let place = Place::new();
    place.ok(&["put", "key", "1"]);
    for ignored in [
        &["trace", "--run", "orders", "tail"][..],
        &["trace", "--limit", "1", "tail"],
        &["state", "cell", "--limit", "1"],
    ] {
        place.foldb(ignored).assert().code(2);
    }
}
