// What the store says of itself: its opening, statistics, verification.

import type * as api from "../api.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import type { Caller, Now } from "./caller.js";
import { STORE } from "./place.js";
import type { Step } from "./steps.js";

/** What the module says of an opening. */
export interface Opened {
  id: string;
  recovery: api.RecoveryReport;
}

/** Asks what opening the store found. */
export function opened(caller: Caller): Now<Opened> {
  return caller.call(STORE, Operation.StoreOpened, undefined, (answer) => {
    const damage = () => ({
      file: answer.text(),
      offset: answer.number(),
      len: answer.number(),
      rule: answer.text(),
      what: answer.text(),
      seqs: answer.optional(pair(answer)),
    });
    return {
      id: answer.text(),
      recovery: {
        created: answer.flag(),
        snapshot: answer.optional(pair(answer)),
        rejectedSnapshots: answer.list(damage),
        damage: answer.list(damage),
        seq: answer.number(),
        orphanedRuns: answer.list(() => answer.id()),
        phases: answer.list((): [string, number] => [answer.text(), answer.number()]),
      },
    };
  });
}

const pair = (answer: Reader) => (): [number, number] => [answer.number(), answer.number()];

export function stats(answer: Reader): api.Stats {
  const store = answer.text();
  const numbers = Array.from({ length: 14 }, () => answer.number());
  const [seq, durableSeq, epoch, runs, entries, treeBytes, idempotencyKeys, commits, conflicts, retries, pendingBytes, count, totalMicros, logBytes] =
    numbers as [number, number, number, number, number, number, number, number, number, number, number, number, number, number];
  const histogram = answer.list(pair(answer));
  const segments = answer.list(() => ({ number: answer.number(), bytes: answer.number(), liveBytes: answer.number() }));
  const snapshots = answer.list(pair(answer));
  const syncs = { count, totalMicros, histogram };
  const sizes = { runs, entries, treeBytes, idempotencyKeys, pendingBytes, logBytes, memoryBytes: 0 };
  return { store, seq, durableSeq, epoch, commits, conflicts, retries, ...sizes, syncs, segments, snapshots };
}

export function verification(answer: Reader): Step<api.VerifyReport> {
  if (!answer.flag()) return { progress: { phase: answer.text(), done: answer.number(), total: answer.number() } };
  const result = {
    segments: answer.number(),
    records: answer.number(),
    snapshots: answer.number(),
    spaces: answer.number(),
    entries: answer.number(),
    transactions: answer.number(),
    values: answer.number(),
    events: answer.number(),
    violations: answer.list(() => ({ place: answer.text(), what: answer.text() })),
  };
  return { result, progress: { phase: "verified", done: result.spaces + 2, total: result.spaces + 2 } };
}
