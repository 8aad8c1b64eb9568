//! Queues of jobs: arguments from a request, results into an answer.
//!
//! Invariant: what a queue does is done by core, so that both sides of the boundary have the same jobs. A push, a claim and an
//! acknowledgement share the sync of their message.

use std::time::Duration;

use foldb_core::{ChangeFilter, Db, Error, Job, JobId, PushOptions, Queue, Result, host::Host, value::Encoded};

use crate::{
    access::{Target, commit},
    host::JsHost,
    operation::Operation,
    platform::PlatformStorage,
    together::Together,
    wire::{Input, Output, malformed},
};

/// The most that a claim may have in one answer.
const CLAIMED_MAX: usize = 1 << 20;

/// Everything that a queue does.
pub(crate) fn queues(
    operation: Operation,
    db: &Db<PlatformStorage>,
    target: Target<'_>,
    together: &Together,
    input: &mut Input<'_>,
    out: &mut Output,
) -> Result<()> {
    let queue = db.queue(input.text()?)?;
    match (operation, target) {
        (Operation::QueuePush, Target::Store(_)) => {
            let (options, key) = options(input)?;
            let payload = Encoded(input.last(Input::bytes)?);
            let id = match key {
                Some(key) => queue.push_with(&options.idempotency_key(key), payload)?,
                None => {
                    let mut pushed = None;
                    commit(db, together, &mut |tx| {
                        pushed = Some(queue.push_in(tx, &options, payload)?);
                        Ok(())
                    })?;
                    pushed.ok_or_else(|| malformed("it was not run"))?
                }
            };
            out.0.extend_from_slice(&id.to_bytes());
        }
        (Operation::QueuePush, Target::Transaction(tx)) => {
            let (options, key) = options(input)?;
            if key.is_some() {
                return Err(malformed("a push in a transaction has the key of that"));
            }
            let id = queue.push_in(tx, &options, Encoded(input.last(Input::bytes)?))?;
            out.0.extend_from_slice(&id.to_bytes());
        }
        (Operation::QueueAck, Target::Store(_)) => {
            let job = input.last(job)?;
            commit(db, together, &mut |tx| queue.ack_in(tx, &job))?;
        }
        (Operation::QueueAck, Target::Transaction(tx)) => queue.ack_in(tx, &input.last(job)?)?,
        (_, Target::Store(_)) => alone(operation, db, &queue, together, input, out)?,
        _ => {
            let why = "only pushes and acknowledgements can be a part of something else".into();
            return Err(Error::Unsupported { what: "this step of a job in a transaction or a view", why });
        }
    }
    Ok(())
}

/// What is a commit of its own, or reads.
fn alone(
    operation: Operation,
    db: &Db<PlatformStorage>,
    queue: &Queue<'_, PlatformStorage>,
    together: &Together,
    input: &mut Input<'_>,
    out: &mut Output,
) -> Result<()> {
    match operation {
        Operation::QueueClaim => {
            let (limit, lease) = (input.limit()?.unwrap_or(CLAIMED_MAX), input.last(millis)?);
            let mut claimed = None;
            while claimed.is_none() {
                commit(db, together, &mut |tx| {
                    claimed = queue.claim_in(tx, limit, lease)?;
                    Ok(())
                })?;
            }
            let jobs = claimed.unwrap_or_default();
            out.count(jobs.len());
            for job in &jobs {
                out.0.extend_from_slice(&job.id.to_bytes());
                out.value(&job.payload)?;
                out.u32(job.attempt);
                out.number(job.lease_until_micros);
            }
            let due = if jobs.is_empty() { queue.next_due_micros()? } else { None };
            out.optional(due, |out, due| out.number(due.saturating_sub(JsHost.now_micros())));
        }
        Operation::QueueNack => {
            let job = job(input)?;
            queue.nack(&job, input.last(Input::text)?)?;
        }
        Operation::QueueExtend => {
            let mut job = job(input)?;
            queue.extend(&mut job, input.last(millis)?)?;
            out.number(job.lease_until_micros);
        }
        Operation::QueueDead => {
            let dead = queue.dead(input.last(Input::limit)?.unwrap_or(CLAIMED_MAX))?;
            out.count(dead.len());
            for job in &dead {
                out.0.extend_from_slice(&job.id.to_bytes());
                out.value(&job.payload)?;
                out.u32(job.attempts);
                out.text(&job.error);
            }
        }
        Operation::QueueRevive => queue.revive(input.last(id)?)?,
        Operation::QueueDiscard => queue.discard(input.last(id)?)?,
        _ => {
            input.finish()?;
            let counts = queue.counts()?;
            for count in [counts.ready, counts.delayed, counts.leased, counts.dead] {
                out.number(count);
            }
        }
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
