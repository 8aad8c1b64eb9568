//! A queue of mails: a producer and four consumers, with leases, delays, priorities and failures, and an effect that is there once.
//!
//!     cargo run --example queue [DIRECTORY]
//!
//! Kill it and start it again: what was being done is done again when its lease has ended, and each mail is counted once.

use std::{env, path::PathBuf, thread, time::Duration};

use foldb::{ErrorKind, Job, PushOptions, Result, Store};

const MAILS: u64 = 20;
const CONSUMERS: usize = 4;
/// How long a job belongs to a consumer that has died.
const LEASE: Duration = Duration::from_millis(500);

/// What sends a mail, or says why not.
type Mailer = dyn Fn(&Job) -> std::result::Result<(), &'static str> + Sync;

fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("foldb-queue-example"), PathBuf::from);
    let db = foldb::open(path)?;
    work(&db, &send)?;
    report(&db)?;
    db.close()
}

/// Produces and consumes until nothing is left to do.
pub(crate) fn work(db: &Store, send: &Mailer) -> Result<()> {
    thread::scope(|scope| {
        let producer = scope.spawn(|| produce(db));
        let consumers: Vec<_> = (1..=CONSUMERS).map(|number| scope.spawn(move || consume(db, number, send))).collect();
        producer.join().expect("the producer does not panic")?;
        consumers.into_iter().try_for_each(|consumer| consumer.join().expect("a consumer does not panic"))
    })
}

/// Pushed again after a crash, under the same keys, these are not pushed twice.
fn produce(db: &Store) -> Result<()> {
    let mails = db.queue("mails")?;
    for number in 1..=MAILS {
        let address = format!("user{number}@example.com");
        let options = PushOptions::new().idempotency_key(&address).attempts(3).backoff(Duration::from_millis(50));
        mails.push_with(&options, address.as_str())?;
    }
    let urgent = PushOptions::new().idempotency_key("urgent").priority(255);
    mails.push_with(&urgent, "boss@example.com")?;
    let later = PushOptions::new().idempotency_key("later").delay(Duration::from_millis(200));
    mails.push_with(&later, "reminder@example.com")?;
    Ok(())
}

/// Takes jobs until none has come for longer than a lease: what a dead consumer had has come back by then.
fn consume(db: &Store, number: usize, send: &Mailer) -> Result<()> {
    let mails = db.queue("mails")?;
    // Sleeps until something is pushed, or a delay or a lease ends.
    while let Some(job) = mails.wait(LEASE, LEASE * 2)? {
        let done = match send(&job) {
            // The effect and the acknowledgement are one transaction: both are there, or neither.
            Ok(()) => db.transaction(|tx| {
                tx.kv().add_u64("sent", 1)?;
                tx.events().append("sent", "mail", &job.payload)?;
                mails.ack_in(tx, &job)
            }),
            Err(why) => mails.nack(&job, why),
        };
        match done {
            // It took longer than the lease, and somebody else has the job by now: nothing of it is counted here.
            Err(error) if error.kind() == ErrorKind::Precondition => {
                println!("consumer {number} was too slow: {error}");
            }
            done => done?,
        }
    }
    Ok(())
}

/// The world outside. One address never answers, another one answers at the second attempt.
pub(crate) fn send(job: &Job) -> std::result::Result<(), &'static str> {
    println!("sending {:?}, attempt {}", job.payload, job.attempt);
    match job.payload.as_text() {
        Some("user7@example.com") => Err("no such user"),
        Some("user9@example.com") if job.attempt == 1 => Err("try again later"),
        _ => Ok(()),
    }
}

/// What has become of the jobs.
pub(crate) fn report(db: &Store) -> Result<()> {
    let mails = db.queue("mails")?;
    println!("sent: {}", db.kv().get_or::<u64>("sent", 0)?);
    for job in mails.dead(10)? {
        println!("given up after {} attempts: {:?} ({})", job.attempts, job.payload, job.error);
    }
    println!("{:?}", mails.counts()?);
    Ok(())
}
