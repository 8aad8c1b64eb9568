// The public types of foldb, written once for both forms of the API.
//
// Invariant: the synchronous and the asynchronous API are one description. `Mode` says which: everything that reaches
// the store returns `Out<M, T>`, which is `T` in a worker and `Promise<T>` on the main thread. So they cannot drift apart.
//
// Every call can throw (or reject with) a `FoldbError`; its `kind` says what to do. What a call adds to `Io`, `Corrupt`
// and, for writes, `StorageFull`, `Poisoned` and `OutcomeUnknown` stands with it.

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
 * Refused with kind `Invalid`: `undefined` (also inside), functions, symbols, class instances, holes in arrays, invalid
 * dates, text with half a surrogate pair. In documents (`json`) a `number` that is an integer is stored as one.
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
  readonly tag: bigint;
  readonly value: Value;
}

/** A 256-bit unsigned integer: the value of a counter of `addU256`. */
export interface U256 {
  readonly value: bigint;
}

/** What to do about an error. `Closed` and `Crashed` are of this package, the others as in Rust. */
export type ErrorKind =
  /** Something that the transaction read has changed since. Run it again; the closure form does so itself. */
  | "Conflict"
  /** A condition that the caller set does not hold. Read again and decide. */
  | "Precondition"
  /** The request is malformed or of the wrong type. Change the call. */
  | "Invalid"
  /** A size or count is over a limit. Split the data. */
  | "Limit"
  /** The named run, document or file does not exist. */
  | "NotFound"
  /** The run has ended and takes no more writes. */
  | "RunEnded"
  /** Another tab, worker or process has the store. */
  | "Locked"
  /** No room, or the quota is used up. Nothing was changed; free some and go on. */
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
  /** The handle was closed. */
  | "Closed"
  /** The worker, or the module in it, is gone. What was in flight may or may not be there: reopen. */
  | "Crashed";

/** Which write of a key is there: the seq of its commit; 0 for a write of the reading transaction itself. */
export type Version = number;

/** Which keys to choose from. Without any: all of them. */
export interface RangeOptions {
  /** Keys that begin with this. */
  prefix?: Key;
  /** Keys from this one on. */
  from?: Key;
  /** Keys before this one. */
  to?: Key;
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

export interface Versioned<T = Value> {
  value: T;
  version: Version;
}

export interface Pair<T = Value, K = string> {
  key: K;
  value: T;
  version: Version;
}

/** Key-value pairs, for reading. */
export interface KvReader<M extends Mode> {
  /** The value of a key; `undefined` if it has none. */
  get<T = Value>(key: Key): Out<M, T | undefined>;
  /** The value of a key, or `fallback`. Nothing is written. */
  getOr<T>(key: Key, fallback: T): Out<M, T>;
  /** The value and its version, for `casVersion`. */
  getVersioned<T = Value>(key: Key): Out<M, Versioned<T> | undefined>;
  /** The values of several keys, in their order, all of one version. Bytes are as `scan` gives them. */
  getMany<T = Value>(keys: Iterable<Key>): Out<M, (T | undefined)[]>;
  exists(key: Key): Out<M, boolean>;
  /** How many keys of a range have values; linear in that number. */
  count(range?: RangeOptions): Out<M, number>;
  keys(options: ScanOptions & BytesKeys): Out<M, Uint8Array[]>;
  keys(options?: ScanOptions): Out<M, string[]>;
  /**
   * The pairs that the options choose. The last key of a page is the `after` of the next.
   *
   * Byte strings of up to 2 KiB in the result of one call may be views of buffers of up to 16 KiB that they share, because
   * a buffer for each would take longer than all the rest. They do not overlap, and nothing else ever uses those buffers.
   * Before the `buffer` of one is transferred, make a copy of it by `slice()`. What `get` returns has a buffer of its own.
   */
  scan<T = Value>(options: ScanOptions & BytesKeys): Out<M, Pair<T, Uint8Array>[]>;
  scan<T = Value>(options?: ScanOptions): Out<M, Pair<T>[]>;
}

/** Key-value pairs. Each call outside of a transaction is a commit of its own. */
export interface Kv<M extends Mode> extends KvReader<M> {
  /** Sets a key, whatever it had. Reads nothing and so never conflicts. Throws `Limit`, `Invalid`. */
  put(key: Key, value: unknown): Out<M, void>;
  /** Sets several keys in one commit; the later of two for one key counts. */
  putMany(pairs: Iterable<readonly [Key, unknown]>): Out<M, void>;
  /** Sets a key that has no value; else throws `Precondition`. */
  putIfAbsent(key: Key, value: unknown): Out<M, void>;
  /** Deletes a key and says whether it had a value. */
  delete(key: Key): Out<M, boolean>;
  /** Deletes a key without looking: it reads nothing and so never conflicts. */
  remove(key: Key): Out<M, void>;
  /** Deletes several keys in one commit and says how many had values. */
  deleteMany(keys: Iterable<Key>): Out<M, number>;
  /** Replaces a value by what `change` makes of it. `change` may run again and must have no effects of its own. */
  update<T = Value>(key: Key, change: (value: T | undefined) => T): Out<M, T>;
  /** Sets a key if its version is `expected` (`undefined`: if it has no value); else throws `Precondition`. */
  casVersion(key: Key, expected: Version | undefined, value: unknown): Out<M, void>;
  /** Sets a key if its value is `expected` (`undefined`: none); else throws `Precondition`. */
  casValue(key: Key, expected: unknown, value: unknown): Out<M, void>;
  /** Sets a key and returns what it had. */
  getAndPut<T = Value>(key: Key, value: unknown): Out<M, T | undefined>;
  /** Deletes a key and returns what it had. */
  getAndDelete<T = Value>(key: Key): Out<M, T | undefined>;
  /** Moves a value. Throws `NotFound` without one at `from`, `Precondition` with one at `to`. */
  rename(from: Key, to: Key): Out<M, void>;
  /** Adds to a signed counter, which `get` reads as `bigint`. Never conflicts. Throws `Invalid` on overflow. */
  addI64(key: Key, delta: bigint | number): Out<M, void>;
  /** Adds to an unsigned counter. */
  addU64(key: Key, delta: bigint | number): Out<M, void>;
  /** Adds to a sum of floats, which `get` reads as `number`. */
  addF64(key: Key, delta: number): Out<M, void>;
  /** Adds to a 256-bit counter, which `get` reads as `U256`. */
  addU256(key: Key, delta: bigint): Out<M, void>;
}

export interface DocumentEntry<T = Json, K = string> {
  key: K;
  document: T;
  version: Version;
}

/** JSON documents, for reading. Paths are JSON Pointers (`/items/0`) or `$.items[0]`; `""` is the whole document. */
export interface DocumentsReader<M extends Mode> {
  get<T = Json>(key: Key): Out<M, T | undefined>;
  getMany<T = Json>(keys: Iterable<Key>): Out<M, (T | undefined)[]>;
  exists(key: Key): Out<M, boolean>;
  count(range?: RangeOptions): Out<M, number>;
  keys(options: ScanOptions & BytesKeys): Out<M, Uint8Array[]>;
  keys(options?: ScanOptions): Out<M, string[]>;
  list<T = Json>(options: ScanOptions & BytesKeys): Out<M, DocumentEntry<T, Uint8Array>[]>;
  list<T = Json>(options?: ScanOptions): Out<M, DocumentEntry<T>[]>;
  /** The documents with this value at a path. Reads every document of the range; a limit counts matches only. */
  select<T = Json>(path: string, value: unknown, options: ScanOptions & BytesKeys): Out<M, DocumentEntry<T, Uint8Array>[]>;
  select<T = Json>(path: string, value: unknown, options?: ScanOptions): Out<M, DocumentEntry<T>[]>;
  /** What is at a path; `undefined` if nothing is. Throws `NotFound` without the document. */
  getAt<T = Json>(key: Key, path: string): Out<M, T | undefined>;
  /** Items, members or characters. Throws `NotFound`, `Invalid`. */
  lengthAt(key: Key, path: string): Out<M, number>;
  typeAt(key: Key, path: string): Out<M, "null" | "boolean" | "number" | "string" | "array" | "object" | undefined>;
  keysAt(key: Key, path: string): Out<M, string[]>;
}

/** JSON documents. Operations at a path throw `NotFound` without the document and change it whole or not at all. */
export interface Documents<M extends Mode> extends DocumentsReader<M> {
  set(key: Key, document: unknown): Out<M, void>;
  setMany(documents: Iterable<readonly [Key, unknown]>): Out<M, void>;
  delete(key: Key): Out<M, boolean>;
  deleteMany(keys: Iterable<Key>): Out<M, number>;
  /** Sets what is at a path and returns what was there. */
  setAt<T = Json>(key: Key, path: string, value: unknown): Out<M, T | undefined>;
  /** Deletes what is at a path and returns it. */
  deleteAt<T = Json>(key: Key, path: string): Out<M, T | undefined>;
  /** JSON Merge Patch (RFC 7396). */
  mergeAt(key: Key, path: string, changes: unknown): Out<M, void>;
  /** JSON Patch (RFC 6902); a failed `test` throws `Precondition`. */
  patch(key: Key, operations: readonly PatchOperation[]): Out<M, void>;
  /** Appends to an array and returns its new length. */
  pushAt(key: Key, path: string, value: unknown): Out<M, number>;
  /** Removes the last item of an array and returns it. */
  popAt<T = Json>(key: Key, path: string): Out<M, T | undefined>;
  /** Adds to a number and returns the sum. */
  incrementAt(key: Key, path: string, by: number | bigint): Out<M, number | bigint>;
}

export type PatchOperation =
  | { op: "add" | "replace" | "test"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; path: string; from: string };

export interface StreamEvent<T = Value> {
  /** Its place in the stream, from 1 on. */
  seq: number;
  /** What sort of event it is. */
  kind: string;
  payload: T;
  /** When it was committed, in microseconds since 1970; 0 where it is not yet. */
  timeMicros: number;
}

export interface NewEvent {
  kind: string;
  payload: unknown;
}

/** Which events of a stream, both ends included. */
export interface EventRange {
  from?: number;
  to?: number;
  limit?: number;
  reverse?: boolean;
}

export interface StreamSummary<K = string> {
  stream: K;
  /** Seq of the newest event. */
  head: number;
  /** Seq of the oldest event that is kept; `head + 1` where none is. */
  first: number;
  /** How many are kept. */
  events: number;
  /** Bytes of all that were ever appended. */
  bytes: number;
  createdMicros: number;
  appendedMicros: number;
  /** The newest link of its chain of hashes: equal links, equal histories. */
  link: Uint8Array;
}

export interface ChainReport {
  batches: number;
  events: number;
  verifiedFrom: number | undefined;
}

/** Event streams, for reading. */
export interface EventsReader<M extends Mode> {
  get<T = Value>(stream: Key, seq: number): Out<M, StreamEvent<T> | undefined>;
  range<T = Value>(stream: Key, range?: EventRange): Out<M, StreamEvent<T>[]>;
  /** Seq of the newest event; 0 without one. */
  head(stream: Key): Out<M, number>;
  /** Seq of the oldest event that is kept. */
  first(stream: Key): Out<M, number | undefined>;
  length(stream: Key): Out<M, number>;
  info(stream: Key): Out<M, StreamSummary | undefined>;
  streams(options: ScanOptions & BytesKeys): Out<M, StreamSummary<Uint8Array>[]>;
  streams(options?: ScanOptions): Out<M, StreamSummary[]>;
  /** Recomputes the chain of hashes. Throws `Corrupt` where it does not hold. */
  verifyChain(stream: Key): Out<M, ChainReport>;
}

/** Event streams. Appending reads nothing and so never conflicts. */
export interface Events<M extends Mode> extends EventsReader<M> {
  /** Appends an event and returns its seq; `undefined` in a transaction, where seqs are given at the commit. */
  append(stream: Key, kind: string, payload: unknown): Out<M, number | undefined>;
  /** Appends events in one commit and returns the seq of the first. */
  appendBatch(stream: Key, events: Iterable<NewEvent>): Out<M, number | undefined>;
  /** Lets go of the events before `keepFrom`. */
  trim(stream: Key, keepFrom: number): Out<M, void>;
  deleteStream(stream: Key): Out<M, boolean>;
}

/** A state cell: how often it changed, and its value. */
export interface Cell<T = Value> {
  counter: number;
  value: T;
}

export interface CellEntry<T = Value, K = string> extends Cell<T> {
  key: K;
}

/** State cells, for reading. */
export interface CellsReader<M extends Mode> {
  get<T = Value>(key: Key): Out<M, Cell<T> | undefined>;
  exists(key: Key): Out<M, boolean>;
  count(range?: RangeOptions): Out<M, number>;
  keys(options: ScanOptions & BytesKeys): Out<M, Uint8Array[]>;
  keys(options?: ScanOptions): Out<M, string[]>;
  list<T = Value>(options: ScanOptions & BytesKeys): Out<M, CellEntry<T, Uint8Array>[]>;
  list<T = Value>(options?: ScanOptions): Out<M, CellEntry<T>[]>;
}

/** State cells: for a state machine, a lease or a cursor. */
export interface Cells<M extends Mode> extends CellsReader<M> {
  /** Makes a cell, with counter 1; throws `Precondition` if there is one. */
  init(key: Key, value: unknown): Out<M, void>;
  /** Sets a cell, makes it where there is none, and returns its new counter. */
  set(key: Key, value: unknown): Out<M, number>;
  delete(key: Key): Out<M, boolean>;
  /** Sets a cell if its counter is `expected`; else throws `Precondition`. Returns the new counter. */
  cas(key: Key, expected: number, value: unknown): Out<M, number>;
  /** Replaces a cell's value by what `change` makes of it. Throws `NotFound`, and what `change` throws. */
  transition<T = Value>(key: Key, change: (value: T) => T): Out<M, Cell<T>>;
  /** As `transition`, from `init` where there is no cell. */
  transitionOrInit<T = Value>(key: Key, init: T, change: (value: T) => T): Out<M, Cell<T>>;
}

/** One of the five kinds of a trace entry, or a name of your own. */
export type TraceKind = "tool_call" | "decision" | "query" | "thought" | "error" | (string & {});

export interface TraceRecord {
  kind: TraceKind;
  name: string;
  data?: unknown;
  /** The id of the entry that this one is a part of. */
  parent?: string;
  durationMicros?: number;
  /** When it began, in microseconds since 1970; left out for now. */
  timeMicros?: number;
}

export interface TraceEntry {
  id: string;
  kind: TraceKind;
  name: string;
  parent: string | undefined;
  timeMicros: number;
  durationMicros: number | undefined;
  data: Value;
}

/** Which trace entries, oldest first. */
export interface TraceOptions {
  limit?: number;
  reverse?: boolean;
  /** The id of the last entry of the page before. */
  after?: string;
}

/** Trace entries, for reading. */
export interface TraceReader<M extends Mode> {
  get(id: string): Out<M, TraceEntry | undefined>;
  exists(id: string): Out<M, boolean>;
  count(): Out<M, number>;
  list(options?: TraceOptions): Out<M, TraceEntry[]>;
  children(parent: string, options?: TraceOptions): Out<M, TraceEntry[]>;
  /** Entries that are part of no other. */
  roots(options?: TraceOptions): Out<M, TraceEntry[]>;
  byKind(kind: TraceKind, options?: TraceOptions): Out<M, TraceEntry[]>;
  /** Entries that began at `fromMicros` or later and before `toMicros`. */
  byTime(fromMicros: number, toMicros: number, options?: TraceOptions): Out<M, TraceEntry[]>;
}

/** What a program did, why, and what came of it: a tree of entries. */
export interface Trace<M extends Mode> extends TraceReader<M> {
  /** Records an entry and returns its id. */
  record(entry: TraceRecord): Out<M, string>;
  /** Completes an entry with what came of it. Throws `NotFound`. */
  finish(id: string, outcome?: { data?: unknown; durationMicros?: number }): Out<M, TraceEntry>;
}

/** The five primitives of a run or of the default space, for reading. */
export interface SpaceReader<M extends Mode> {
  readonly kv: KvReader<M>;
  readonly json: DocumentsReader<M>;
  readonly events: EventsReader<M>;
  readonly state: CellsReader<M>;
  readonly trace: TraceReader<M>;
}

/** The five primitives of a run or of the default space. */
export interface Space<M extends Mode> {
  readonly kv: Kv<M>;
  readonly json: Documents<M>;
  readonly events: Events<M>;
  readonly state: Cells<M>;
  readonly trace: Trace<M>;
}

export type RunStatus = "active" | "orphaned" | "completed" | "failed" | "cancelled";

export interface RunOptions {
  /** For people; need not be unique. */
  name: string;
  /** An id of your own, a UUID, instead of a new one. */
  id?: string;
  parent?: string;
  labels?: Record<string, string>;
  metadata?: unknown;
}

export interface RunInfo {
  id: string;
  number: number;
  name: string;
  status: RunStatus;
  parent: string | undefined;
  labels: Record<string, string>;
  metadata: Value;
  beganMicros: number;
  endedMicros: number | undefined;
  message: string | undefined;
  resumed: number;
  firstSeq: number;
  lastSeq: number;
  commits: number;
}

export interface RunFilter {
  status?: RunStatus;
  name?: string;
  parent?: string;
  labels?: Record<string, string>;
  /** The id of the last run of the page before. */
  after?: string;
  limit?: number;
  newestFirst?: boolean;
}

/** The runs of a store. */
export interface Runs<M extends Mode> {
  /** Begins a run. Throws `NotFound` for an unknown parent, `Precondition` for an id that is taken. */
  begin(options: RunOptions): Out<M, Run<M>>;
  /** A run that exists; else throws `NotFound`. */
  get(id: string): Out<M, Run<M>>;
  info(id: string): Out<M, RunInfo>;
  list(filter?: RunFilter): Out<M, RunInfo[]>;
  /** Removes a run and what it holds. Its history stays in the log. */
  delete(id: string): Out<M, Receipt>;
}

/** A run: a space with a life. */
export interface Run<M extends Mode> extends Space<M> {
  readonly id: string;
  info(): Out<M, RunInfo>;
  /** Ends it well. Throws `RunEnded` where it has ended before. */
  end(): Out<M, Receipt>;
  fail(message: string): Out<M, Receipt>;
  cancel(message: string): Out<M, Receipt>;
  /** Takes up an orphaned or ended run again. */
  resume(): Out<M, Receipt>;
  setLabel(key: string, value: string): Out<M, Receipt>;
  removeLabel(key: string): Out<M, Receipt>;
  setMetadata(metadata: unknown): Out<M, Receipt>;
  children(): Out<M, RunInfo[]>;
}

export interface Receipt {
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

export interface TransactionOptions {
  /** For this transaction only; not `"inMemory"`. */
  durability?: Durability;
  /** Makes the commit happen once: a later one with the same key changes nothing. Up to 256 bytes. */
  idempotencyKey?: Key;
  /** How often the closure runs again after a conflict. Default: as the store was opened. */
  retries?: number;
}

/** A place in a transaction to go back to. */
export interface Savepoint {
  readonly savepoint: number;
}

/**
 * One version of the store, plus what is written here. On the main thread writes that return nothing travel with the
 * next read or the commit; an error of such a write shows there.
 */
export interface Transaction<M extends Mode> extends Space<M> {
  readonly runs: TransactionRuns<M>;
  /** A run, to read and write it in this transaction. Throws `NotFound` at its first use if it does not exist. */
  run(id: string): Space<M> & { readonly id: string };
  /** Seq of the version that is read. */
  seq(): Out<M, number>;
  /** Marks the writes so far. */
  savepoint(): Out<M, Savepoint>;
  /** Forgets what was written since. What was read still counts for validation. */
  rollbackTo(savepoint: Savepoint): Out<M, void>;
}

/** A transaction that is committed by hand; nothing is retried. */
export interface OpenTransaction<M extends Mode> extends Transaction<M> {
  /** Throws `Conflict` where something that was read has changed. */
  commit(): Out<M, Receipt>;
  rollback(): Out<M, void>;
}

/** Runs inside a transaction. */
export interface TransactionRuns<M extends Mode> {
  begin(options: RunOptions): Out<M, Space<M> & { readonly id: string }>;
  end(id: string, message?: string): Out<M, void>;
  fail(id: string, message: string): Out<M, void>;
  cancel(id: string, message: string): Out<M, void>;
  resume(id: string): Out<M, void>;
  setLabel(id: string, key: string, value: string): Out<M, void>;
  removeLabel(id: string, key: string): Out<M, void>;
  setMetadata(id: string, metadata: unknown): Out<M, void>;
  delete(id: string): Out<M, void>;
  info(id: string): Out<M, RunInfo>;
}

/** One version of the whole store, read-only. It keeps what it shows alive until it is released or collected. */
export interface View<M extends Mode> extends SpaceReader<M> {
  /** Seq of the last commit in it. */
  readonly seq: number;
  /** A run, as of this version. Throws `NotFound` at its first use if it does not exist. */
  run(id: string): SpaceReader<M> & { readonly id: string };
  runInfo(id: string): Out<M, RunInfo>;
  runs(): Out<M, RunInfo[]>;
  /** Digest of the default space or of a run, 64 hex digits: equal contents, equal digests, on every platform. */
  digest(run?: string): Out<M, string>;
  /** What differs from run `older` to run `newer`; `undefined` is the default space. */
  diff(older: string | undefined, newer: string | undefined): Out<M, Diff>;
  release(): Out<M, void>;
}

/** A space as its history in the log makes it: read-only, and independent of the live state. */
export interface Replay<M extends Mode> extends SpaceReader<M> {
  /** How many transactions were folded. */
  readonly transactions: number;
  digest(): Out<M, string>;
  /** What differs from this one to `newer`. */
  diff(newer: Replay<M>): Out<M, Diff>;
  release(): Out<M, void>;
}

/** How something differs: only the newer has it, only the older has it, or both and not the same. */
export type Change<T> = { added: T } | { removed: T } | { from: T; to: T };

export interface Diff {
  kv: { key: string | Uint8Array; change: Change<Value> }[];
  /** A document that both have: the places in it that differ. */
  json: { key: string | Uint8Array; change: { added: Json } | { removed: Json } | { paths: { path: string; change: Change<Json> }[] } }[];
  events: { stream: string | Uint8Array; events: { seq: number; change: Change<StreamEvent> }[] }[];
  state: { key: string | Uint8Array; change: Change<Cell> }[];
  /** By their place in the trace, from 1 on. */
  trace: { place: number; change: Change<TraceEntry> }[];
}

/** A commit, as `subscribe` announces it. */
export interface Announcement {
  seq: number;
  /** What was written; for streams and traces the key is the stream and the id. */
  touched: { run: string | undefined; primitive: Primitive; key: string | Uint8Array }[];
}

export type Primitive = "kv" | "json" | "events" | "state" | "trace" | "run";

export interface Stats {
  store: string;
  seq: number;
  durableSeq: number;
  epoch: number;
  runs: number;
  entries: number;
  treeBytes: number;
  idempotencyKeys: number;
  commits: number;
  conflicts: number;
  retries: number;
  pendingBytes: number;
  syncs: { count: number; totalMicros: number; histogram: [belowMicros: number, count: number][] };
  segments: { number: number; bytes: number; liveBytes: number }[];
  logBytes: number;
  snapshots: [generation: number, bytes: number][];
  /** Linear memory of the WebAssembly module. */
  memoryBytes: number;
  /** What `navigator.storage.estimate()` says, in a browser. */
  usageBytes?: number;
  quotaBytes?: number;
  /** Whether the browser has promised not to evict the store. */
  persisted?: boolean;
}

export interface VerifyReport {
  segments: number;
  records: number;
  snapshots: number;
  spaces: number;
  entries: number;
  transactions: number;
  values: number;
  events: number;
  /** Empty where all is well. */
  violations: { place: string; what: string }[];
}

export interface Damage {
  file: string;
  offset: number;
  len: number;
  rule: string;
  what: string;
  seqs: [first: number, last: number] | undefined;
}

/** What opening found and did. */
export interface RecoveryReport {
  /** There was nothing before. A store that was evicted shows here: an app that knows better can say so. */
  created: boolean;
  snapshot: [generation: number, seq: number] | undefined;
  rejectedSnapshots: Damage[];
  damage: Damage[];
  seq: number;
  orphanedRuns: string[];
  phases: [phase: string, micros: number][];
}

export interface OpenOptions {
  /** Default `"strict"`. */
  durability?: Durability;
  /** Whether a store that is not there is created (default) or `NotAStore`. */
  create?: boolean;
  /** What recovery accepts: a torn tail (default), nothing (`"strict"`), or anything (`"salvage"`, read-only). */
  recovery?: "default" | "strict" | "salvage";
  checkSnapshots?: boolean;
  /** Size at which the log goes on in a new segment. Default 64 MiB. */
  segmentBytes?: number;
  /** A snapshot for every so many bytes of log; `null` for never. Default 256 MiB. */
  snapshotLogBytes?: number | null;
  snapshotOnClose?: boolean;
  /** How often a transaction's closure runs again after a conflict. Default 64. */
  retries?: number;
  /** Browser: whether to ask for persistent storage (once, at the first opening). Default yes. */
  persist?: boolean;
  /** Browser: how long to wait for another owner of the store to let go, as after a reload. Default 2000. */
  lockTimeoutMs?: number;
}

/** An open store. */
export interface Db<M extends Mode> extends Space<M> {
  /** The store's id, the same for its whole life. */
  readonly id: string;
  readonly name: string;
  /** Whether this opening created the store, or found one. */
  readonly created: boolean;
  readonly recovery: RecoveryReport;
  readonly runs: Runs<M>;
  /**
   * Runs `work` in a transaction and commits it. After a conflict it runs again, on the newer version, so it should have
   * no effects of its own. What it throws is thrown here, and nothing is committed then.
   */
  transaction<T>(work: (tx: Transaction<M>) => Given<M, T>, options?: TransactionOptions): Out<M, T>;
  /** The same, with the receipt. */
  transactionWith<T>(options: TransactionOptions, work: (tx: Transaction<M>) => Given<M, T>): Out<M, { value: T; receipt: Receipt }>;
  beginTransaction(options?: TransactionOptions): Out<M, OpenTransaction<M>>;
  /** The newest version, to read from as often as needed. */
  view(): Out<M, View<M>>;
  /** Folds the history of a run again, from the log and nothing else; up to seq `until` if given. */
  replay(run: string, until?: number): Out<M, Replay<M>>;
  /** The same for the default space. */
  replayDefault(): Out<M, Replay<M>>;
  /** What differs from run `older` to run `newer`. */
  diff(older: string, newer: string): Out<M, Diff>;
  /** Digest of the default space or of a run, now. */
  digest(run?: string): Out<M, string>;
  /** Calls `listener` after each commit that touches a run (`undefined`: any). Returns what ends it. */
  subscribe(run: string | undefined, listener: (commit: Announcement) => void): () => void;
  /** A barrier: everything committed before is on stable media. Returns the seq that it reached. */
  sync(): Out<M, number>;
  waitDurable(seq: number): Out<M, void>;
  durableSeq(): Out<M, number>;
  snapshot(): Out<M, { generation: number; seq: number; bytes: number }>;
  /** Checks every checksum, pointer and chain, and that replay gives the live state. Reads everything. */
  verify(): Out<M, VerifyReport>;
  stats(): Promise<Stats>;
  /**
   * Browser, in your own worker: waits until files are ready for the log to grow into. Only a burst of hundreds of
   * megabytes without an `await` needs it, after `NotReady`.
   */
  ready(): Promise<void>;
  /**
   * The store as one file, as of now: a plain tar of its files with SHA-256 sums, the same for the same store. `importStore`
   * makes a store of it, and so does `foldb import-store`. Everything is synced first.
   */
  export(): Promise<Blob>;
  /** Syncs, writes a snapshot where it pays, and lets go of the store. */
  close(): Promise<void>;
}

/** What `openInWorker`, `memory` and `openDirectory` give. */
export type SyncDb = Db<"sync">;
/** What `open` gives. */
export type AsyncDb = Db<"async">;
