// Queues of jobs.

import type { Key, Mode, Out, Value } from "./common.js";
import type { Transaction } from "./transactions.js";

/** How a job is pushed. */
export interface PushOptions {
  /** Not to be claimed before so many milliseconds have passed. Default 0. */
  delayMs?: number;
  /** From 0 to 255: higher ones are claimed first; among equal ones those that were pushed first. Default 128. */
  priority?: number;
  /** How often the job is handed out at most, at least once. One whose consumer dies has had an attempt. Default 5. */
  attempts?: number;
  /** The pause before the second attempt, in milliseconds; it doubles with each, up to a day. Default 1000. */
  backoffMs?: number;
  /**
   * Pushed again with this key, a job is not pushed: the id of the first is given back, whether that was done or not, for as long as
   * the store remembers the key (`setIdempotencyWindow`). Not in `pushIn`, where the transaction has a key of its own.
   */
  idempotencyKey?: Key;
}

/** A job that was claimed. It is the claimer's until the lease ends. */
export interface Job<T = Value> {
  /** Its name, 32 hex digits: sorted by the time of the push. */
  readonly id: string;
  /** What there is to do. */
  readonly payload: T;
  /** How often it was handed out, this time included. */
  readonly attempt: number;
  /** When the lease ends, in microseconds since 1970 by the clock of this machine; `extend` sets it. */
  leaseUntilMicros: number;
}

/** A job that has failed too often. */
export interface DeadJob<T = Value> {
  /** Its name. */
  id: string;
  /** What there was to do. */
  payload: T;
  /** How often it was handed out. */
  attempts: number;
  /** What the last attempt failed with. */
  error: string;
}

/** How many jobs a queue has. */
export interface QueueCounts {
  /** Those that can be claimed. */
  ready: number;
  /** Those that wait for their time: pushed with a delay, or failed and to be tried again. */
  delayed: number;
  /** Those that somebody has claimed. A lease that has ended counts until somebody claims. */
  leased: number;
  /** Those that have failed too often. */
  dead: number;
}

/** How to wait for a job. */
export interface WaitOptions {
  /** For how many milliseconds at most. Default: for as long as it takes. */
  timeoutMs?: number;
  /** Ends the wait: it throws `Cancelled`, with the signal's reason as its cause. A job that was claimed already is given all the same. */
  signal?: AbortSignal;
}

/**
 * A queue of jobs in the default space. A job is handed to one consumer at a time, for as long as the lease; whoever finishes it proves
 * that the lease is still his. So a job is done at least once, and what is written in the transaction of `ackIn` is there once.
 * Everything throws `Invalid` for a name with a NUL, and `Limit` for one that is too long. What a queue keeps are pairs that begin with
 * `queue`, a NUL, its name and another NUL: the same that a program in Rust reads and writes.
 */
export interface Queue<M extends Mode> {
  /** Its name. */
  readonly name: string;
  /** Adds a job and returns its id. Throws `Invalid` for a priority over 255. */
  push(payload: unknown, options?: PushOptions): Out<M, string>;
  /** Adds a job when this transaction commits, and not otherwise. Throws as `push` does. */
  pushIn(tx: Transaction<M>, payload: unknown, options?: Omit<PushOptions, "idempotencyKey">): Out<M, string>;
  /** Takes the first job that can be had, for so many milliseconds; `undefined` where there is none. */
  claim<T = Value>(leaseMs: number): Out<M, Job<T> | undefined>;
  /** Takes up to `limit` jobs in one commit: those of the highest priority first. */
  claimMany<T = Value>(limit: number, leaseMs: number): Out<M, Job<T>[]>;
  /**
   * `claim` that waits for a job: for a push, for the end of a delay, for the end of a lease of somebody who has died. It sleeps until one
   * of these, and gives `undefined` where none came in time. Throws `Cancelled` by the signal, `Closed` when the store is closed.
   */
  wait<T = Value>(leaseMs: number, options?: WaitOptions): Promise<Job<T> | undefined>;
  /** The job is done: it goes. Throws `Precondition` where the lease was lost, or the job is gone. */
  ack(job: Job<unknown>): Out<M, void>;
  /**
   * The job is done when this transaction commits: for an effect that is in the store. Throws as `ack` does; on the main thread at the next
   * read or at the commit, and nothing is committed then.
   */
  ackIn(tx: Transaction<M>, job: Job<unknown>): Out<M, void>;
  /** The attempt has failed, for this reason: the job is handed out again after its pause, or is dead after its last attempt. Throws as `ack` does. */
  nack(job: Job<unknown>, error: string): Out<M, void>;
  /** Keeps the job for so many milliseconds from now on. Throws as `ack` does. */
  extend(job: Job<unknown>, leaseMs: number): Out<M, void>;
  /** The jobs that have failed too often, those that were pushed first before the others, at most `limit`. */
  dead<T = Value>(limit: number): Out<M, DeadJob<T>[]>;
  /** A dead job is tried again, with all its attempts before it. Throws `NotFound` for a job that is not dead. */
  revive(id: string): Out<M, void>;
  /** A dead job goes for good. Throws `NotFound` for a job that is not dead. */
  discard(id: string): Out<M, void>;
  /** How many jobs there are. */
  counts(): Out<M, QueueCounts>;
}
