// State cells.

import type { BytesKeys, Deleted, Key, Mode, Out, RangeOptions, ScanOptions, Value, Version } from "./common.js";
import type { Expiry, ExpiryReader, LifeOptions, NewLifeOptions } from "./expiry.js";
import type { Versioned } from "./kv.js";

/** A state cell: how often it changed, and its value. */
export interface Cell<T = Value> {
  /** 1 for a cell that was just made, and one more for each change. */
  counter: number;
  /** The value. */
  value: T;
}

/** A cell with its key. */
export interface CellEntry<T = Value, K = string> extends Cell<T> {
  /** The key: text, or bytes with `{ keys: "bytes" }`. */
  key: K;
  /** Which commit changed it last. */
  version: Version;
}

/** State cells, for reading. */
export interface CellsReader<M extends Mode> extends ExpiryReader<M> {
  /** The cell of a key; `undefined` if there is none. */
  get<T = Value>(key: Key): Out<M, Cell<T> | undefined>;
  /** The cell of a key, and which commit changed it last; `undefined` if there is none. */
  getVersioned<T = Value>(key: Key): Out<M, Versioned<Cell<T>> | undefined>;
  /** Whether a key has a cell. */
  exists(key: Key): Out<M, boolean>;
  /** Which of several keys have cells, in the order of the keys, all of one version. */
  existsMany(keys: Iterable<Key>): Out<M, boolean[]>;
  /** How many cells a range of keys has; linear in that number. */
  count(range?: RangeOptions): Out<M, number>;
  /** The keys that the options choose. Throws `Invalid` (code `KeyNotText`) for one that is not text, unless bytes are asked for. */
  keys(options: ScanOptions & BytesKeys): Out<M, Uint8Array[]>;
  keys(options?: ScanOptions): Out<M, string[]>;
  /** The cells that the options choose. The last key of a page is the `after` of the next. Throws as `keys` does. */
  list<T = Value>(options: ScanOptions & BytesKeys): Out<M, CellEntry<T, Uint8Array>[]>;
  list<T = Value>(options?: ScanOptions): Out<M, CellEntry<T>[]>;
}

/** State cells: for a state machine, a lease or a cursor. */
export interface Cells<M extends Mode> extends CellsReader<M>, Expiry<M> {
  /** Makes a cell, with counter 1. Throws `Precondition`, naming what is there, if there is one. */
  init(key: Key, value: unknown, options?: NewLifeOptions): Out<M, void>;
  /** Sets a cell, makes it where there is none, and returns its new counter. */
  set(key: Key, value: unknown, options?: LifeOptions): Out<M, number>;
  /** Deletes a cell and says whether there was one. One that is made under the same key later counts from 1 again. */
  delete(key: Key): Out<M, boolean>;
  /** Deletes the cells of a range of keys, as `kv.deleteRange` deletes pairs. */
  deleteRange(range: RangeOptions): Out<M, Deleted>;
  /** Sets a cell if its counter is `expected`, and returns the new counter. Throws `Precondition`, naming the counter that is there, if not. */
  cas(key: Key, expected: number, value: unknown): Out<M, number>;
  /**
   * Replaces a cell's value by what `change` makes of it (of `undefined`, if there is no cell), and returns the new cell, with the counter 1
   * where it was made. What `change` throws is thrown here, and nothing is written. Otherwise as `transition`.
   */
  update<T = Value>(key: Key, change: (value: T | undefined) => T): Out<M, Cell<T>>;
  /**
   * Replaces a cell's value by what `change` makes of it, and returns the new cell. `change` runs again where somebody else changed the
   * cell at the same time, so it must have no effects of its own; what it throws is thrown here and leaves the cell as it is: the
   * way to refuse a transition. Throws `NotFound` where there is no cell, `Conflict` after too many retries.
   */
  transition<T = Value>(key: Key, change: (value: T) => T): Out<M, Cell<T>>;
  /** As `transition`, from `init` where there is no cell: it is made and changed in one commit, and so has the counter 2. */
  transitionOrInit<T = Value>(key: Key, init: T, change: (value: T) => T): Out<M, Cell<T>>;
}
