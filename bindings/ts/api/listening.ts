// Commits as they happen.

import type { Cause } from "./commits.js";
import type { Key } from "./common.js";

/** What a commit wrote to; `run` is the life of a run: its beginning, its end, its labels. */
export type Primitive = "kv" | "json" | "events" | "state" | "trace" | "run";

/** A commit that somebody listens to. */
export interface Announcement {
  /** Its seq. Whoever reads the store now reads this commit or a later one. */
  seq: number;
  /** When it was committed, in microseconds since 1970. */
  timeMicros: number;
  /** Whether it was on stable media when it was announced. */
  isDurable: boolean;
  /** Why it was made, where its author has said so. */
  cause: Cause | undefined;
  /**
   * What it has written or removed, as far as the filter asks for it; a key that it has written several times is there once. Of streams
   * and of trace entries the key is the name and the id, of the life of a run it is empty.
   */
  changes: { run: string | undefined; primitive: Primitive; key: string | Uint8Array }[];
}

/** Which changes to hear of: those for which all of it holds. Without any: all of the store. */
export interface ChangeFilter {
  /** Only those of this run: of its data and of its life. */
  run?: string;
  /** Only those of the default space, which is outside of all runs. */
  defaultSpace?: boolean;
  /** Only those of this primitive, or of one of these. */
  primitive?: Primitive | readonly Primitive[];
  /** Only those of this key, or of the stream of this name, or of one of these, or of a `prefix`. */
  key?: Key | readonly Key[];
  /** Only those of keys, or streams, that begin with this, or with one of these, or of a `key`. */
  prefix?: Key | readonly Key[];
  /** Commits are announced once they are on stable media. Without it as soon as they can be read, which is earlier where they are relaxed or buffered. */
  durable?: boolean;
  /** Also the life of the run, or of any where none is named, whatever primitives and keys are asked for. */
  orLife?: boolean;
}

/** How to listen. */
export interface ListenOptions {
  /** Ends it: whoever waits, or asks next, gets `Cancelled`, with the signal's reason as its cause. */
  signal?: AbortSignal;
}

/**
 * Commits as they are made, in their order, each once: for `for await`, which ends it when it is left. It ends by itself when the store
 * is closed. One that nobody holds any more is ended.
 */
export interface Subscription extends AsyncIterableIterator<Announcement, undefined, undefined> {
  /**
   * The next commit. Throws `Lagged` where more than 4,096 of them were waited for by nobody: the message has from which seq to look
   * again, and the next call goes on behind that. Throws `Poisoned` where the store takes no more writes, `Cancelled` by the signal,
   * `Closed` where the store was closed before; all of them end it.
   */
  next(): Promise<IteratorResult<Announcement, undefined>>;
  /** Ends it. Whoever waits is told that it is over. */
  return(): Promise<IteratorReturnResult<undefined>>;
  /** Itself. */
  [Symbol.asyncIterator](): Subscription;
}
