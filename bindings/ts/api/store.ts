// Stores: how one is opened, and what an open one does.

import type { CommitInfo, Durability, Receipt } from "./commits.js";
import type { ErrorKind, Given, Mode, Out, Key } from "./common.js";
import type { Swept } from "./expiry.js";
import type { Diff, Replay, View } from "./history.js";
import type { Announcement, ChangeFilter, ListenOptions, Subscription } from "./listening.js";
import type { Queue } from "./queue.js";
import type { RecoveryReport, Stats, VerifyReport } from "./reports.js";
import type { Runs } from "./runs.js";
import type { Space } from "./spaces.js";
import type { IdempotencyWindow, OpenTransaction, Seen, Transaction, TransactionOptions } from "./transactions.js";
import type { WorkOptions } from "./work.js";

/** How to open a store. Recovery is long work where there is much log to read. */
export interface OpenOptions extends WorkOptions {
  /** When commits return. Default `"strict"`. */
  durability?: Durability;
  /** Whether a store that is not there is created (default) or `NotAStore`. */
  create?: boolean;
  /** What recovery accepts: a torn tail (default), nothing (`"strict"`), or anything (`"salvage"`, read-only). */
  recovery?: "default" | "strict" | "salvage";
  /**
   * Whether the snapshot is read from end to end before it is used. Default no: a damaged page shows as `Corrupt` naming a `snap-`
   * file when it is first read. Open with this then: the older snapshot and the log stand in, and nothing is lost.
   */
  checkSnapshots?: boolean;
  /** Size at which the log goes on in a new segment. Default 64 MiB. */
  segmentBytes?: number;
  /** A snapshot for every so many bytes of log; `null` for never. Default 256 MiB. */
  snapshotLogBytes?: number | null;
  /** Whether closing writes a snapshot where more than 4 MiB of log have come since the last one. Default yes. */
  snapshotOnClose?: boolean;
  /** Whether nobody sees what is over before it is swept. Default yes. */
  hideExpired?: boolean;
  /** How often a transaction's closure runs again after a conflict. Default 64. */
  retries?: number;
  /**
   * Browser: whether `open` asks for persistent storage where it is not granted. By default once for an origin, at its first
   * opening, because some browsers ask their user; `true` asks in each page, and after each click on something like "keep my
   * data", of a store that is open already too; `false` never. `stats()` says what came of it. `openInWorker` refuses
   * `true`: only pages may ask.
   */
  persist?: boolean;
  /** Browser: how many milliseconds to wait for another owner of the store to let go, as after a reload. Default 2000. */
  lockTimeoutMs?: number;
}

/** How to open a store in a directory. */
export interface DirectoryOptions extends OpenOptions {
  /**
   * Whether the store is only read: without its lock, so also while another process has it open, and where nothing may be written.
   * Nothing is made, changed or synced. It shows what was committed until now; `refresh` moves on. What would write throws `ReadOnly`.
   */
  readOnly?: boolean;
}

/** An open store, and its default space. */
export interface Db<M extends Mode> extends Space<M> {
  /** The store's id, the same for its whole life. */
  readonly id: string;
  /** The name that it was opened by. */
  readonly name: string;
  /** Whether this opening created the store, or found one. */
  readonly created: boolean;
  /** What opening it found and did. */
  readonly recovery: RecoveryReport;
  /** Its runs. */
  readonly runs: Runs<M>;
  /**
   * Runs `work` in a transaction and commits it. After a conflict it runs again, on the newer version, so it should have
   * no effects of its own. What it throws is thrown here, and nothing is committed then. Throws `Conflict` after more retries than
   * `retries` says.
   */
  transaction<T>(work: (tx: Transaction<M>) => Given<M, T>, options?: TransactionOptions): Out<M, T>;
  /** The same, with the receipt. */
  transactionWith<T>(options: TransactionOptions, work: (tx: Transaction<M>) => Given<M, T>): Out<M, { value: T; receipt: Receipt }>;
  /**
   * Does something once under a key, over crashes and reloads, and gives its result back whenever it is asked for again: the key is
   * looked up first, and `work` does not run where a commit has carried it. The result is stored in that commit: a value of at most 4
   * KiB; `undefined` comes as `null`. Throws as `transaction` does, and `Precondition` (code `KeyReused`) where the key was used
   * without a result or with another fingerprint.
   */
  once<T>(key: Key, work: (tx: Transaction<M>) => Given<M, T>, options?: Omit<TransactionOptions, "idempotencyKey">): Out<M, T>;
  /** The same, with the receipt, whose `deduplicated` says whether it was done before. */
  onceWith<T>(options: TransactionOptions, work: (tx: Transaction<M>) => Given<M, T>): Out<M, { value: T; receipt: Receipt }>;
  /** Whether a commit has carried an idempotency key, and which. */
  seen(key: Key): Out<M, Seen>;
  /**
   * When a commit was made, on what version it was decided, and why, as its author said: of the seq in a receipt, or of any `version`;
   * `undefined` for a seq that no commit has. It reads the log, half a segment on average. Throws `Unsupported` for a store whose durability
   * is `"inMemory"`, which keeps no log.
   */
  commitInfo(seq: number): Out<M, CommitInfo | undefined>;
  /** How far back idempotency keys are remembered. */
  idempotencyWindow(): Out<M, IdempotencyWindow>;
  /**
   * Says how many idempotency keys are remembered (65,536 if never said, at most 1,048,576), and for how long. It is written into the
   * log and holds for every opening from then on. Throws `Invalid` for none, `Limit` for too many.
   */
  setIdempotencyWindow(keys: number, ageMs?: number): Out<M, void>;
  /** Begins a transaction that is committed by hand. */
  beginTransaction(options?: TransactionOptions): Out<M, OpenTransaction<M>>;
  /** The newest version, to read from as often as needed. */
  view(): Out<M, View<M>>;
  /**
   * Folds the history of a run again, from the log and nothing else; up to and including seq `until` if given. A few microseconds for
   * each of its transactions. Throws `NotFound` without the run, `Unsupported` where there is no log.
   */
  replay(run: string, until?: number): Out<M, Replay<M>>;
  /** The same for the default space. */
  replayDefault(): Out<M, Replay<M>>;
  /** What differs from run `older` to run `newer`, as both are now. Throws `NotFound`. */
  diff(older: string, newer: string): Out<M, Diff>;
  /** Digest of the default space or of a run, now: see `View.digest`. Throws `NotFound`. */
  digest(run?: string): Out<M, string>;
  /**
   * Commits as they are made from now on, as far as the filter asks for it: `for await (const { seq, changes } of db.subscribe())`. Throws
   * `ReadOnly` for a store that was opened for reading only; on the main thread that, and what is wrong with the filter, is thrown by `next`.
   */
  subscribe(filter?: ChangeFilter, options?: ListenOptions): Subscription;
  /**
   * Calls `callback` for each commit that is made from now on, as far as the filter asks for it, until what is returned is called, or the
   * store is closed. It runs when the event loop does; what it throws is reported as uncaught. `onError` hears what `Subscription.next`
   * throws. Throws as `subscribe` does.
   */
  onCommit(filter: ChangeFilter, callback: (commit: Announcement) => void, onError?: (error: Error & { readonly kind: ErrorKind; readonly code: string }) => void): () => void;
  /** A queue of jobs of this name; it needs no making. */
  queue(name: string): Queue<M>;
  /**
   * Moves a store that was opened with `readOnly` forward, to every commit that is whole in the log now, and returns the seq of the last
   * one. Views that were taken before stay where they are. The seq falls only where a power failure, or a sync of the writer that failed,
   * has taken commits back. A store that is open to write shows its newest version always. Throws `Corrupt`, and `Poisoned` where another
   * store is in the place of this one.
   */
  refresh(): Out<M, number>;
  /** A barrier: everything committed before is on stable media. Returns the seq that it reached. Throws `OutcomeUnknown`, `Poisoned`. */
  sync(): Out<M, number>;
  /** Waits until a commit is on stable media. Throws `Invalid` for a seq that nobody has committed yet, `OutcomeUnknown` where a write or sync failed before that. */
  waitDurable(seq: number): Out<M, void>;
  /** Highest seq that is on stable media. */
  durableSeq(): Out<M, number>;
  /**
   * Removes pairs, documents and cells that are over, at most `limit` of them: of the default space and of all runs that have not ended. It
   * is for the room that they take; hidden they are already. It commits in slices, each of which is a few bytes of log.
   */
  sweepExpired(limit: number): Out<M, Swept>;
  /** Writes a snapshot now, so that the next opening reads less of the log. Throws `StorageFull`. */
  snapshot(): Out<M, { generation: number; seq: number; bytes: number }>;
  /**
   * Checks every checksum, pointer and chain, and that replay gives the live state. Reads everything; on the main thread, what else is
   * asked is answered meanwhile. What is wrong is in the report, not thrown. Throws `Cancelled`.
   */
  verify(options?: WorkOptions): Out<M, VerifyReport>;
  /** Figures about the store. */
  stats(): Promise<Stats>;
  /**
   * Browser, in your own worker: waits until files are ready for the log to grow into. Only a burst of hundreds of
   * megabytes without an `await` needs it, after `NotReady`. Throws `StorageFull`.
   */
  ready(): Promise<void>;
  /**
   * The store as one file, as of now: a plain tar of its files with SHA-256 sums, the same for the same store. `importStore`
   * makes a store of it, and so does `foldb import-store`. Everything is synced first, and
   * commits go on meanwhile. Throws `Cancelled`.
   */
  export(options?: WorkOptions): Promise<Blob>;
  /**
   * Syncs, writes a snapshot where it pays, and lets go of the store. It is closed even where that fails, as after a crash. Throws with
   * the code `TimedOut` where the browser does not answer: of kind `Io` where everything is on stable media and a file that was being
   * made did not come, of kind `Crashed` where a worker stood still and was ended.
   */
  close(): Promise<void>;
}

/** What `openInWorker`, `memory` and `openDirectory` give. */
export type SyncDb = Db<"sync">;
/** What `open` gives. */
export type AsyncDb = Db<"async">;
