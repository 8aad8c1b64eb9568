// Transactions.

import type { Cause, Durability, Receipt } from "./commits.js";
import type { Key, Mode, Out } from "./common.js";
import type { RunInfo, RunOptions } from "./runs.js";
import type { Space } from "./spaces.js";

/** How one transaction is committed. */
export interface TransactionOptions {
  /** For this transaction only; not `"inMemory"`. */
  durability?: Durability;
  /**
   * Makes the commit happen once. `once` gives back what came of it; `transaction` throws `AlreadyDone`; neither runs its closure. One
   * that is committed by hand changes nothing, and its receipt is `deduplicated`. Up to 256 bytes; see `setIdempotencyWindow`.
   */
  idempotencyKey?: Key;
  /**
   * What tells the contents of this transaction from others under the same key: a hash of the request, say, of at most 64 bytes. The same
   * key with another one throws `Precondition` (code `KeyReused`).
   */
  fingerprint?: Key;
  /**
   * Why it is made: a text of at most 256 bytes, such as who has asked for it, or `{ trace }` with the id of a trace entry. It stands in the
   * log beside what is written: `commitInfo` and announcements have it.
   */
  because?: string | Cause;
  /** How often the closure runs again after a conflict. Default: as the store was opened. */
  retries?: number;
}

/** Whether a commit has carried an idempotency key. */
export type Seen =
  | { seen: true; seq: number; timeMicros: number }
  /** Every key of a commit from `since` on is remembered: one that was used before may be forgotten. */
  | { seen: false; since: number };

/** How far back a store remembers idempotency keys. */
export interface IdempotencyWindow {
  /** How many keys are remembered. */
  keys: number;
  /** The most that are. */
  keysMax: number;
  /** How old they get; `undefined` where age does not count. */
  ageMsMax: number | undefined;
  /** Every key of a commit from this seq on is remembered. */
  since: number;
}

/** A place in a transaction to go back to. */
export interface Savepoint {
  /** Which one of the transaction. */
  readonly savepoint: number;
}

/**
 * One version of the store, plus what is written here. On the main thread writes that return nothing travel with the
 * next read or the commit; an error of such a write shows there. What cannot be sent at all, as a value that cannot be
 * stored, fails there at once and again at the commit, whether or not anybody waited for it: nothing is committed then.
 *
 * After its end everything throws `Invalid`.
 */
export interface Transaction<M extends Mode> extends Space<M> {
  /** The runs of the store: begin, end and annotate them in this transaction. */
  readonly runs: TransactionRuns<M>;
  /** A run, to read and write it in this transaction. Throws `NotFound` at its first use if it does not exist. */
  run(id: string): Space<M> & { readonly id: string };
  /** Seq of the version that is read. */
  seq(): Out<M, number>;
  /** Says why it is made, in place of what was said before: see the option of this name. Throws `Limit`, and `Invalid` for an empty text. */
  because(cause: string | Cause): Out<M, void>;
  /** Marks the writes so far. */
  savepoint(): Out<M, Savepoint>;
  /** Forgets what was written since. What was read still counts for validation. Throws `Invalid` for a savepoint of another transaction, or behind one that was gone back to. */
  rollbackTo(savepoint: Savepoint): Out<M, void>;
}

/** A transaction that is committed by hand; nothing is retried. It is rolled back when it is collected. */
export interface OpenTransaction<M extends Mode> extends Transaction<M> {
  /** Commits. Throws `Conflict`, naming the key and both seqs, where something that was read has changed: begin again then. */
  commit(): Out<M, Receipt>;
  /** Discards everything that was written. */
  rollback(): Out<M, void>;
}

/** Runs inside a transaction. What takes an id throws `NotFound` where there is no such run, `Invalid` for an id that is malformed. */
export interface TransactionRuns<M extends Mode> {
  /** Begins a run, which can be written in the same transaction. Throws as `db.runs.begin` does. */
  begin(options: RunOptions): Out<M, Space<M> & { readonly id: string }>;
  /** Ends a run well. Throws `RunEnded` where it has ended before. */
  end(id: string, message?: string): Out<M, void>;
  /** Ends a run as failed, and says why. Throws `RunEnded` where it has ended before. */
  fail(id: string, message: string): Out<M, void>;
  /** Ends a run as cancelled, and says why. Throws `RunEnded` where it has ended before. */
  cancel(id: string, message: string): Out<M, void>;
  /** Takes up an orphaned or ended run again. */
  resume(id: string): Out<M, void>;
  /** Sets a label. */
  setLabel(id: string, key: string, value: string): Out<M, void>;
  /** Removes a label, if it is there. */
  removeLabel(id: string, key: string): Out<M, void>;
  /** Replaces the metadata. */
  setMetadata(id: string, metadata: unknown): Out<M, void>;
  /** Removes a run and what it holds. Its history stays in the log. */
  delete(id: string): Out<M, void>;
  /** What is known of a run as of this version. Who ends, resumes or annotates it meanwhile makes this transaction conflict. */
  info(id: string): Out<M, RunInfo>;
}
