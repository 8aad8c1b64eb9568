// The API as objects: what each method asks for, and what it makes of the answer.
//
// Invariant: every method is written once, for both modes. It gives its request to a `Caller`, which answers at once or by a
// promise; `chain` goes on with either.

import type * as api from "../api.js";
import { invalid, type FoldbError } from "../errors.js";
import { Operation } from "../operation.js";
import type { Writer } from "../wire/writer.js";
import { number, swept } from "./answers.js";
import { chain, isPromise, type Caller, type Now } from "./caller.js";
import { commitInfo } from "./cause.js";
import { differences } from "./diff.js";
import { exact } from "./exact.js";
import { endLater, held } from "./hold.js";
import { onCommit, Subscription } from "./listen.js";
import { keyWindow, once, seen, unlessDone } from "./once.js";
import { STORE, type Place } from "./place.js";
import { Queue } from "./queue.js";
import { stats, verification, type Opened } from "./reports.js";
import { Runs } from "./runs.js";
import { Space } from "./space.js";
import { atOnce, inSteps } from "./steps.js";
import { begin, DEFAULT_RETRIES } from "./transact.js";
import { Transaction } from "./transaction.js";
import { digest, Replay, View } from "./views.js";

export class Db extends Space implements api.Db<api.Mode> {
  readonly name: string;
  readonly id: string;
  readonly created: boolean;
  readonly recovery: api.RecoveryReport;
  readonly runs: any = new Runs(this.caller, this.place);
  readonly #retries: number;
  #closed: Promise<void> | undefined;

  constructor(caller: Caller, { id, recovery }: Opened, retries = DEFAULT_RETRIES) {
    super(caller, STORE);
    this.name = caller.name;
    this.id = id;
    this.created = recovery.created;
    this.recovery = recovery;
    this.#retries = retries;
  }

  transaction(work: (tx: any) => any, options?: api.TransactionOptions): Now<any> {
    return chain(this.transactionWith(options ?? {}, work), ({ value }) => value);
  }

  transactionWith(options: api.TransactionOptions, work: (tx: any) => any): Now<{ value: any; receipt: api.Receipt }> {
    return unlessDone(this.caller, options, this.#retries, this.#closure(work));
  }

  once(key: api.Key, work: (tx: any) => any, options?: api.TransactionOptions): Now<any> {
    return chain(this.onceWith({ ...options, idempotencyKey: key }, work), ({ value }) => value);
  }

  onceWith(options: api.TransactionOptions, work: (tx: any) => any): Now<{ value: any; receipt: api.Receipt }> {
    return once(this.caller, options, this.#retries, this.#closure(work));
  }

  /** A closure, as it is run in a transaction at some place. */
  #closure(work: (tx: any) => any): (place: Place) => any {
    return (place) => {
      if (typeof work !== "function") throw invalid("Argument", "a transaction is given as a function");
      const value = work(new Transaction(this.caller, place));
      if (isPromise(value) && !this.caller.async) {
        Promise.resolve(value).catch(() => {});
        throw invalid("Promise", "a transaction of the synchronous API cannot wait: its closure returned a promise");
      }
      return value;
    };
  }

  seen(key: api.Key): Now<api.Seen> {
    return this.ask(Operation.StoreSeen, (out) => out.key(key), seen);
  }

  idempotencyWindow(): Now<api.IdempotencyWindow> {
    return this.ask(Operation.StoreKeyWindow, undefined, keyWindow);
  }

  setIdempotencyWindow(keys: number, ageMs?: number): Now<void> {
    const write = (out: Writer) => {
      out.number(keys);
      out.optional(ageMs, (age) => out.number(age));
    };
    return this.ask(Operation.StoreSetKeyWindow, write, () => undefined);
  }

  beginTransaction(options?: api.TransactionOptions): Now<any> {
    return chain(begin(this.caller, options === undefined ? {} : options), (place) => {
      endLater(this.caller, place, Operation.TransactionRollback);
      return new Transaction(this.caller, place);
    });
  }

  commitInfo(seq: number): Now<api.CommitInfo | undefined> {
    return this.ask(Operation.StoreCommitInfo, (out) => out.number(seq), commitInfo);
  }

  view(): Now<any> {
    const place = held(this.caller, 2);
    const opened = this.caller.call(place, Operation.ViewOpen, undefined, number);
    return chain(opened, (seq) => new View(this.caller, place, seq));
  }

  replay(run: string, until?: number): Now<any> {
    return this.#replay(run, until);
  }

  replayDefault(): Now<any> {
    return this.#replay(undefined, undefined);
  }

  #replay(run: string | undefined, until: number | undefined): Now<any> {
    const place = held(this.caller, 2);
    const write = (out: Writer) => out.optional(until, (until) => out.number(until));
    const opened = this.caller.call({ ...place, run }, Operation.ReplayOpen, write, number);
    return chain(opened, (transactions) => new Replay(this.caller, place, transactions));
  }

  diff(older: string, newer: string): Now<api.Diff> {
    return differences(this.caller, STORE, older, newer);
  }

  digest(run?: string): Now<string> {
    return this.caller.call({ ...STORE, run }, Operation.Digest, undefined, digest);
  }

  subscribe(filter?: api.ChangeFilter, options?: api.ListenOptions): api.Subscription {
    return new Subscription(this.caller, filter, options);
  }

  onCommit(filter: api.ChangeFilter, callback: (commit: api.Announcement) => void, onError?: (error: FoldbError) => void): () => void {
    return onCommit(this.caller, filter, callback, onError);
  }

  queue(name: string): any {
    return new Queue(this.caller, name);
  }

  refresh(): Now<number> {
    return this.ask(Operation.StoreRefresh, undefined, number);
  }

  sweepExpired(limit: number): Now<api.Swept> {
    return this.ask(Operation.StoreSweep, (out) => out.number(limit), swept);
  }

  sync(): Now<number> {
    return this.ask(Operation.StoreSync, undefined, number);
  }

  waitDurable(seq: number): Now<void> {
    return this.ask(Operation.StoreWaitDurable, (out) => out.number(seq), () => undefined);
  }

  durableSeq(): Now<number> {
    return this.ask(Operation.StoreDurableSeq, undefined, number);
  }

  snapshot(): Now<{ generation: number; seq: number; bytes: number }> {
    return this.ask(Operation.StoreSnapshot, undefined, (answer) => ({
      generation: answer.number(),
      seq: answer.number(),
      bytes: answer.number(),
    }));
  }

  verify(options?: api.WorkOptions): Now<api.VerifyReport> {
    const work = this.caller.async ? inSteps : atOnce;
    return work(this.caller, "verify", options, Operation.VerifyOpen, Operation.VerifyStep, verification);
  }

  async stats(): Promise<api.Stats> {
    return this.caller.stats(await this.ask(Operation.StoreStats, undefined, stats));
  }

  ready(): Promise<void> {
    return this.caller.ready();
  }

  async export(options?: api.WorkOptions): Promise<Blob> {
    return (await import("../archive.js")).exported(this.caller, options);
  }

  close(): Promise<void> {
    this.#closed ??= this.caller.close();
    return this.#closed;
  }
}

exact(Db);
