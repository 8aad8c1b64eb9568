// Queues of jobs.
//
// Invariant: what a job is and what becomes of it is decided by the module; here it is asked for, and waited for.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { checkOptions, checkWatching } from "../given.js";
import { Operation } from "../operation.js";
import { describe } from "../wire/cbor.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";
import { check } from "../work.js";
import { nothing } from "./answers.js";
import { chain, type Caller, type Now, type Read, type Write } from "./caller.js";
import { exact } from "./exact.js";
import { Ear, listen } from "./listen.js";
import { Part } from "./part.js";
import { STORE, type Place } from "./place.js";
import { Transaction } from "./transaction.js";

const PUSH_IN = ["delayMs", "priority", "attempts", "backoffMs"] as const;
const PUSH = [...PUSH_IN, "idempotencyKey"];
const WAIT = ["timeoutMs", "signal"];

/** Bytes of an id, as digits. */
const ID_BYTES = 16;

export class Queue extends Part implements api.Queue<api.Mode> {
  readonly name: string;

  constructor(caller: Caller, name: string) {
    super(caller, STORE);
    this.name = name;
  }

  #ask<T>(operation: Operation, write: Write, read: Read<T>, place = STORE): Now<T> {
    const named = (out: Writer) => {
      out.text(this.name);
      write(out);
    };
    return this.caller.call(place, operation, named, read);
  }

  /** Asks within a transaction of this store. */
  #within<T>(tx: unknown, ask: (place: Place) => Now<T>): Now<T> {
    if (tx instanceof Transaction && tx["caller"] === this.caller) return ask(tx["place"]);
    return this.caller.refuse(STORE, invalid("Argument", `a transaction of this store is wanted, not ${describe(tx)}`));
  }

  push(payload: unknown, options?: api.PushOptions): Now<string> {
    return this.#push(payload, options, PUSH);
  }

  pushIn(tx: unknown, payload: unknown, options?: api.PushOptions): Now<string> {
    return this.#within(tx, (place) => this.#push(payload, options, PUSH_IN, place));
  }

  #push(payload: unknown, options: api.PushOptions | undefined, names: readonly string[], place?: Place): Now<string> {
    const write = (out: Writer) => {
      checkOptions("a push", options, names);
      for (const option of PUSH_IN) out.optional(options?.[option], (number) => out.number(number));
      out.optional(options?.idempotencyKey, (key) => out.key(key));
      out.value(payload);
    };
    return this.#ask(Operation.QueuePush, write, id, place);
  }

  claim(leaseMs: number): Now<any> {
    return chain(this.#claim(1, leaseMs), ({ jobs }) => jobs[0]);
  }

  claimMany(limit: number, leaseMs: number): Now<any> {
    return chain(this.#claim(limit, leaseMs), ({ jobs }) => jobs);
  }

  /** Jobs, or, without one, how long it takes until there may be one. */
  #claim(limit: number, leaseMs: number): Now<{ jobs: api.Job[]; pauseMs: number }> {
    const write = (out: Writer) => {
      out.flag(true);
      out.number(limit);
      out.number(leaseMs);
    };
    return this.#ask(Operation.QueueClaim, write, (answer) => ({
      jobs: answer.list(() => ({ id: id(answer), payload: answer.value(), attempt: answer.u32(), leaseUntilMicros: answer.number() })),
      pauseMs: answer.optional(() => Math.ceil(answer.number() / 1000)) ?? Infinity,
    }));
  }

  async wait(leaseMs: number, options?: api.WaitOptions): Promise<any> {
    checkOptions("waiting for a job", options, WAIT);
    checkWatching({ signal: options?.signal });
    const { timeoutMs = Infinity, signal } = options ?? {};
    if (typeof timeoutMs !== "number" || !(timeoutMs >= 0)) throw invalid("Argument", `timeoutMs is a number of milliseconds, 0 or more, not ${describe(timeoutMs)}`);
    check(signal);
    const end = performance.now() + timeoutMs;
    const ear = new Ear();
    // Before the first look: what is pushed behind it wakes.
    const over = listen(this.caller, (out) => out.text(this.name), ear, Operation.QueueSubscribe);
    try {
      for (;;) {
        ear.forget();
        const { jobs, pauseMs } = await this.#claim(1, leaseMs);
        // One that was claimed is given also where the wait was cancelled meanwhile: nobody else gets it before its lease has ended.
        if (jobs[0]) return jobs[0];
        const left = end - performance.now();
        if (left <= 0) return undefined;
        await ear.something(signal, Math.max(1, Math.min(pauseMs, left)));
      }
    } finally {
      over();
    }
  }

  ack(job: api.Job): Now<void> {
    return this.#ask(Operation.QueueAck, (out) => leased(out, job), () => undefined);
  }

  ackIn(tx: unknown, job: api.Job): Now<void> {
    return this.#within(tx, (place) => this.#ask(Operation.QueueAck, (out) => leased(out, job), nothing, place));
  }

  nack(job: api.Job, error: string): Now<void> {
    const write = (out: Writer) => {
      leased(out, job);
      out.text(error);
    };
    return this.#ask(Operation.QueueNack, write, () => undefined);
  }

  extend(job: api.Job, leaseMs: number): Now<void> {
    const write = (out: Writer) => {
      leased(out, job);
      out.number(leaseMs);
    };
    return this.#ask(Operation.QueueExtend, write, (answer) => void (job.leaseUntilMicros = answer.number()));
  }

  dead(limit: number): Now<any> {
    const write = (out: Writer) => {
      out.flag(true);
      out.number(limit);
    };
    return this.#ask(Operation.QueueDead, write, (answer) =>
      answer.list(() => ({ id: id(answer), payload: answer.value(), attempts: answer.u32(), error: answer.text() })),
    );
  }

  revive(id: string): Now<void> {
    return this.#ask(Operation.QueueRevive, (out) => out.id(id), () => undefined);
  }

  discard(id: string): Now<void> {
    return this.#ask(Operation.QueueDiscard, (out) => out.id(id), () => undefined);
  }

  counts(): Now<api.QueueCounts> {
    const read = (answer: Reader) => ({ ready: answer.number(), delayed: answer.number(), leased: answer.number(), dead: answer.number() });
    return this.#ask(Operation.QueueCounts, () => {}, read);
  }
}

exact(Queue);

const id: Read<string> = (answer) => answer.hex(ID_BYTES);

/** A job, by what proves that it is still the caller's. */
function leased(out: Writer, { id, attempt }: api.Job): void {
  out.id(id);
  out.number(attempt);
}
