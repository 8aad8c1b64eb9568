// The API as objects: what each method asks for, and what it makes of the answer.
//
// Invariant: every method is written once, for both modes. It gives its request to a `Caller`, which answers at once or by a
// promise; `chain` goes on with either.

import type * as api from "./api.js";
import { FoldbError, invalid } from "./errors.js";
import { Operation } from "./operation.js";
import type { Reader, Writer } from "./wire.js";

/** Either form of a result. */
export type Now<T> = api.Out<api.Mode, T>;

type Key = api.Key;
type Write = (out: Writer) => void;
type Read<T> = (answer: Reader) => T;

/** What a request works on: the store, a transaction, or a view; and which run of it. */
export interface Place {
  /** 0 for the store, 1 for a transaction, 2 for a view or replay. */
  readonly target: number;
  readonly handle: number;
  readonly run: string | undefined;
}

export const STORE: Place = { target: 0, handle: 0, run: undefined };

/** Whoever answers requests. */
export interface Caller {
  readonly name: string;
  /** Whether answers come by promises. */
  readonly async: boolean;
  /** Sends a request and gives what `read` makes of its answer. */
  call<T>(place: Place, operation: Operation, write: Write | undefined, read: Read<T>): Now<T>;
  /** A number for a handle that is not in use. */
  handle(): number;
  /** Waits before a transaction is run again. */
  pause(attempt: number): Now<void>;
  subscribe(run: string | undefined, listener: (commit: api.Announcement) => void): () => void;
  stats(stats: api.Stats): Now<api.Stats> | Promise<api.Stats>;
  /** Waits until files are ready for the log to grow into. */
  ready(): Promise<void>;
  /** The store as one file. */
  export(): Promise<Blob>;
  close(): Promise<void>;
}

/** Goes on with a result, at once if it is there. Not named `then`: a module that exports that is a promise to `import()`. */
export function chain<T, U>(result: T | PromiseLike<T>, go: (value: T) => Now<U>): Now<U> {
  return isPromise(result) ? Promise.resolve(result.then(go)) : go(result);
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** The answer of an operation that says nothing. Known by identity: such writes can wait in a transaction. */
export const nothing: Read<void> = () => undefined;

const flag: Read<boolean> = (answer) => answer.flag();
const number: Read<number> = (answer) => answer.number();
const optionalNumber: Read<number | undefined> = (answer) => answer.optional(() => answer.number());
const maybe = (answer: Reader): any => answer.maybe();
const maybeDocument = (answer: Reader): any => answer.maybe(true);
const keyOf = (options: api.ScanOptions | undefined, answer: Reader): any =>
  options?.keys === "bytes" ? () => answer.raw() : () => answer.key();
const keysAs = (options: api.ScanOptions | undefined) => (options?.keys === "bytes" ? "bytes" : "text");

/** What all parts of the surface have: where they are. */
class Part {
  protected readonly caller: Caller;
  protected readonly place: Place;

  constructor(caller: Caller, place: Place) {
    this.caller = caller;
    this.place = place;
  }

  protected ask<T>(operation: Operation, write: Write | undefined, read: Read<T>): Now<T> {
    return this.caller.call(this.place, operation, write, read);
  }

  /** Runs `work` in the transaction that this belongs to, or in one of its own. */
  protected atomically<T>(work: (place: Place) => Now<T>): Now<T> {
    if (this.place.target === 1) return work(this.place);
    return chain(
      transact(this.caller, {}, ({ handle }) => work({ target: 1, handle, run: this.place.run })),
      ({ value }) => value,
    );
  }
}

/** Reads of entries, the same for pairs, documents and cells. */
class Entries extends Part {
  protected readonly family: number = 0;

  protected entry<T>(operation: Operation, key: Key, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.u8(this.family);
        out.key(key);
      },
      read,
    );
  }

  exists(key: Key): Now<boolean> {
    return this.entry(Operation.EntryExists, key, flag);
  }

  count(range?: api.RangeOptions): Now<number> {
    return this.ask(
      Operation.EntryCount,
      (out) => {
        out.u8(this.family);
        out.range(range);
      },
      number,
    );
  }

  keys(options?: api.ScanOptions): Now<any> {
    return this.#range(Operation.EntryKeys, options, (answer) => answer.list(keyOf(options, answer)));
  }

  #range<T>(operation: Operation, options: api.ScanOptions | undefined, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.u8(this.family);
        scan(out, options);
      },
      read,
    );
  }

  protected scanned<T>(options: api.ScanOptions | undefined, item: Item<T>): Now<T[]> {
    return this.#range(Operation.EntryScan, options, (answer) => entries(answer, options, item));
  }

  protected many(keys: Iterable<Key>, json: boolean): Now<any[]> {
    return this.ask(
      Operation.EntryGetMany,
      (out) => {
        out.u8(this.family);
        out.list(keys, (key) => out.key(key));
      },
      (answer) => answer.list(() => answer.value(json)),
    );
  }
}

/** Makes an entry of its key and version, and of a value of so many bytes, which the answer is at. */
type Item<T> = (answer: Reader, key: any, version: number, length: number) => T;

function entries<T>(answer: Reader, options: api.ScanOptions | undefined, item: Item<T>): T[] {
  return answer.entries(keysAs(options), (key, version, length) => item(answer, key, version, length));
}

function scan(out: Writer, options: api.ScanOptions | undefined): void {
  out.range(options);
  out.page(options?.limit, options?.reverse, options?.after);
}

class Kv extends Entries implements api.Kv<api.Mode> {
  get(key: Key): Now<any> {
    return this.entry(Operation.EntryGet, key, maybe);
  }

  getOr<T>(key: Key, fallback: T): Now<T> {
    return this.entry(Operation.EntryGet, key, (answer) => (answer.done ? fallback : answer.maybe()));
  }

  getVersioned(key: Key): Now<any> {
    return this.entry(Operation.EntryGetVersioned, key, (answer) => {
      if (answer.done) return undefined;
      const version = answer.number();
      return { value: answer.maybe(), version };
    });
  }

  getMany(keys: Iterable<Key>): Now<any[]> {
    return this.many(keys, false);
  }

  scan(options?: api.ScanOptions): Now<any> {
    return this.scanned(options, (answer, key, version, length) => ({ key, value: answer.sized(length), version }));
  }

  put(key: Key, value: unknown): Now<void> {
    return this.#pair(Operation.KvPut, key, value, nothing);
  }

  #pair<T>(operation: Operation, key: Key, value: unknown, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.value(value);
      },
      read,
    );
  }

  #key<T>(operation: Operation, key: Key, read: Read<T>): Now<T> {
    return this.ask(operation, (out) => out.key(key), read);
  }

  putMany(pairs: Iterable<readonly [Key, unknown]>): Now<void> {
    return this.ask(
      Operation.KvPutMany,
      (out) =>
        out.list(pairs, ([key, value]) => {
          out.key(key);
          out.value(value);
        }),
      nothing,
    );
  }

  putIfAbsent(key: Key, value: unknown): Now<void> {
    return this.#pair(Operation.KvPutIfAbsent, key, value, () => undefined);
  }

  delete(key: Key): Now<boolean> {
    return this.#key(Operation.KvDelete, key, flag);
  }

  remove(key: Key): Now<void> {
    return this.#key(Operation.KvRemove, key, nothing);
  }

  deleteMany(keys: Iterable<Key>): Now<number> {
    return this.ask(Operation.KvDeleteMany, (out) => out.list(keys, (key) => out.key(key)), number);
  }

  update(key: Key, change: (value: any) => any): Now<any> {
    return this.atomically((place) => {
      const kv = new Kv(this.caller, place);
      return chain(kv.get(key), (before) => {
        const value = change(before);
        return chain(kv.put(key, value), () => value);
      });
    });
  }

  casVersion(key: Key, expected: number | undefined, value: unknown): Now<void> {
    return this.ask(
      Operation.KvCasVersion,
      (out) => {
        out.key(key);
        out.optional(expected, (version) => out.number(version));
        out.value(value);
      },
      () => undefined,
    );
  }

  casValue(key: Key, expected: unknown, value: unknown): Now<void> {
    return this.ask(
      Operation.KvCasValue,
      (out) => {
        out.key(key);
        // Not `optional`: null is a value.
        out.flag(expected !== undefined);
        if (expected !== undefined) out.value(expected);
        out.value(value);
      },
      () => undefined,
    );
  }

  getAndPut(key: Key, value: unknown): Now<any> {
    return this.#pair(Operation.KvGetAndPut, key, value, maybe);
  }

  getAndDelete(key: Key): Now<any> {
    return this.#key(Operation.KvGetAndDelete, key, maybe);
  }

  rename(from: Key, to: Key): Now<void> {
    return this.ask(
      Operation.KvRename,
      (out) => {
        out.key(from);
        out.key(to);
      },
      () => undefined,
    );
  }

  addI64(key: Key, delta: bigint | number): Now<void> {
    return this.#add(Operation.KvAddI64, key, (out) => out.i64(delta, true));
  }

  addU64(key: Key, delta: bigint | number): Now<void> {
    return this.#add(Operation.KvAddU64, key, (out) => out.i64(delta, false));
  }

  addF64(key: Key, delta: number): Now<void> {
    return this.#add(Operation.KvAddF64, key, (out) => out.number(delta));
  }

  addU256(key: Key, delta: bigint): Now<void> {
    return this.#add(Operation.KvAddU256, key, (out) => out.u256(delta));
  }

  #add(operation: Operation, key: Key, write: Write): Now<void> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        write(out);
      },
      nothing,
    );
  }
}

class Documents extends Entries implements api.Documents<api.Mode> {
  protected override readonly family = 1;

  get(key: Key): Now<any> {
    return this.entry(Operation.EntryGet, key, maybeDocument);
  }

  getMany(keys: Iterable<Key>): Now<any[]> {
    return this.many(keys, true);
  }

  list(options?: api.ScanOptions): Now<any> {
    return this.scanned(options, document);
  }

  select(path: string, value: unknown, options?: api.ScanOptions): Now<any> {
    return this.ask(
      Operation.JsonSelect,
      (out) => {
        out.text(path);
        out.document(value);
        scan(out, options);
      },
      (answer) => entries(answer, options, document),
    );
  }

  #at<T>(operation: Operation, key: Key, path: string, read: Read<T>, ...value: unknown[]): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.text(path);
        if (value.length > 0) out.document(value[0]);
      },
      read,
    );
  }

  getAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonGetAt, key, path, maybeDocument);
  }

  lengthAt(key: Key, path: string): Now<number> {
    return this.#at(Operation.JsonLengthAt, key, path, number);
  }

  typeAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonTypeAt, key, path, (answer) => answer.rest() || undefined);
  }

  keysAt(key: Key, path: string): Now<string[]> {
    return this.#at(Operation.JsonKeysAt, key, path, (answer) => answer.list(() => answer.text()));
  }

  #document(operation: Operation, key: Key, value: unknown, read: Read<void>): Now<void> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.document(value);
      },
      read,
    );
  }

  set(key: Key, value: unknown): Now<void> {
    return this.#document(Operation.JsonSet, key, value, nothing);
  }

  setMany(documents: Iterable<readonly [Key, unknown]>): Now<void> {
    return this.ask(
      Operation.JsonSetMany,
      (out) =>
        out.list(documents, ([key, value]) => {
          out.key(key);
          out.document(value);
        }),
      nothing,
    );
  }

  delete(key: Key): Now<boolean> {
    return this.ask(Operation.JsonDelete, (out) => out.key(key), flag);
  }

  deleteMany(keys: Iterable<Key>): Now<number> {
    return this.ask(Operation.JsonDeleteMany, (out) => out.list(keys, (key) => out.key(key)), number);
  }

  setAt(key: Key, path: string, value: unknown): Now<any> {
    return this.#at(Operation.JsonSetAt, key, path, maybeDocument, value);
  }

  deleteAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonDeleteAt, key, path, maybeDocument);
  }

  mergeAt(key: Key, path: string, changes: unknown): Now<void> {
    return this.#at(Operation.JsonMergeAt, key, path, () => undefined, changes);
  }

  patch(key: Key, operations: readonly api.PatchOperation[]): Now<void> {
    return this.#document(Operation.JsonPatch, key, operations, () => undefined);
  }

  pushAt(key: Key, path: string, value: unknown): Now<number> {
    return this.#at(Operation.JsonPushAt, key, path, number, value);
  }

  popAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonPopAt, key, path, maybeDocument);
  }

  incrementAt(key: Key, path: string, by: number | bigint): Now<any> {
    return this.#at(Operation.JsonIncrementAt, key, path, maybeDocument, by);
  }
}

function document(answer: Reader, key: any, version: number, length: number): any {
  return { key, document: answer.sized(length, true), version };
}

class Events extends Part implements api.Events<api.Mode> {
  #ask<T>(operation: Operation, stream: Key, read: Read<T>, write?: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(stream);
        write?.(out);
      },
      read,
    );
  }

  get(stream: Key, seq: number): Now<any> {
    return this.#ask(Operation.EventGet, stream, (answer) => answer.list(() => event(answer))[0], (out) => out.number(seq));
  }

  range(stream: Key, range: api.EventRange = {}): Now<any[]> {
    const write = (out: Writer) => {
      for (const bound of [range.from, range.to, range.limit]) out.optional(bound, (bound) => out.number(bound));
      out.flag(range.reverse);
    };
    return this.#ask(Operation.EventRange, stream, (answer) => answer.list(() => event(answer)), write);
  }

  head(stream: Key): Now<number> {
    return this.#ask(Operation.EventHead, stream, number);
  }

  first(stream: Key): Now<number | undefined> {
    return this.#ask(Operation.EventFirst, stream, optionalNumber);
  }

  length(stream: Key): Now<number> {
    return this.#ask(Operation.EventLength, stream, number);
  }

  info(stream: Key): Now<any> {
    return this.#ask(Operation.EventInfo, stream, (answer) => answer.optional(() => summary(answer, () => answer.key())));
  }

  streams(options?: api.ScanOptions): Now<any> {
    return this.ask(
      Operation.EventStreams,
      (out) => scan(out, options),
      (answer) => {
        const key = keyOf(options, answer);
        return answer.list(() => summary(answer, key));
      },
    );
  }

  verifyChain(stream: Key): Now<api.ChainReport> {
    return this.#ask(Operation.EventVerifyChain, stream, (answer) => ({
      batches: answer.number(),
      events: answer.number(),
      verifiedFrom: optionalNumber(answer),
    }));
  }

  append(stream: Key, kind: string, payload: unknown): Now<number | undefined> {
    // In a transaction the answer says nothing, so that the write can wait for the next read or the commit.
    const read = this.place.target === 1 ? (nothing as Read<undefined>) : optionalNumber;
    return this.#ask(Operation.EventAppend, stream, read, (out) => {
      out.text(kind);
      out.value(payload);
    });
  }

  appendBatch(stream: Key, events: Iterable<api.NewEvent>): Now<number | undefined> {
    const read = this.place.target === 1 ? (nothing as Read<undefined>) : optionalNumber;
    return this.#ask(Operation.EventAppendBatch, stream, read, (out) =>
      out.list(events, ({ kind, payload }) => {
        out.text(kind);
        out.value(payload);
      }),
    );
  }

  trim(stream: Key, keepFrom: number): Now<void> {
    return this.#ask(Operation.EventTrim, stream, () => undefined, (out) => out.number(keepFrom));
  }

  deleteStream(stream: Key): Now<boolean> {
    return this.#ask(Operation.EventDeleteStream, stream, flag);
  }
}

function event(answer: Reader): api.StreamEvent {
  const seq = answer.number();
  const timeMicros = answer.number();
  const kind = answer.text();
  return { seq, kind, payload: answer.value(), timeMicros };
}

function summary(answer: Reader, key: () => any): any {
  return {
    stream: key(),
    head: answer.number(),
    first: answer.number(),
    events: answer.number(),
    bytes: answer.number(),
    createdMicros: answer.number(),
    appendedMicros: answer.number(),
    link: answer.raw(),
  };
}

class Cells extends Entries implements api.Cells<api.Mode> {
  protected override readonly family = 3;

  get(key: Key): Now<any> {
    return this.entry(Operation.EntryGet, key, (answer) => {
      if (answer.done) return undefined;
      const counter = answer.varint();
      return { counter, value: answer.maybe() };
    });
  }

  list(options?: api.ScanOptions): Now<any> {
    return this.scanned(options, (answer, key, _, length) => {
      const end = answer.at + length;
      const counter = answer.varint();
      return { key, counter, value: answer.sized(end - answer.at) };
    });
  }

  #write<T>(operation: Operation, key: Key, read: Read<T>, write: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        write(out);
      },
      read,
    );
  }

  init(key: Key, value: unknown): Now<void> {
    return this.#write(Operation.CellInit, key, () => undefined, (out) => out.value(value));
  }

  set(key: Key, value: unknown): Now<number> {
    return this.#write(Operation.CellSet, key, number, (out) => out.value(value));
  }

  delete(key: Key): Now<boolean> {
    return this.#write(Operation.CellDelete, key, flag, () => {});
  }

  cas(key: Key, expected: number, value: unknown): Now<number> {
    return this.#write(Operation.CellCas, key, number, (out) => {
      out.number(expected);
      out.value(value);
    });
  }

  transition(key: Key, change: (value: any) => any): Now<any> {
    return this.#transition(key, change);
  }

  transitionOrInit(key: Key, init: any, change: (value: any) => any): Now<any> {
    return this.#transition(key, change, { value: init });
  }

  #transition(key: Key, change: (value: any) => any, init?: { value: any }): Now<any> {
    return this.atomically((place) => {
      const cells = new Cells(this.caller, place);
      return chain(cells.get(key), (found): Now<any> => {
        if (!found && !init) throw new FoldbError("NotFound", "NotFound", `cell ${String(key)} does not exist`);
        const value = change(found ? found.value : init!.value);
        // A cell that is made here is made and changed in one commit, and so has the counter 2.
        const ready = found ? undefined : cells.init(key, init!.value);
        return chain(ready, () => chain(cells.set(key, value), (counter) => ({ counter, value })));
      });
    });
  }
}

class Trace extends Part implements api.Trace<api.Mode> {
  get(id: string): Now<api.TraceEntry | undefined> {
    return this.ask(Operation.TraceGet, (out) => out.id(id), (answer) => answer.optional(() => traceEntry(answer)));
  }

  exists(id: string): Now<boolean> {
    return this.ask(Operation.TraceExists, (out) => out.id(id), flag);
  }

  count(): Now<number> {
    return this.ask(Operation.TraceCount, undefined, number);
  }

  #list(options: api.TraceOptions = {}, which: number, write?: Write): Now<api.TraceEntry[]> {
    return this.ask(
      Operation.TraceList,
      (out) => {
        out.page(options.limit, options.reverse, undefined);
        if (options.after !== undefined) {
          out.at -= 1;
          out.flag(true);
          out.u32(16);
          out.id(options.after);
        }
        out.u8(which);
        write?.(out);
      },
      (answer) => answer.list(() => traceEntry(answer)),
    );
  }

  list(options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 0);
  }

  children(parent: string, options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 1, (out) => out.id(parent));
  }

  roots(options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 2);
  }

  byKind(kind: string, options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 3, (out) => out.text(kind));
  }

  byTime(fromMicros: number, toMicros: number, options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 4, (out) => {
      out.number(fromMicros);
      out.number(toMicros);
    });
  }

  record(record: api.TraceRecord): Now<string> {
    return this.ask(
      Operation.TraceRecord,
      (out) => {
        out.text(record.kind);
        out.text(record.name);
        out.value(record.data ?? null);
        out.optional(record.parent, (parent) => out.id(parent));
        out.optional(record.durationMicros, (micros) => out.number(micros));
        out.optional(record.timeMicros, (micros) => out.number(micros));
      },
      (answer) => answer.id(),
    );
  }

  finish(id: string, outcome: { data?: unknown; durationMicros?: number } = {}): Now<api.TraceEntry> {
    return this.ask(
      Operation.TraceFinish,
      (out) => {
        out.id(id);
        out.flag(outcome.data !== undefined);
        if (outcome.data !== undefined) out.value(outcome.data);
        out.optional(outcome.durationMicros, (micros) => out.number(micros));
      },
      traceEntry,
    );
  }
}

function traceEntry(answer: Reader): api.TraceEntry {
  return {
    id: answer.id(),
    kind: answer.text(),
    name: answer.text(),
    parent: answer.optional(() => answer.id()),
    timeMicros: answer.number(),
    durationMicros: optionalNumber(answer),
    data: answer.value(),
  };
}

/** The five primitives of a place. */
class Space extends Part {
  readonly kv = new Kv(this.caller, this.place);
  readonly json = new Documents(this.caller, this.place);
  readonly events = new Events(this.caller, this.place);
  readonly state = new Cells(this.caller, this.place);
  readonly trace = new Trace(this.caller, this.place);
}

/** A run in a transaction or a view: its primitives and its id. */
class NamedSpace extends Space {
  readonly id: string;

  constructor(caller: Caller, place: Place, id: string) {
    super(caller, { ...place, run: id });
    this.id = id;
  }
}

const STATUSES: readonly api.RunStatus[] = ["active", "orphaned", "completed", "failed", "cancelled"];

function receipt(answer: Reader): api.Receipt {
  return { seq: answer.number(), durable: answer.flag(), deduplicated: answer.flag() };
}

function runInfo(answer: Reader): api.RunInfo {
  return {
    id: answer.id(),
    number: answer.u32(),
    name: answer.text(),
    status: answer.text() as api.RunStatus,
    parent: answer.optional(() => answer.id()),
    labels: Object.fromEntries(answer.list(() => [answer.text(), answer.text()])),
    metadata: answer.value(),
    beganMicros: answer.number(),
    endedMicros: optionalNumber(answer),
    message: answer.optional(() => answer.text()),
    resumed: answer.u32(),
    firstSeq: answer.number(),
    lastSeq: answer.number(),
    commits: answer.number(),
  };
}

/** Requests on runs, which answer with a receipt on the store and with nothing in a transaction. */
class RunRequests extends Part {
  change<T>(operation: Operation, id: string, read: Read<T>, write?: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.id(id);
        write?.(out);
      },
      read,
    );
  }

  end<T>(id: string, how: number, message: string | undefined, read: Read<T>): Now<T> {
    return this.change(Operation.RunEnd, id, read, (out) => {
      out.u8(how);
      out.optional(message, (message) => out.text(message));
    });
  }

  label<T>(id: string, key: string, value: string | undefined, read: Read<T>): Now<T> {
    return this.change(Operation.RunSetLabel, id, read, (out) => {
      out.text(key);
      out.optional(value, (value) => out.text(value));
    });
  }

  begin(options: api.RunOptions): Now<string> {
    return this.ask(
      Operation.RunBegin,
      (out) => {
        out.text(options.name);
        out.optional(options.id, (id) => out.id(id));
        out.optional(options.parent, (parent) => out.id(parent));
        labels(out, options.labels);
        out.value(options.metadata ?? null);
      },
      (answer) => answer.id(),
    );
  }

  info(id: string): Now<api.RunInfo> {
    return this.change(Operation.RunInfo, id, runInfo);
  }

  list(filter: api.RunFilter = {}): Now<api.RunInfo[]> {
    return this.ask(
      Operation.RunList,
      (out) => {
        out.optional(filter.status, (status) => out.u8(STATUSES.indexOf(status) & 255));
        out.optional(filter.name, (name) => out.text(name));
        out.optional(filter.parent, (parent) => out.id(parent));
        labels(out, filter.labels);
        out.optional(filter.after, (after) => out.id(after));
        out.optional(filter.limit, (limit) => out.number(limit));
        out.flag(filter.newestFirst);
      },
      (answer) => answer.list(() => runInfo(answer)),
    );
  }
}

function labels(out: Writer, labels: Record<string, string> = {}): void {
  out.list(Object.entries(labels), ([key, value]) => {
    out.text(key);
    out.text(value);
  });
}

class Run extends NamedSpace implements api.Run<api.Mode> {
  readonly #requests = new RunRequests(this.caller, STORE);

  info(): Now<api.RunInfo> {
    return this.#requests.info(this.id);
  }

  end(): Now<api.Receipt> {
    return this.#requests.end(this.id, 0, undefined, receipt);
  }

  fail(message: string): Now<api.Receipt> {
    return this.#requests.end(this.id, 1, message, receipt);
  }

  cancel(message: string): Now<api.Receipt> {
    return this.#requests.end(this.id, 2, message, receipt);
  }

  resume(): Now<api.Receipt> {
    return this.#requests.change(Operation.RunResume, this.id, receipt);
  }

  setLabel(key: string, value: string): Now<api.Receipt> {
    return this.#requests.label(this.id, key, value, receipt);
  }

  removeLabel(key: string): Now<api.Receipt> {
    return this.#requests.label(this.id, key, undefined, receipt);
  }

  setMetadata(metadata: unknown): Now<api.Receipt> {
    return this.#requests.change(Operation.RunSetMetadata, this.id, receipt, (out) => out.value(metadata));
  }

  children(): Now<api.RunInfo[]> {
    return this.#requests.list({ parent: this.id });
  }
}

class Runs extends Part implements api.Runs<api.Mode> {
  readonly #requests = new RunRequests(this.caller, this.place);

  begin(options: api.RunOptions): Now<api.Run<any>> {
    return chain(this.#requests.begin(options), (id) => this.#run(id));
  }

  #run(id: string): any {
    return new Run(this.caller, STORE, id);
  }

  get(id: string): Now<api.Run<any>> {
    return chain(this.#requests.info(id), ({ id }) => this.#run(id));
  }

  info(id: string): Now<api.RunInfo> {
    return this.#requests.info(id);
  }

  list(filter?: api.RunFilter): Now<api.RunInfo[]> {
    return this.#requests.list(filter);
  }

  delete(id: string): Now<api.Receipt> {
    return this.#requests.change(Operation.RunDelete, id, receipt);
  }
}

class TransactionRuns extends Part implements api.TransactionRuns<api.Mode> {
  readonly #requests = new RunRequests(this.caller, this.place);

  begin(options: api.RunOptions): Now<any> {
    return chain(this.#requests.begin(options), (id) => new NamedSpace(this.caller, this.place, id));
  }

  end(id: string, message?: string): Now<void> {
    return this.#requests.end(id, 0, message, () => undefined);
  }

  fail(id: string, message: string): Now<void> {
    return this.#requests.end(id, 1, message, () => undefined);
  }

  cancel(id: string, message: string): Now<void> {
    return this.#requests.end(id, 2, message, () => undefined);
  }

  resume(id: string): Now<void> {
    return this.#requests.change(Operation.RunResume, id, () => undefined);
  }

  setLabel(id: string, key: string, value: string): Now<void> {
    return this.#requests.label(id, key, value, () => undefined);
  }

  removeLabel(id: string, key: string): Now<void> {
    return this.#requests.label(id, key, undefined, () => undefined);
  }

  setMetadata(id: string, metadata: unknown): Now<void> {
    return this.#requests.change(Operation.RunSetMetadata, id, () => undefined, (out) => out.value(metadata));
  }

  delete(id: string): Now<void> {
    return this.#requests.change(Operation.RunDelete, id, () => undefined);
  }

  info(id: string): Now<api.RunInfo> {
    return this.#requests.info(id);
  }
}

class Transaction extends Space implements api.OpenTransaction<api.Mode> {
  readonly runs: any = new TransactionRuns(this.caller, this.place);

  run(id: string): any {
    return new NamedSpace(this.caller, this.place, id);
  }

  seq(): Now<number> {
    return this.ask(Operation.TransactionSeq, undefined, number);
  }

  savepoint(): Now<api.Savepoint> {
    return this.ask(Operation.TransactionSavepoint, undefined, (answer) => ({ savepoint: answer.u32() }));
  }

  rollbackTo({ savepoint }: api.Savepoint): Now<void> {
    return this.ask(Operation.TransactionRollbackTo, (out) => out.u32(savepoint), () => undefined);
  }

  commit(): Now<api.Receipt> {
    return this.ask(Operation.TransactionCommit, undefined, receipt);
  }

  rollback(): Now<void> {
    return this.ask(Operation.TransactionRollback, undefined, () => undefined);
  }
}

/** How a durability is written. */
export function durability(out: Writer, durability: api.Durability): void {
  if (durability === "strict") return out.u8(0);
  if (durability === "inMemory") return out.u8(2);
  if (durability !== "buffered" && typeof durability !== "object") {
    throw invalid("Argument", `${String(durability)} is not a durability`);
  }
  const { intervalMs = 100, bytes = 1 << 20 } = durability === "buffered" ? {} : durability;
  out.u8(1);
  out.number(intervalMs);
  out.number(bytes);
}

function begin(caller: Caller, options: api.TransactionOptions): Now<Place> {
  const place = { target: 1, handle: caller.handle(), run: undefined };
  const write = (out: Writer) => {
    out.optional(options.durability, (wanted) => durability(out, wanted));
    out.optional(options.idempotencyKey, (key) => out.key(key));
  };
  return chain(caller.call(place, Operation.TransactionBegin, write, nothing), () => place);
}

/** Runs `work` in a transaction and commits it, again after a conflict, as often as the options say. */
export function transact<T>(
  caller: Caller,
  options: api.TransactionOptions,
  work: (place: Place) => T | PromiseLike<T>,
  attempt = 0,
): Now<{ value: T; receipt: api.Receipt }> {
  const { retries = DEFAULT_RETRIES } = options;
  return chain(begin(caller, options), (place) => {
    const transaction = new Transaction(caller, place);
    const failed = (error: unknown): any => {
      if (!(error instanceof FoldbError && error.kind === "Conflict" && attempt < retries)) throw error;
      return chain(caller.pause(attempt), () => transact(caller, options, work, attempt + 1));
    };
    const undo = (error: unknown): never => {
      // What failed is told; that the handle cannot be given back, because the store is gone, says nothing more.
      settle(() => transaction.rollback());
      throw error;
    };
    let value: T | PromiseLike<T>;
    try {
      value = work(place);
    } catch (error) {
      return undo(error);
    }
    if (isPromise(value)) {
      return Promise.resolve(value)
        .catch(undo)
        .then((value) => Promise.resolve(transaction.commit()).then((receipt) => ({ value, receipt }), failed));
    }
    const done = value;
    try {
      const committed = transaction.commit();
      return isPromise(committed)
        ? committed.then((receipt) => ({ value: done, receipt }), failed)
        : { value: done, receipt: committed };
    } catch (error) {
      return failed(error);
    }
  });
}

/** How often a closure runs again after a conflict, where nothing else is said. */
export const DEFAULT_RETRIES = 64;

function settle(work: () => unknown): void {
  try {
    const result = work();
    if (isPromise(result)) Promise.resolve(result).catch(() => {});
  } catch {
    // See above.
  }
}

const digest: Read<string> = (answer) => answer.hex();

/** Gives back the views that nobody holds any more. */
const forgotten =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<{ caller: Caller; place: Place }>(({ caller, place }) => {
        settle(() => caller.call(place, Operation.Release, undefined, nothing));
      });

/** What views and replays have in common. */
class Held extends Space {
  #released = false;

  constructor(caller: Caller, place: Place) {
    super(caller, place);
    forgotten?.register(this, { caller, place }, this);
  }

  release(): Now<void> {
    if (this.#released) return undefined;
    this.#released = true;
    forgotten?.unregister(this);
    return this.ask(Operation.Release, undefined, () => undefined);
  }
}

class View extends Held implements api.View<api.Mode> {
  readonly seq: number;
  readonly #runs = new RunRequests(this.caller, this.place);

  constructor(caller: Caller, place: Place, seq: number) {
    super(caller, place);
    this.seq = seq;
  }

  run(id: string): any {
    return new NamedSpace(this.caller, this.place, id);
  }

  runInfo(id: string): Now<api.RunInfo> {
    return this.#runs.info(id);
  }

  runs(): Now<api.RunInfo[]> {
    return this.#runs.list();
  }

  digest(run?: string): Now<string> {
    return this.caller.call({ ...this.place, run }, Operation.Digest, undefined, digest);
  }

  diff(older: string | undefined, newer: string | undefined): Now<api.Diff> {
    return differences(this.caller, this.place, older, newer);
  }
}

class Replay extends Held implements api.Replay<api.Mode> {
  readonly transactions: number;

  constructor(caller: Caller, place: Place, transactions: number) {
    super(caller, place);
    this.transactions = transactions;
  }

  digest(): Now<string> {
    return this.ask(Operation.Digest, undefined, digest);
  }

  diff(newer: api.Replay<any>): Now<api.Diff> {
    if (!(newer instanceof Replay)) throw invalid("Argument", "a replay is compared with a replay");
    return this.ask(Operation.Diff, (out) => out.u32(newer.place.handle), diff);
  }
}

function differences(caller: Caller, place: Place, older: string | undefined, newer: string | undefined): Now<api.Diff> {
  const write = (out: Writer) => {
    out.optional(older, (run) => out.id(run));
    out.optional(newer, (run) => out.id(run));
  };
  return caller.call(place, Operation.Diff, write, diff);
}

function diff(answer: Reader): api.Diff {
  const change = (read: () => any): any => {
    const how = answer.u8();
    if (how === 0) return { added: read() };
    if (how === 1) return { removed: read() };
    const from = read();
    return { from, to: read() };
  };
  const document = () => answer.value(true);
  const keyed = (read: () => any): any[] => answer.list(() => ({ key: answer.anyKey(), change: change(read) }));
  return {
    kv: keyed(() => answer.value()),
    json: answer.list(() => ({
      key: answer.anyKey(),
      change: answer.bytes[answer.at] === 3 ? places(answer, change, document) : change(document),
    })),
    events: answer.list(() => ({
      stream: answer.anyKey(),
      events: answer.list(() => ({ seq: answer.number(), change: change(() => event(answer)) })),
    })),
    state: keyed(() => ({ counter: answer.number(), value: answer.value() })),
    trace: answer.list(() => ({ place: answer.number(), change: change(() => traceEntry(answer)) })),
  };
}

function places(answer: Reader, change: (read: () => any) => any, document: () => any): any {
  answer.u8();
  return { paths: answer.list(() => ({ path: answer.text(), change: change(document) })) };
}

/** What the module says of an opening. */
export interface Opened {
  id: string;
  recovery: api.RecoveryReport;
}

/** Asks what opening the store found. */
export function opened(caller: Caller): Now<Opened> {
  return caller.call(STORE, Operation.StoreOpened, undefined, (answer) => {
    const damage = () => ({
      file: answer.text(),
      offset: answer.number(),
      len: answer.number(),
      rule: answer.text(),
      what: answer.text(),
      seqs: answer.optional((): [number, number] => [answer.number(), answer.number()]),
    });
    return {
      id: answer.text(),
      recovery: {
        created: answer.flag(),
        snapshot: answer.optional((): [number, number] => [answer.number(), answer.number()]),
        rejectedSnapshots: answer.list(damage),
        damage: answer.list(damage),
        seq: answer.number(),
        orphanedRuns: answer.list(() => answer.id()),
        phases: answer.list((): [string, number] => [answer.text(), answer.number()]),
      },
    };
  });
}

const pair = (answer: Reader) => (): [number, number] => [answer.number(), answer.number()];

function stats(answer: Reader): api.Stats {
  const store = answer.text();
  const numbers = Array.from({ length: 14 }, () => answer.number());
  const [seq, durableSeq, epoch, runs, entries, treeBytes, idempotencyKeys, commits, conflicts, retries, pendingBytes, count, totalMicros, logBytes] =
    numbers as [number, number, number, number, number, number, number, number, number, number, number, number, number, number];
  const histogram = answer.list(pair(answer));
  const segments = answer.list(() => ({ number: answer.number(), bytes: answer.number(), liveBytes: answer.number() }));
  const snapshots = answer.list(pair(answer));
  const syncs = { count, totalMicros, histogram };
  const sizes = { runs, entries, treeBytes, idempotencyKeys, pendingBytes, logBytes, memoryBytes: 0 };
  return { store, seq, durableSeq, epoch, commits, conflicts, retries, ...sizes, syncs, segments, snapshots };
}

function verification(answer: Reader): api.VerifyReport {
  return {
    segments: answer.number(),
    records: answer.number(),
    snapshots: answer.number(),
    spaces: answer.number(),
    entries: answer.number(),
    transactions: answer.number(),
    values: answer.number(),
    events: answer.number(),
    violations: answer.list(() => ({ place: answer.text(), what: answer.text() })),
  };
}

export class Db extends Space implements api.Db<api.Mode> {
  readonly name: string;
  readonly id: string;
  readonly created: boolean;
  readonly recovery: api.RecoveryReport;
  readonly runs: any = new Runs(this.caller, this.place);
  readonly #retries: number;
  #closed: Promise<void> | undefined;

  constructor(caller: Caller, { id, recovery }: Opened, retries = DEFAULT_RETRIES) {
    super(caller, STORE);
    this.name = caller.name;
    this.id = id;
    this.created = recovery.created;
    this.recovery = recovery;
    this.#retries = retries;
  }

  transaction(work: (tx: any) => any, options: api.TransactionOptions = {}): Now<any> {
    return chain(this.transactionWith(options, work), ({ value }) => value);
  }

  transactionWith(options: api.TransactionOptions, work: (tx: any) => any): Now<{ value: any; receipt: api.Receipt }> {
    return transact(this.caller, { retries: this.#retries, ...options }, (place) => {
      const value = work(new Transaction(this.caller, place));
      if (isPromise(value) && !this.caller.async) {
        Promise.resolve(value).catch(() => {});
        throw invalid("Promise", "a transaction of the synchronous API cannot wait: its closure returned a promise");
      }
      return value;
    });
  }

  beginTransaction(options: api.TransactionOptions = {}): Now<any> {
    return chain(begin(this.caller, options), (place) => new Transaction(this.caller, place));
  }

  view(): Now<any> {
    const place = { target: 2, handle: this.caller.handle(), run: undefined };
    const opened = this.caller.call(place, Operation.ViewOpen, undefined, number);
    return chain(opened, (seq) => new View(this.caller, place, seq));
  }

  replay(run: string, until?: number): Now<any> {
    return this.#replay(run, until);
  }

  replayDefault(): Now<any> {
    return this.#replay(undefined, undefined);
  }

  #replay(run: string | undefined, until: number | undefined): Now<any> {
    const place = { target: 2, handle: this.caller.handle(), run };
    const write = (out: Writer) => out.optional(until, (until) => out.number(until));
    const opened = this.caller.call(place, Operation.ReplayOpen, write, number);
    return chain(opened, (transactions) => new Replay(this.caller, { ...place, run: undefined }, transactions));
  }

  diff(older: string, newer: string): Now<api.Diff> {
    return differences(this.caller, STORE, older, newer);
  }

  digest(run?: string): Now<string> {
    return this.caller.call({ ...STORE, run }, Operation.Digest, undefined, digest);
  }

  subscribe(run: string | undefined, listener: (commit: api.Announcement) => void): () => void {
    return this.caller.subscribe(run, listener);
  }

  sync(): Now<number> {
    return this.ask(Operation.StoreSync, undefined, number);
  }

  waitDurable(seq: number): Now<void> {
    return this.ask(Operation.StoreWaitDurable, (out) => out.number(seq), () => undefined);
  }

  durableSeq(): Now<number> {
    return this.ask(Operation.StoreDurableSeq, undefined, number);
  }

  snapshot(): Now<{ generation: number; seq: number; bytes: number }> {
    return this.ask(Operation.StoreSnapshot, undefined, (answer) => ({
      generation: answer.number(),
      seq: answer.number(),
      bytes: answer.number(),
    }));
  }

  verify(): Now<api.VerifyReport> {
    return this.ask(Operation.StoreVerify, undefined, verification);
  }

  async stats(): Promise<api.Stats> {
    return this.caller.stats(await this.ask(Operation.StoreStats, undefined, stats));
  }

  ready(): Promise<void> {
    return this.caller.ready();
  }

  export(): Promise<Blob> {
    return this.caller.export();
  }

  close(): Promise<void> {
    this.#closed ??= this.caller.close();
    return this.#closed;
  }
}
