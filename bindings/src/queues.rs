//! Queues of jobs: arguments from a request, results into an answer.
//!
//! Invariant: what a queue does is done by core, so that both sides of the boundary have the same jobs. Each step is one function over
//! a transaction, whether it commits on its own, and shares the sync of its message then, or is part of one.

use std::time::Duration;

use foldb_core::{
    ChangeFilter, Db, Error, Job, JobId, PushOptions, Queue, Result, Transaction, host::Host, value::Encoded,
};

use crate::{
    access::{Target, commit},
    host::JsHost,
    operation::Operation,
    platform::PlatformStorage,
    together::Together,
    wire::{Input, Output, malformed},
};

/// The most jobs in one answer, where nothing else is said.
const JOBS_MAX: usize = 1 << 20;

/// Everything that a queue does.
pub(crate) fn queues(
    operation: Operation,
    db: &Db<PlatformStorage>,
    target: Target<'_>,
    together: &Together,
    input: &mut Input<'_>,
    out: &mut Output,
) -> Result<()> {
    let queue = &db.queue(input.text()?)?;
    if operation == Operation::QueueDead {
        return dead(queue, input.last(Input::limit)?, out);
    }
    if operation == Operation::QueueCounts {
        input.finish()?;
        let counts = queue.counts()?;
        [counts.ready, counts.delayed, counts.leased, counts.dead].into_iter().for_each(|count| out.number(count));
        return Ok(());
    }
    let step = read(operation, input)?;
    match target {
        Target::Transaction(tx) => match step.take(queue, tx, out)? {
            true => Ok(()),
            // A claim that has looked after as many ends of leases as one transaction does.
            false => Err(Error::Unsupported {
                what: "this claim in a transaction",
                why: "too many leases have ended".into(),
            }),
        },
        Target::Store(db) => {
            if let Step::Push { options, key: Some(key), payload } = step {
                let id = queue.push_with(&options.idempotency_key(key), payload)?;
                out.0.extend_from_slice(&id.to_bytes());
                return Ok(());
            }
            let at = out.0.len();
            let mut is_done = false;
            while !is_done {
                commit(db, together, &mut |tx| {
                    out.0.truncate(at);
                    is_done = step.take(queue, tx, out)?;
                    Ok(())
                })?;
            }
            if let Step::Claim { .. } = step {
                let due = queue.next_due_micros()?;
                out.optional(due, |out, due| out.number(due.saturating_sub(JsHost.now_micros())));
            }
            Ok(())
        }
        Target::View(_) => Err(Error::Unsupported { what: "a write", why: "this is a view of one version".into() }),
    }
}

/// A step in the life of jobs.
enum Step<'a> {
    Push { options: PushOptions, key: Option<&'a [u8]>, payload: Encoded<&'a [u8]> },
    Claim { limit: usize, lease: Duration },
    Ack(Job),
    Nack(Job, &'a str),
    Extend(Job, Duration),
    Revive(JobId),
    Discard(JobId),
}

fn read<'a>(operation: Operation, input: &mut Input<'a>) -> Result<Step<'a>> {
    let step = match operation {
        Operation::QueuePush => {
            let (options, key) = options(input)?;
            Step::Push { options, key, payload: Encoded(input.bytes()?) }
        }
        Operation::QueueClaim => Step::Claim { limit: input.limit()?.unwrap_or(JOBS_MAX), lease: millis(input)? },
        Operation::QueueAck => Step::Ack(job(input)?),
        Operation::QueueNack => Step::Nack(job(input)?, input.text()?),
        Operation::QueueExtend => Step::Extend(job(input)?, millis(input)?),
        Operation::QueueRevive => Step::Revive(id(input)?),
        _ => Step::Discard(id(input)?),
    };
    input.finish()?;
    Ok(step)
}

impl Step<'_> {
    /// Takes it when `tx` commits. Returns whether it is done with that.
    fn take(
        &self,
        queue: &Queue<'_, PlatformStorage>,
        tx: &Transaction<'_, PlatformStorage>,
        out: &mut Output,
    ) -> Result<bool> {
        match self {
            Step::Push { key: Some(_), .. } => return Err(malformed("a push in a transaction has the key of that")),
            Step::Push { options, payload, .. } => {
                out.0.extend_from_slice(&queue.push_in(tx, options, payload)?.to_bytes());
            }
            Step::Claim { limit, lease } => {
                let Some(jobs) = queue.claim_in(tx, *limit, *lease)? else { return Ok(false) };
                out.count(jobs.len());
                for job in &jobs {
                    out.0.extend_from_slice(&job.id.to_bytes());
                    out.value(&job.payload)?;
                    out.u32(job.attempt);
                    out.number(job.lease_until_micros);
                }
            }
            Step::Ack(job) => queue.ack_in(tx, job)?,
            Step::Nack(job, error) => queue.nack_in(tx, job, error)?,
            Step::Extend(job, lease) => out.number(queue.extend_in(tx, job, *lease)?),
            Step::Revive(id) => queue.revive_in(tx, *id)?,
            Step::Discard(id) => queue.discard_in(tx, *id)?,
        }
        Ok(true)
    }
}

fn dead(queue: &Queue<'_, PlatformStorage>, limit: Option<usize>, out: &mut Output) -> Result<()> {
    let dead = queue.dead(limit.unwrap_or(JOBS_MAX))?;
    out.count(dead.len());
    for job in &dead {
        out.0.extend_from_slice(&job.id.to_bytes());
        out.value(&job.payload)?;
        out.u32(job.attempts);
        out.text(&job.error);
    }
    Ok(())
}

/// What a consumer of this queue listens to.
pub(crate) fn changes(db: &Db<PlatformStorage>, input: &mut Input<'_>) -> Result<ChangeFilter> {
    Ok(db.queue(input.text()?)?.changes())
}

fn millis(input: &mut Input<'_>) -> Result<Duration> {
    input.number().map(Duration::from_millis)
}

fn id(input: &mut Input<'_>) -> Result<JobId> {
    input.array().map(JobId::from_bytes)
}

/// A job as its claimer names it: by what proves that it is his.
fn job(input: &mut Input<'_>) -> Result<Job> {
    let (id, attempt) = (id(input)?, input.number()?);
    // An attempt that nobody has made proves nothing.
    let attempt = u32::try_from(attempt).unwrap_or(u32::MAX);
    Ok(Job { id, payload: ().into(), attempt, lease_until_micros: 0 })
}

/// How a job is pushed, and under which idempotency key.
fn options<'a>(input: &mut Input<'a>) -> Result<(PushOptions, Option<&'a [u8]>)> {
    let mut options = PushOptions::new();
    if let Some(delay) = input.optional(millis)? {
        options = options.delay(delay);
    }
    if let Some(priority) = input.optional(Input::number)? {
        let priority = u8::try_from(priority)
            .map_err(|_| Error::Invalid { what: "priority", why: format!("{priority} is not between 0 and 255") })?;
        options = options.priority(priority);
    }
    if let Some(attempts) = input.optional(Input::number)? {
        options = options.attempts(u32::try_from(attempts).unwrap_or(u32::MAX));
    }
    if let Some(backoff) = input.optional(millis)? {
        options = options.backoff(backoff);
    }
    Ok((options, input.optional(Input::bytes)?))
}
