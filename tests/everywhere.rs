//! The promises of recovery and replay as they are checked on every storage, here on the one in memory. The same checks, with the
//! same digests, run in Chromium and Firefox over OPFS: `backend-web/tests/opfs_invariants.rs`.

#[path = "everywhere/mod.rs"]
mod checks;
mod scenario;
mod workload;

#[test]
fn recovery_and_replay_keep_their_promises_on_files_in_memory() {
    for (name, check) in checks::checks::<checks::Memory>() {
        println!("{name}");
        check(&checks::Memory::default());
    }
}
