//! Runs the built program in a directory of its own.
#![allow(dead_code, reason = "every test file uses another part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use assert_cmd::{Command, assert::Assert, cargo::cargo_bin_cmd};
use serde_json::Value;
use tempfile::TempDir;

/// A directory with a store in it (or not yet), removed at the end of the test.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory can be made") }
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Writes a file and returns its path as text.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("the directory is writable");
        path.to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// The program with these arguments, on this store.
    pub(crate) fn foldb(&self, arguments: &[&str]) -> Command {
        let mut command = cargo_bin_cmd!("foldb");
        command.env("FOLDB_STORE", self.store()).current_dir(self.directory.path()).args(arguments);
        command
    }

    /// Runs the program, which must succeed, and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let assert = self.foldb(arguments).assert().success();
        stdout(&assert)
    }

    /// Runs the program with `--json`, which must succeed, and returns the one object that it printed.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("not one JSON value ({error}): {text}"))
    }

    /// Runs the program with `--json`, which must succeed, and returns an object for each line.
    pub(crate) fn json_lines(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.ok(&[arguments, &["--json"]].concat());
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        text.lines().map(line).collect()
    }

    /// Runs the program with `--json`, which must fail with this status, and returns the `error` object.
    pub(crate) fn error(&self, status: i32, arguments: &[&str]) -> Value {
        let assert = self.foldb(&[arguments, &["--json"]].concat()).assert().code(status);
        let text = stderr(&assert);
        let mut error: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("not one JSON value ({error}): {text}"));
        assert_eq!(error["error"]["status"], status, "{text}");
        error["error"].take()
    }
}

pub(crate) fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("the program prints UTF-8")
}

pub(crate) fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("the program prints UTF-8")
}

/// JSON Lines with `count` records: `{"id":"r0001","n":1}` and so on.
pub(crate) fn records(count: u32) -> String {
    (1..=count).map(|n| format!("{{\"id\":\"r{n:04}\",\"n\":{n}}}\n")).collect()
}

/// The text of a member.
pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} is no text in {value}"))
}

/// The first file of a directory whose name begins like this.
pub(crate) fn first_file(directory: &Path, prefix: &str) -> PathBuf {
    let entries = fs::read_dir(directory).expect("the directory is readable");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the directory is readable").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    paths.sort();
    paths.into_iter().next().unwrap_or_else(|| panic!("no {prefix} file in {}", directory.display()))
}

/// Another process that has the store open.
pub(crate) struct Holder {
    child: Child,
}

/// Lets another process open the store and wait for input, and returns once it has the lock.
pub(crate) fn hold(place: &Place) -> Holder {
    let mut child = open_and_wait(place);
    // Until it is locked the store is free or not there yet; how long that takes is up to the machine.
    // Whoever only looks needs no lock; deleting what is not there asks for it and changes nothing.
    while place.foldb(&["delete", "what is not there"]).output().expect("the program starts").status.code() != Some(3) {
        // Our own question may have been what the other process found the store locked by. It has given up then.
        if child.try_wait().expect("the process can be asked").is_some() {
            child = open_and_wait(place);
        }
    }
    Holder { child }
}

fn open_and_wait(place: &Place) -> Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_foldb"))
        .args(["import", "-", "--name", "holder"])
        .env("FOLDB_STORE", place.store())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

impl Holder {
    /// Lets the other process end its work, and waits for it.
    pub(crate) fn release(mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("the process can be waited for");
        assert!(status.success());
    }
}
