// Key-value pairs.

import type { BytesKeys, Deleted, Key, Mode, Out, RangeOptions, ScanOptions, Value, Version } from "./common.js";
import type { Expiry, ExpiryReader, LifeOptions, NewLifeOptions } from "./expiry.js";

/** A value and which write of its key it is. */
export interface Versioned<T = Value> {
  /** The value. */
  value: T;
  /** Its version, for `casVersion`. */
  version: Version;
}

/** A key with its value. */
export interface Pair<T = Value, K = string> {
  /** The key: text, or bytes with `{ keys: "bytes" }`. */
  key: K;
  /** The value. */
  value: T;
  /** Its version, for `casVersion`. */
  version: Version;
}

/** Key-value pairs, for reading. */
export interface KvReader<M extends Mode> extends ExpiryReader<M> {
  /** The value of a key; `undefined` if it has none. */
  get<T = Value>(key: Key): Out<M, T | undefined>;
  /** The value of a key, or `fallback`. Nothing is written. */
  getOr<T>(key: Key, fallback: T): Out<M, T>;
  /** The value of a key and its version, for `casVersion`; `undefined` if it has none. */
  getVersioned<T = Value>(key: Key): Out<M, Versioned<T> | undefined>;
  /** The values of several keys, in their order, all of one version. Bytes are as `scan` gives them. */
  getMany<T = Value>(keys: Iterable<Key>): Out<M, (T | undefined)[]>;
  /** Whether a key has a value. */
  exists(key: Key): Out<M, boolean>;
  /** Which of several keys have values, in the order of the keys, all of one version. */
  existsMany(keys: Iterable<Key>): Out<M, boolean[]>;
  /** How many keys of a range have values; linear in that number. */
  count(range?: RangeOptions): Out<M, number>;
  /** The keys that the options choose, in their order. Throws `Invalid` (code `KeyNotText`) for one that is not text, unless bytes are asked for. */
  keys(options: ScanOptions & BytesKeys): Out<M, Uint8Array[]>;
  keys(options?: ScanOptions): Out<M, string[]>;
  /**
   * The pairs that the options choose. The last key of a page is the `after` of the next. Throws as `keys` does.
   *
   * Byte strings of up to 2 KiB in the result of one call may be views of buffers of up to 16 KiB that they share, because
   * a buffer for each would take longer than all the rest. They do not overlap, and nothing else ever uses those buffers.
   * Before the `buffer` of one is transferred, make a copy of it by `slice()`. What `get` returns has a buffer of its own.
   */
  scan<T = Value>(options: ScanOptions & BytesKeys): Out<M, Pair<T, Uint8Array>[]>;
  scan<T = Value>(options?: ScanOptions): Out<M, Pair<T>[]>;
}

/** Key-value pairs. Each call outside of a transaction is a commit of its own, and what it promises is on stable media then. */
export interface Kv<M extends Mode> extends KvReader<M>, Expiry<M> {
  /** Sets a key, whatever it had. Reads nothing and so never conflicts, but with `keepTtl`. */
  put(key: Key, value: unknown, options?: LifeOptions): Out<M, void>;
  /** Sets several keys in one commit; the later of two for one key counts. Nothing is set where one of them is refused. */
  putMany(pairs: Iterable<readonly [Key, unknown]>): Out<M, void>;
  /** Sets a key that has no value. Throws `Precondition`, naming what is there, if it has one. With `ttlMs` a lock that nobody has to give back. */
  putIfAbsent(key: Key, value: unknown, options?: NewLifeOptions): Out<M, void>;
  /** Deletes a key and says whether it had a value. */
  delete(key: Key): Out<M, boolean>;
  /** Deletes a key without looking: it reads nothing and so never conflicts. */
  remove(key: Key): Out<M, void>;
  /** Deletes several keys in one commit and says how many had values. */
  deleteMany(keys: Iterable<Key>): Out<M, number>;
  /**
   * Deletes what a range of keys has, up to 10,000 keys in one commit, and says how many and whether that was all. `{}` is every key; a
   * bound that is `undefined` is refused with `Invalid`, as no range at all is.
   */
  deleteRange(range: RangeOptions): Out<M, Deleted>;
  /**
   * Replaces a value by what `change` makes of it (of `undefined`, if there is none), and returns the new value. `change` runs again
   * where somebody else changed the key at the same time, so it must have no effects of its own. Throws what it throws, and
   * `Conflict` after more retries than the store was opened with; nothing is written then.
   */
  update<T = Value>(key: Key, change: (value: T | undefined) => T): Out<M, T>;
  /** Sets a key if its version is still `expected` (`undefined`: if it has no value). Throws `Precondition`, naming the version that is there, if not. */
  casVersion(key: Key, expected: Version | undefined, value: unknown): Out<M, void>;
  /** Sets a key if its value is `expected` (`undefined`: if it has none); `1n` is not `1`. Throws `Precondition`, naming the value that is there, if not. */
  casValue(key: Key, expected: unknown, value: unknown): Out<M, void>;
  /** Sets a key and returns the value that it had. */
  getAndPut<T = Value>(key: Key, value: unknown): Out<M, T | undefined>;
  /** Deletes a key and returns the value that it had. */
  getAndDelete<T = Value>(key: Key): Out<M, T | undefined>;
  /** Moves a value from one key to another. Throws `NotFound` without one at `from`, `Precondition` with one at `to`. */
  rename(from: Key, to: Key): Out<M, void>;
  /**
   * Adds to a signed counter of 64 bits, which `get` reads as `bigint`; a key without a value counts from zero. It reads nothing, so
   * any number of writers add to one counter without a conflict. Throws `Invalid` where the sum would leave the range, and for a
   * value of another type; in a transaction both may show only at the commit.
   */
  addI64(key: Key, delta: bigint | number): Out<M, void>;
  /** As `addI64`, for an unsigned counter of 64 bits. */
  addU64(key: Key, delta: bigint | number): Out<M, void>;
  /** As `addI64`, for a sum of floats, which `get` reads as `number`. It is added in the order of the commits, so every replay has the same bits. */
  addF64(key: Key, delta: number): Out<M, void>;
  /** As `addI64`, for an unsigned counter of 256 bits, which `get` reads as `U256`. */
  addU256(key: Key, delta: bigint): Out<M, void>;
}
