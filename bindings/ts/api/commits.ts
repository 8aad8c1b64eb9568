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
 * When a commit returns: `"strict"` on stable media, `"buffered"` at once, `"inMemory"` at once and nothing is logged.
 *
 * What is buffered is on its way to stable media 100 ms later, or `intervalMs` as given: a timer sees to it, and every commit looks
 * at the interval too, so that it holds in a loop that leaves no timer a turn. `bytes` is how much is handed to the system at
 * once (1 MiB), which a crash of the process alone does not lose. At the end of a page, or of a process of Node, Deno or Bun,
 * what is buffered is synced; `kill -9`, `process.abort()`, a worker that is terminated and a power failure lose what came after
 * the last sync.
 */
export type Durability = "strict" | "buffered" | "inMemory" | { intervalMs?: number; bytes?: number };
