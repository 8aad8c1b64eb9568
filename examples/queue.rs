//! A queue of mails with four consumers: delays, priorities, failures, and an effect that is there once.
//!
//!     cargo run --example queue [DIRECTORY]
//!
//! Kill it and start it again: what was being done is done again when its lease has ended, and each mail is counted once.

use std::{env, path::PathBuf, thread, time::Duration};

use foldb::{Job, PushOptions, Result, Store};

const LEASE: Duration = Duration::from_secs(5);
const CONSUMERS: usize = 4;

fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("foldb-queue-example"), PathBuf::from);
    let db = foldb::open(&path)?;
    let mails = db.queue("mails")?;

    // Pushed again after a crash, these are not pushed twice.
    for number in 0..20 {
        let address = format!("user{number}@example.com");
        let options = PushOptions::new().idempotency_key(&address).attempts(3).backoff(Duration::from_millis(50));
        mails.push_with(&options, address.as_str())?;
    }
    let urgent = PushOptions::new().idempotency_key("urgent").priority(255);
    mails.push_with(&urgent, "boss@example.com")?;
    let later = PushOptions::new().idempotency_key("later").delay(Duration::from_millis(200));
    mails.push_with(&later, "reminder@example.com")?;

    thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|number| {
                scope.spawn({
                    let db = &db;
                    move || consume(db, number)
                })
            })
            .collect();
        consumers.into_iter().try_for_each(|consumer| consumer.join().expect("a consumer does not panic"))
    })?;

    println!("sent: {}", db.kv().get::<i64>("sent")?.unwrap_or(0));
    for job in mails.dead(10)? {
        println!("given up after {} attempts: {:?} ({})", job.attempts, job.payload, job.error);
    }
    println!("{:?}", mails.counts()?);
    db.close()
}

/// Takes jobs until none has come for a while.
fn consume(db: &Store, number: usize) -> Result<()> {
    let mails = db.queue("mails")?;
    // Sleeps until something is pushed, or a delay or a lease ends.
    while let Some(job) = mails.wait(LEASE, Duration::from_millis(500))? {
        match send(&job) {
            Ok(()) => {
                println!("consumer {number} has sent {:?}, attempt {}", job.payload, job.attempt);
                // The effect and the acknowledgement are one transaction: both are there, or neither.
                db.transaction(|tx| {
                    tx.kv().add_i64("sent", 1)?;
                    mails.ack_in(tx, &job)
                })?;
            }
            Err(why) => mails.nack(&job, why)?,
        }
    }
    Ok(())
}

/// The world outside. One address never answers, another one answers at the second attempt.
fn send(job: &Job) -> std::result::Result<(), &'static str> {
    match job.payload.as_text() {
        Some("user7@example.com") => Err("no such user"),
        Some("user9@example.com") if job.attempt == 1 => Err("try again later"),
        _ => Ok(()),
    }
}
