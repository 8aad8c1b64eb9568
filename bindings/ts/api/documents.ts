// JSON documents.

import type { BytesKeys, Deleted, Json, Key, Mode, Out, RangeOptions, ScanOptions, Version } from "./common.js";
import type { Expiry, ExpiryReader, LifeOptions } from "./expiry.js";
import type { Versioned } from "./kv.js";

/** A document with its key. */
export interface DocumentEntry<T = Json, K = string> {
  /** The key: text, or bytes with `{ keys: "bytes" }`. */
  key: K;
  /** The document. */
  document: T;
  /** Which write of it this is. */
  version: Version;
}

/**
 * JSON documents, for reading.
 *
 * Paths are JSON Pointers (RFC 6901: `/items/0`) or `$.items[0]`; `""` is the whole document. What takes a path throws `NotFound`
 * without the document, and `Invalid` for a malformed path.
 */
export interface DocumentsReader<M extends Mode> extends ExpiryReader<M> {
  /** The document of a key; `undefined` if there is none. */
  get<T = Json>(key: Key): Out<M, T | undefined>;
  /** The document of a key and its version, for `casVersion`; `undefined` if there is none. */
  getVersioned<T = Json>(key: Key): Out<M, Versioned<T> | undefined>;
  /** The documents of several keys, in their order, all of one version. */
  getMany<T = Json>(keys: Iterable<Key>): Out<M, (T | undefined)[]>;
  /** Whether a key has a document. */
  exists(key: Key): Out<M, boolean>;
  /** Which of several keys have documents, in the order of the keys, all of one version. */
  existsMany(keys: Iterable<Key>): Out<M, boolean[]>;
  /** How many documents a range of keys has; linear in that number. */
  count(range?: RangeOptions): Out<M, number>;
  /** The keys that the options choose. Throws `Invalid` (code `KeyNotText`) for one that is not text, unless bytes are asked for. */
  keys(options: ScanOptions & BytesKeys): Out<M, Uint8Array[]>;
  keys(options?: ScanOptions): Out<M, string[]>;
  /** The documents that the options choose. The last key of a page is the `after` of the next. Throws as `keys` does. */
  list<T = Json>(options: ScanOptions & BytesKeys): Out<M, DocumentEntry<T, Uint8Array>[]>;
  list<T = Json>(options?: ScanOptions): Out<M, DocumentEntry<T>[]>;
  /**
   * The documents with this value at a path. Numbers are equal if their numerical values are; where nothing is, nothing matches.
   * Reads every document of the range; a limit counts matches only. A document without the path is no error here. Throws as `keys`
   * does.
   */
  select<T = Json>(path: string, value: unknown, options: ScanOptions & BytesKeys): Out<M, DocumentEntry<T, Uint8Array>[]>;
  select<T = Json>(path: string, value: unknown, options?: ScanOptions): Out<M, DocumentEntry<T>[]>;
  /** What is at a path; `undefined` if nothing is. */
  getAt<T = Json>(key: Key, path: string): Out<M, T | undefined>;
  /** Items of an array, members of an object, characters of a string. Throws `NotFound` where nothing is, `Invalid` for what has no length. */
  lengthAt(key: Key, path: string): Out<M, number>;
  /** The type of what is at a path; `undefined` if nothing is. */
  typeAt(key: Key, path: string): Out<M, "null" | "boolean" | "number" | "string" | "array" | "object" | undefined>;
  /** The names of the members of the object at a path, ascending. Throws `NotFound` where nothing is, `Invalid` for what is no object. */
  keysAt(key: Key, path: string): Out<M, string[]>;
}

/**
 * JSON documents. What changes a document at a path changes it whole or not at all. It throws `NotFound` without the document, naming
 * the outermost place that is missing; `Invalid` for a malformed path, an index outside of its array, or a path through something
 * that has no members; `Limit` where the document becomes too large or too deep.
 */
export interface Documents<M extends Mode> extends DocumentsReader<M>, Expiry<M> {
  /** Sets a document, whatever there was. Reads nothing and so never conflicts, but with `keepTtl`. Throws `Invalid` for what JSON does not have, as `NaN`. */
  set(key: Key, document: unknown, options?: LifeOptions): Out<M, void>;
  /** Sets a document if its version is still `expected` (`undefined`: if there is none). Throws `Precondition`, naming the version that is there, if not. */
  casVersion(key: Key, expected: Version | undefined, document: unknown): Out<M, void>;
  /** Merges into a document (JSON Merge Patch, RFC 7396), which is made where there is none, and says whether it was there. */
  upsert(key: Key, changes: unknown): Out<M, boolean>;
  /**
   * Replaces a document by what `change` makes of it (of `undefined`, if there is none), and returns the new one; of a large document
   * the change is logged. `change` runs again where somebody else changed the document at the same time, so it must have no effects of
   * its own. Throws what it throws, and `Conflict` after more retries than the store was opened with; nothing is written then.
   */
  update<T = Json>(key: Key, change: (document: T | undefined) => T): Out<M, T>;
  /** Sets several documents in one commit; the later of two for one key counts. Throws as `set` does; nothing is set then. */
  setMany(documents: Iterable<readonly [Key, unknown]>): Out<M, void>;
  /** Deletes a document and says whether there was one. */
  delete(key: Key): Out<M, boolean>;
  /** Deletes several documents in one commit and says how many there were. */
  deleteMany(keys: Iterable<Key>): Out<M, number>;
  /** Deletes the documents of a range of keys, as `kv.deleteRange` deletes pairs. */
  deleteRange(range: RangeOptions): Out<M, Deleted>;
  /** Sets what is at a path and returns what was there. The last step is made if it is missing: a member, or at `-` a new last item. */
  setAt<T = Json>(key: Key, path: string, value: unknown): Out<M, T | undefined>;
  /** Deletes what is at a path and returns it; `undefined` if nothing was. Throws `Invalid` for the whole document, which `delete` deletes. */
  deleteAt<T = Json>(key: Key, path: string): Out<M, T | undefined>;
  /** Merges into what is at a path (JSON Merge Patch, RFC 7396): members are merged, null removes one, anything else replaces. */
  mergeAt(key: Key, path: string, changes: unknown): Out<M, void>;
  /**
   * Applies a JSON Patch (RFC 6902), whole or not at all. Throws `Precondition` where a `test` fails, `Invalid`, naming the operation,
   * where one is malformed or not possible.
   */
  patch(key: Key, operations: readonly PatchOperation[]): Out<M, void>;
  /** Appends to the array at a path and returns its new length. Throws `NotFound` where nothing is, `Invalid` for what is no array. */
  pushAt(key: Key, path: string, value: unknown): Out<M, number>;
  /** Removes the last item of the array at a path and returns it; `undefined` if it is empty. Throws as `pushAt` does. */
  popAt<T = Json>(key: Key, path: string): Out<M, T | undefined>;
  /**
   * Adds to the number at a path and returns the sum. Integers stay integers; if either is a float, so is the sum. Throws `NotFound`
   * where nothing is, `Invalid` for what is no number, where the sum leaves its range, or an integer would have to be rounded.
   */
  incrementAt(key: Key, path: string, by: number | bigint): Out<M, number | bigint>;
}

/** An operation of a JSON Patch (RFC 6902). */
export type PatchOperation =
  | { op: "add" | "replace" | "test"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; path: string; from: string };
