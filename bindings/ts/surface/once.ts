// What is done once, under an idempotency key.
//
// Invariant: the key is looked up before a closure runs, so that nothing is found impossible because it was done.

import type * as api from "../api.js";
import { FoldbError, invalid } from "../errors.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { nothing } from "./answers.js";
import { chain, isPromise, type Caller, type Now } from "./caller.js";
import { STORE, type Place } from "./place.js";
import { receipt, transact, written } from "./transact.js";

type Done = { receipt: api.Receipt; value: any };

/** What is remembered of the key of these options. */
function recall(caller: Caller, options: api.TransactionOptions): Now<Done | undefined> {
  const read = (answer: Reader): Done | undefined =>
    answer.flag() ? { receipt: receipt(answer), value: answer.maybe() } : undefined;
  return caller.call(STORE, Operation.StoreRecall, (out) => written(out, options), read);
}

/** Runs `work`, unless a commit has carried the key: then it throws. */
export function unlessDone(caller: Caller, options: api.TransactionOptions, ofStore: number, work: (place: Place) => any): Now<Done> {
  if (options?.idempotencyKey === undefined) return transact(caller, options, ofStore, work);
  const checked = (done: Done): Done => {
    // Somebody else was faster.
    if (done.receipt.deduplicated) throw alreadyDone(done);
    return done;
  };
  return chain(recall(caller, options), (done) => {
    if (done) throw alreadyDone(done);
    return chain(transact(caller, options, ofStore, work), checked);
  });
}

function alreadyDone({ receipt: { seq } }: Done): FoldbError {
  const message = `this was done before, in commit ${seq}, under this idempotency key; nothing was done now`;
  return new FoldbError("AlreadyDone", "AlreadyDone", message);
}

/** What the commit that carried the key came to. */
function given({ receipt, value }: Done): Done {
  if (value !== undefined) return { receipt, value };
  const message = `the idempotency key was used by commit ${receipt.seq} for something that has no result; use another key for another request`;
  throw new FoldbError("Precondition", "KeyReused", message);
}

/** Runs `work`, unless it was done before, and stores what it gives with its commit. */
export function once(caller: Caller, options: api.TransactionOptions, ofStore: number, work: (place: Place) => any): Now<Done> {
  if (options?.idempotencyKey === undefined) throw invalid("Argument", "what is done once has an idempotency key");
  return chain(recall(caller, options), (done) => {
    if (done) return given(done);
    const record = (place: Place, value: any): Now<any> => {
      const result = value === undefined ? null : value;
      return chain(caller.call(place, Operation.TransactionResult, (out) => out.value(result), nothing), () => result);
    };
    const recorded = (place: Place): any => {
      const value = work(place);
      return isPromise(value) ? Promise.resolve(value).then((value) => record(place, value)) : record(place, value);
    };
    return chain(transact(caller, options, ofStore, recorded), (committed) => {
      if (!committed.receipt.deduplicated) return committed;
      // Somebody else was faster.
      return chain(recall(caller, options), (done) => {
        if (done) return given(done);
        throw alreadyDone(committed);
      });
    });
  });
}

export function seen(answer: Reader): api.Seen {
  return answer.flag()
    ? { seen: true, seq: answer.number(), timeMicros: answer.number() }
    : { seen: false, since: answer.number() };
}

export function keyWindow(answer: Reader): api.IdempotencyWindow {
  return {
    keys: answer.number(),
    keysMax: answer.number(),
    ageMsMax: answer.optional(() => answer.number()),
    since: answer.number(),
  };
}
