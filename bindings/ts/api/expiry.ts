// Times to live of pairs, documents and cells.

import type { Key, Mode, Out } from "./common.js";

/** How long what is written lives: one of these, and without any of them for ever. */
export interface LifeOptions {
  /** So many milliseconds from now on; at least 1. */
  ttlMs?: number;
  /** Until a time, in microseconds since 1970: `Date.now() * 1000` is now. One that is past is over at once. */
  expiresAtMicros?: number;
  /** As long as what is there: the time is left as it is. */
  keepTtl?: boolean;
}

/** How long something new lives: without it for ever. */
export type NewLifeOptions = Pick<LifeOptions, "ttlMs">;

/** When entries are over, for reading. */
export interface ExpiryReader<M extends Mode> {
  /** When a key is over, in microseconds since 1970; `undefined` for one that lives for ever, and where there is none. */
  expiresAt(key: Key): Out<M, number | undefined>;
  /** How many milliseconds a key has to live yet; `undefined` for one that lives for ever, and where there is none. */
  ttl(key: Key): Out<M, number | undefined>;
}

/** When entries are over. What replaces a value makes one that lives for ever; what changes a value leaves the time as it is. */
export interface Expiry<M extends Mode> extends ExpiryReader<M> {
  /** Gives a key so many milliseconds to live from now on, whatever it had, and says whether there is one. The value is not written again. Throws `Invalid` for 0. */
  touch(key: Key, ttlMs: number): Out<M, boolean>;
  /** As `touch`, with the time at which the key is over, in microseconds since 1970. Throws `Limit` beyond 2^62. */
  expireAt(key: Key, micros: number): Out<M, boolean>;
  /** Lets a key live for ever, and says whether it was to be over at some time. */
  persist(key: Key): Out<M, boolean>;
}

/** What a sweep has removed. */
export interface Swept {
  /** How many pairs, documents and cells. */
  entries: number;
  /** Whether nothing was left that had been over when the sweep began. */
  isComplete: boolean;
}
