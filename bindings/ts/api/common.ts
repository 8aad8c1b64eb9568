// What all of the API speaks of: results, keys, values, kinds of errors, ranges.
//
// Invariant: the synchronous and the asynchronous API are one description. `Mode` says which: everything that reaches
// the store returns `Out<M, T>`, which is `T` in a worker and `Promise<T>` on the main thread. So they cannot drift apart.

/** Whether results come at once (`openInWorker`, `memory`, `openDirectory`) or as promises (`open`). */
export type Mode = "sync" | "async";

/** A result: `T` itself, or a promise of it. */
export type Out<M extends Mode, T> = { sync: T; async: Promise<T> }[M];

/** What a closure may return: in the synchronous API nothing that is still to come. */
export type Given<M extends Mode, T> = { sync: T; async: T | PromiseLike<T> }[M];

/** A key: text (stored as UTF-8) or bytes, up to 1,024 of them, in byte order. */
export type Key = string | Uint8Array;

/**
 * A value, as it is stored and read. Nothing is coerced: what comes out has the type that went in.
 *
 * | JavaScript | stored as | Rust reads it as |
 * |---|---|---|
 * | `number` | float, also `1`, `-0`, `NaN` | `f64` |
 * | `bigint` from -2^64 to 2^64 - 1 | integer | `i64`, `u64`, ... |
 * | `U256` | bignum, tag 2 | 256-bit unsigned |
 * | `string` | text | `String` |
 * | `boolean`, `null` | the same | `bool`, `None` |
 * | `Uint8Array` | bytes | bytes |
 * | `Date` | tag 1, seconds since 1970 | a tagged number |
 * | `Array`, plain object | list, map | `Vec`, a struct or a map |
 * | `Map`, `Set` | map (tag 259 where it could pass for an object), tag 258 | a map, a tagged list |
 * | `Tagged` | any other tag | a tag |
 *
 * Refused with kind `Invalid`, and with the place and the number or name: `undefined` (also inside), functions, symbols, class
 * instances, holes in arrays, invalid dates, text with half a surrogate pair, a `bigint` outside of its range. What extends
 * one of these types is stored as that type, as a `Buffer` is as bytes. Of an object its own enumerable members are stored, of
 * an array its items; what hangs on them besides (members under symbols, names on arrays, getters that are not enumerable) is
 * no part of a value. A time of another program between two milliseconds, or a set with an item twice, comes as `Tagged`.
 *
 * In documents (`json`) a `number` that is an integer up to 2^53 - 1 is stored as one, and every other as a float, `-0` too; `NaN`
 * and the infinities are refused. A `bigint` is an integer from -2^63 to 2^64 - 1. JSON text has larger ones: parse it with a
 * reviver that looks at `context.source`, for `JSON.parse` rounds them without a word.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Date
  | Tagged
  | U256
  | Value[]
  | Set<Value>
  | Map<Value, Value>
  | { [key: string]: Value };

/** A JSON document or a part of one. Integers outside of `Number`'s safe range come as `bigint`. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };

/** A value with a CBOR tag (RFC 8949, section 3.4) that JavaScript has no type for. */
export interface Tagged {
  /** The tag. */
  readonly tag: bigint;
  /** What it is a tag of. */
  readonly value: Value;
}

/** A 256-bit unsigned integer: the value of a counter of `addU256`. */
export interface U256 {
  /** The integer. */
  readonly value: bigint;
}

/**
 * What to do about an error. `Closed` and `Crashed` are of this package, the others as in Rust.
 *
 * Every call can throw (or reject with) a `FoldbError`. What stands with a call is what it adds to these:
 *
 * - any call: `Closed` and `Crashed`, and `Invalid` for an argument of the wrong type, one that the call does not take (code
 *   `Argument`; `undefined` says nothing), and an option that it does not have (code `Option`; the message has those that it has);
 * - any that reads: `Io`, and `Corrupt` where stored bytes are damaged;
 * - any that writes: `Invalid` for a value that cannot be stored, `Limit` for a key of more than 1,024 bytes, a value of more than 16
 *   MiB or nested more than 128 deep, and a transaction of more than 1 GiB, `RunEnded` in a run that has ended, `StorageFull`, `Poisoned` after an earlier
 *   failure, `OutcomeUnknown` where its own write or sync failed, `NotReady` in a worker of your own, `ReadOnly` in a store
 *   that was opened with `readOnly`, and `Unsupported` in one that was opened for salvage, a view or a replay.
 */
export type ErrorKind =
  /** Something that the transaction read has changed since. Run it again; the closure form does so itself. */
  | "Conflict"
  /** A condition that the caller set does not hold. Read again and decide. */
  | "Precondition"
  /** It was done before, under this idempotency key. Nothing was done now, and nothing need be. */
  | "AlreadyDone"
  /** The request is malformed or of the wrong type. Change the call. */
  | "Invalid"
  /** A size or count is over a limit. Split the data. */
  | "Limit"
  /** The named run, document or file does not exist. */
  | "NotFound"
  /** The run has ended and takes no more writes. */
  | "RunEnded"
  /** Another tab, worker, process or handle has the store. */
  | "Locked"
  /**
   * No room on the disk, or the quota of the origin is used up. Nothing was changed, and reads go on. Deleting entries makes no room:
   * the log keeps them. Room comes from elsewhere: from what else the origin or the disk holds, or a store that is destroyed.
   */
  | "StorageFull"
  /** Browser: one turn of work has used up the files that were ready. Nothing was changed: `await db.ready()`, go on. */
  | "NotReady"
  /** The device or the system failed while reading. */
  | "Io"
  /** An earlier write failed: this handle takes no more writes. Reopen the store. */
  | "Poisoned"
  /** The commit may or may not survive. Reopen the store to find out. */
  | "OutcomeUnknown"
  /** Stored bytes do not match the format. */
  | "Corrupt"
  /** The files are of a newer version, or this mode or platform cannot do it. */
  | "Unsupported"
  /** The path or name does not hold a store. */
  | "NotAStore"
  /** The caller cancelled long work. */
  | "Cancelled"
  /** The store was opened for reading only. */
  | "ReadOnly"
  /** A subscriber was too slow for what it was to be told. Read again what it wants to know; it goes on from there. */
  | "Lagged"
  /** The handle was closed. */
  | "Closed"
  /** The worker, or the module in it, is gone. What was in flight may or may not be there: reopen. */
  | "Crashed";

/** Which commit something came with: its seq; 0 for a write of the reading transaction itself. */
export type Version = number;

/** Which keys to choose from: those for which all of it holds. Without any: all of them. */
export interface RangeOptions {
  /** Keys that begin with this. */
  prefix?: Key;
  /** Keys behind this one. */
  gt?: Key;
  /** This key and those behind it. */
  gte?: Key;
  /** Keys before this one. */
  lt?: Key;
  /** This key and those before it. */
  lte?: Key;
  /** Keys from this one on, as `gte`. */
  from?: Key;
  /** Keys before this one, as `lt`. */
  to?: Key;
}

/** What one call of `deleteRange` has deleted. */
export interface Deleted {
  /** How many keys: 10,000 at most. */
  keys: number;
  /** Whether nothing was left in the range at this commit. Else call again. */
  isComplete: boolean;
}

/** Which keys to visit, in which order, and how many. */
export interface ScanOptions extends RangeOptions {
  /** The most to return. */
  limit?: number;
  /** From the last key to the first. */
  reverse?: boolean;
  /** The cursor: begin behind this key, the last of the page before, in the chosen direction. */
  after?: Key;
  /**
   * How keys come back: as `"text"` (default; a key that is not UTF-8 is an error of kind `Invalid`), or as `"bytes"`.
   */
  keys?: "text" | "bytes";
}

/** Options that ask for keys as bytes. */
export type BytesKeys = { keys: "bytes" };
