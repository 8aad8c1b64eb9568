//! Several threads, one store: additions that never conflict, a transfer that is serializable, and a payment that
//! happens once however often it is sent.
//!
//! `cargo run --example counters`

use std::thread;

use foldb::{Durability, Options, Result};

const THREADS: i64 = 4;
const ROUNDS: i64 = 250;

fn main() -> Result<()> {
    let directory = std::env::temp_dir().join(format!("foldb-counters-{}", std::process::id()));
    let db = foldb::open_with(&directory, Options::new().durability(Durability::relaxed()))?;
    db.kv().put_many([("account/a", 10_000_i64), ("account/b", 0)])?;

    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| work(&db))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;

    let count = db.kv().get::<i64>("transfers")?;
    let (a, b) = (db.kv().get_or("account/a", 0_i64)?, db.kv().get_or("account/b", 0_i64)?);
    println!("{} transfers, {a} + {b} left; {} conflicts were run again", count.unwrap_or(0), db.stats()?.conflicts);
    assert_eq!((count, a, b), (Some(THREADS * ROUNDS), 9_000, 1_000));

    // The network lost the answer, so the client sends the payment again.
    for attempt in 1..=2 {
        let number: i64 = db.once("payment 4711", |tx| {
            tx.kv().add_i64("paid", 25)?;
            tx.kv().add_i64("receipts", 1)?;
            tx.kv().get_or("receipts", 0)
        })?;
        println!("attempt {attempt}: receipt number {number}");
    }
    assert_eq!(db.kv().get::<i64>("paid")?, Some(25));

    db.sync()?; // Relaxed until here: from now on a power failure costs nothing.
    db.close()?;
    std::fs::remove_dir_all(&directory).unwrap_or_default();
    Ok(())
}

fn work(db: &foldb::Store) -> Result<()> {
    for _ in 0..ROUNDS {
        // What is read here is validated at commit; if another thread was quicker, the closure runs again.
        db.transaction(|tx| {
            let (a, b) = (tx.kv().get_or("account/a", 0_i64)?, tx.kv().get_or("account/b", 0_i64)?);
            tx.kv().put("account/a", a - 1)?;
            tx.kv().put("account/b", b + 1)?;
            tx.kv().add_i64("transfers", 1) // Reads nothing, so it can be in nobody's way.
        })?;
    }
    Ok(())
}
