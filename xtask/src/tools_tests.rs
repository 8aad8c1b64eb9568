//! What is said of programs that are started.

use super::*;

#[test]
fn the_cargo_that_runs_this_is_printed_as_a_person_types_it() {
    let mut command = cargo(Path::new("."));
    assert_eq!(line(command.args(["build", "--release"])), "cargo build --release");
    assert_eq!(line(Command::new("node").arg("--check")), "node --check");
}

#[test]
fn a_command_that_fails_or_cannot_be_started_is_named_by_its_failure() {
    let cargo = |argument| run(cargo(Path::new(env!("CARGO_MANIFEST_DIR"))).arg(argument));
    assert_eq!(cargo("--version"), Ok(()));
    assert_eq!(cargo("--no-such-option"), Err("cargo --no-such-option".into()));
    let missing = run(&mut Command::new("there-is-no-such-program")).unwrap_err();
    assert!(missing.starts_with("there-is-no-such-program (it cannot be started: "), "{missing}");
}
