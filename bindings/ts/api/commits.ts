// Commits: when they return, and with what.

/** What a commit is answered with. */
export interface Receipt {
  /** Seq of the commit: its place in the order of all commits of the store. */
  seq: number;
  /** Whether it is on stable media already; `waitDurable(seq)` waits for it. */
  durable: boolean;
  /** The idempotency key was seen before: `seq` is the earlier commit's, and nothing was done now. */
  deduplicated: boolean;
  /**
   * Where the events are that it has appended: for each stream of each run, or of the default space (`undefined`), the seq of the first of
   * them and how many they are, one behind the other. Those of the default space come first.
   */
  appended: { run: string | undefined; stream: string | Uint8Array; firstSeq: number; count: number }[];
}

/** Why a commit was made: the id of the trace entry that it follows from, or a text, such as who has asked for it. */
export type Cause = { trace: string } | { text: string };

/** What the log says of one commit. */
export interface CommitInfo {
  /** Its seq: the `version` of what it wrote. */
  seq: number;
  /** When it was made, in microseconds since 1970. Nothing is ordered by it. */
  timeMicros: number;
  /** Seq of the version that it was decided on: what the transaction read. `undefined` where it read nothing. */
  base: number | undefined;
  /** What its author said. */
  cause: Cause | undefined;
  /** The idempotency key that it was made under. */
  idempotencyKey: string | Uint8Array | undefined;
}

/**
 * When a commit returns: `"strict"` on stable media, `"relaxed"` with the operating system, `"buffered"` at once, `"inMemory"` at once
 * and nothing is logged. The words `strict` and `relaxed` are those of IndexedDB.
 *
 * A `relaxed` commit that has returned outlives whatever ends the process: a tab that is killed or crashes, `kill -9`,
 * `process.abort()`, a worker that is terminated. Only a power failure takes what came after the last sync. What is `buffered`
 * lies in this process until `bytes` of it have come together (1 MiB), and such an end takes it. Both are on their way to stable media
 * 100 ms later, or `intervalMs` as given: a timer sees to it, and every commit looks at the interval too, so that it holds in
 * a loop that leaves no timer a turn. At the end of a page, or of a process of Node, Deno or Bun, both are synced. An object without a
 * `mode` is `buffered`.
 */
export type Durability =
  | "strict"
  | "relaxed"
  | "buffered"
  | "inMemory"
  | { mode: "relaxed"; intervalMs?: number }
  | { mode?: "buffered"; intervalMs?: number; bytes?: number };
