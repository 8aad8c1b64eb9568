//! Pushes jobs into the queue `mails` of a store, or does those that there are: for the tests of programs in other languages, whose
//! jobs these are too. Usage: `jobs DIRECTORY push|consume`.

use std::{env, error::Error, time::Duration};

use foldb::PushOptions;

const LEASE: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory")?;
    let db = foldb::open(&directory)?;
    let mails = db.queue("mails")?;
    if arguments.next().as_deref() == Some("push") {
        let dies = mails.push_with(&PushOptions::new().attempts(1), "dies")?;
        let job = mails.claim(LEASE)?.ok_or("it was just pushed")?;
        mails.nack(&job, "no answer")?;
        let first = mails.push_with(&PushOptions::new().priority(200).idempotency_key("key"), 17)?;
        let second = mails.push_with(&PushOptions::new().backoff(Duration::ZERO), "from Rust")?;
        mails.push_with(&PushOptions::new().delay(LEASE), "later")?;
        println!("{dies} {first} {second}");
    } else {
        while let Some(job) = mails.claim(LEASE)? {
            println!("{} {} {:?}", job.id, job.attempt, job.payload);
            mails.ack(&job)?;
        }
        for job in mails.dead(10)? {
            println!("{} {} {}", job.id, job.attempts, job.error);
        }
        println!("{:?}", mails.counts()?);
    }
    db.close()?;
    Ok(())
}
