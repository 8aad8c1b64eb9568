// Commits: when they return, and with what.

/** What a commit is answered with. */
export interface Receipt {
  /** Seq of the commit: its place in the order of all commits of the store. */
  seq: number;
  /** Whether it is on stable media already; `waitDurable(seq)` waits for it. */
  durable: boolean;
  /** The idempotency key was seen before: `seq` is the earlier commit's, and nothing was done now. */
  deduplicated: boolean;
}

/**
 * When a commit returns: `"strict"` on stable media, `"buffered"` at once (on stable media within 100 ms, or as
 * given), `"inMemory"` at once and nothing is logged.
 */
export type Durability = "strict" | "buffered" | "inMemory" | { intervalMs?: number; bytes?: number };
