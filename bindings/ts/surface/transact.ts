// Transactions as they run: begun, committed, run again after a conflict.
//
// Invariant: what fails is undone before it is told, and told as it was; a commit is never repeated but after a conflict.

import type * as api from "../api.js";
import { FoldbError, invalid } from "../errors.js";
import { checkOptions, checkRetries } from "../given.js";
import { Operation } from "../operation.js";
import { describe } from "../wire/cbor.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";
import { nothing } from "./answers.js";
import { chain, isPromise, settle, type Caller, type Now } from "./caller.js";
import { writeCause } from "./cause.js";
import { end, held } from "./hold.js";
import type { Place } from "./place.js";

/** How often a closure runs again after a conflict, where nothing else is said. */
export const DEFAULT_RETRIES = 64;

const OPTIONS = ["durability", "idempotencyKey", "fingerprint", "because", "retries"];

/** How a durability is written. */
export function durability(out: Writer, durability: api.Durability): void {
  if (durability === "strict") return out.u8(0);
  if (durability === "inMemory") return out.u8(2);
  const { mode, intervalMs, bytes } = unsynced(durability);
  out.u8(mode === "relaxed" ? 3 : 1);
  out.number(intervalMs);
  if (mode === "buffered") out.number(bytes);
}

/** A durability that does not wait for the medium, with all that is left out. */
export function unsynced(durability: Exclude<api.Durability, "strict" | "inMemory">): { mode: "relaxed" | "buffered"; intervalMs: number; bytes: number } {
  const given: { mode?: "relaxed" | "buffered"; intervalMs?: number; bytes?: number } =
    typeof durability === "object" && durability !== null ? durability : { mode: durability };
  const { mode = "buffered", intervalMs = 100, bytes = 1 << 20 } = given;
  if (mode !== "relaxed" && mode !== "buffered") throw invalid("Argument", `${describe(mode)} is no durability that has an interval: "relaxed" and "buffered" have one`);
  checkOptions("a durability", given, mode === "relaxed" ? ["mode", "intervalMs"] : ["mode", "intervalMs", "bytes"]);
  return { mode, intervalMs, bytes };
}

export function receipt(answer: Reader): api.Receipt {
  return {
    seq: answer.number(),
    durable: answer.flag(),
    deduplicated: answer.flag(),
    appended: answer.list(() => ({ run: answer.optional(() => answer.id()), stream: answer.anyKey(), firstSeq: answer.number(), count: answer.number() })),
  };
}

export function begin(caller: Caller, options: api.TransactionOptions): Now<Place> {
  const place = held(caller, 1);
  if (options?.durability !== undefined && options.durability !== "strict") caller.buffers?.();
  return chain(caller.call(place, Operation.TransactionBegin, (out) => written(out, options), nothing), () => place);
}

/** The options of a transaction, as they are sent. */
export function written(out: Writer, options: api.TransactionOptions): void {
  checkOptions("a transaction", options, OPTIONS);
  checkRetries(options.retries);
  out.optional(options.durability, (wanted) => durability(out, wanted));
  out.optional(options.idempotencyKey, (key) => out.key(key));
  out.optional(options.fingerprint, (key) => out.key(key));
  out.optional(options.because, (cause) => writeCause(out, cause));
}

/** Commits, unless a request of the transaction could not be sent: then it is undone, and that is told. */
export function commit(caller: Caller, place: Place): Now<api.Receipt> {
  const failure = place.hold?.failure;
  if (!failure) return end(caller, place, Operation.TransactionCommit, receipt);
  settle(() => rollback(caller, place));
  return Promise.reject(failure.error);
}

export function rollback(caller: Caller, place: Place): Now<void> {
  return end(caller, place, Operation.TransactionRollback, () => undefined);
}

/** Runs `work` in a transaction and commits it, again after a conflict, as often as the options say, or the store's own do. */
export function transact<T>(
  caller: Caller,
  options: api.TransactionOptions,
  ofStore: number | undefined,
  work: (place: Place) => T | PromiseLike<T>,
  attempt = 0,
): Now<{ value: T; receipt: api.Receipt }> {
  const retries = options?.retries ?? ofStore ?? DEFAULT_RETRIES;
  return chain(begin(caller, options), (place) => {
    const failed = (error: unknown): any => {
      if (!(error instanceof FoldbError && error.kind === "Conflict" && attempt < retries)) throw error;
      return chain(caller.pause(attempt), () => transact(caller, options, ofStore, work, attempt + 1));
    };
    const undo = (error: unknown): never => {
      // What failed is told; that the handle cannot be given back, because the store is gone, says nothing more.
      settle(() => rollback(caller, place));
      throw error;
    };
    let value: T | PromiseLike<T>;
    try {
      value = work(place);
    } catch (error) {
      return undo(error);
    }
    if (isPromise(value)) {
      return Promise.resolve(value)
        .catch(undo)
        .then((value) => Promise.resolve(commit(caller, place)).then((receipt) => ({ value, receipt }), failed));
    }
    const done = value;
    try {
      const committed = commit(caller, place);
      return isPromise(committed)
        ? committed.then((receipt) => ({ value: done, receipt }), failed)
        : { value: done, receipt: committed };
    } catch (error) {
      return failed(error);
    }
  });
}
