// A store in this very thread: the synchronous API.
//
// Invariant: one call into the module for one operation. Requests are written into the module's memory and answers read
// from it; nothing is copied on the way but values.

import type { Announcement, OpenOptions, Out, Mode, Stats, SyncDb } from "./api.js";
import { Listeners, readCommits } from "./commits.js";
import { FoldbError, invalid, thrown } from "./errors.js";
import type { Store } from "./foldb_wasm.js";
import type { Operation } from "./operation.js";
import { tickMillis } from "./options.js";
import { readAnswer, writeHead } from "./request.js";
import { Db, opened, type Caller, type Opened, type Place } from "./surface.js";
import { Reader, Writer } from "./wire.js";

/** Marks in what a call returns: see `src/store.rs`. */
const MOVED = 0x80000000;
const ANNOUNCE = 0x40000000;
const LOW = 0x20000000;
const LENGTH = 0x1fffffff;

/** What surrounds a store in this thread. */
export interface Surroundings {
  readonly name: string;
  readonly store: Store;
  readonly memory: WebAssembly.Memory;
  readonly options: OpenOptions;
  /** Adds what only the platform knows. */
  stats?(stats: Stats): Promise<Stats>;
  /** Called once the store is closed, or gone: gives back locks. */
  released?(): void | Promise<void>;
}

/** The module's buffers, and its failure. */
export class Memory {
  readonly #memory: WebAssembly.Memory;
  readonly store: Store;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #outputAt = 0;
  /** Why nothing can be asked any more. */
  gone: FoldbError | undefined;

  constructor(store: Store, memory: WebAssembly.Memory) {
    this.store = store;
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer as ArrayBuffer);
    this.#view = new DataView(memory.buffer);
  }

  /** The module's memory, which is elsewhere after it has grown. */
  #refresh(): void {
    if (this.#bytes.length === 0) {
      this.#bytes = new Uint8Array(this.#memory.buffer as ArrayBuffer);
      this.#view = new DataView(this.#memory.buffer);
    }
  }

  /** An input buffer of at least so many bytes. */
  input(least: number): Uint8Array<ArrayBuffer> {
    // A quarter more, so that a long request does not ask for every piece.
    const bytes = Math.ceil(least * 1.25);
    const at = this.guard(() => this.store.reserve(bytes));
    return new Uint8Array(this.#memory.buffer as ArrayBuffer, at, bytes);
  }

  /** Runs what calls into the module. After a trap nothing may be called again: its memory is in any state. */
  guard<T>(work: () => T): T {
    if (this.gone) throw this.gone;
    try {
      return work();
    } catch (error) {
      const failure = thrown(error);
      if (failure.kind === "Crashed") this.gone = failure;
      throw failure;
    }
  }

  /** The answer that a call returned the length of. */
  answer(returned: number): Reader {
    this.#refresh();
    if (returned >= MOVED) this.#outputAt = this.store.outputAt();
    return new Reader(this.#bytes, this.#view, this.#outputAt, this.#outputAt + (returned & LENGTH));
  }

  #refilling: Promise<void> | undefined;

  /** Makes files ready, if a call says that few are. They are there once the event loop has run. */
  refill(returned: number): Promise<void> | undefined {
    if ((returned & LOW) === 0 && !this.#refilling) return undefined;
    this.#refilling ??= Promise.resolve()
      .then(() => this.guard(() => this.store.replenish()))
      // Without room the store goes on with the files that it has, and a commit that needs one says so.
      .catch(() => {})
      .finally(() => (this.#refilling = undefined));
    return this.#refilling;
  }

  /** Makes files ready, and waits for them. */
  async ready(): Promise<void> {
    await this.guard(() => this.store.replenish());
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** A copy of the answer, to be sent. */
  copy(returned: number): ArrayBuffer {
    const { bytes, at, end } = this.answer(returned);
    return bytes.slice(at, end).buffer as ArrayBuffer;
  }

  /** What was committed, to be sent. */
  commitBytes(returned: number): ArrayBuffer | undefined {
    if ((returned & ANNOUNCE) === 0) return undefined;
    return this.copy(this.guard(() => this.store.announcements()));
  }

  /** What was committed, if the return value of a call says that something was. */
  commits(returned: number): Announcement[] {
    if ((returned & ANNOUNCE) === 0) return [];
    return readCommits(this.answer(this.guard(() => this.store.announcements())));
  }
}

/** Calls the store's timer. */
export function startTicking(memory: Memory, options: OpenOptions): () => void {
  const millis = tickMillis(options);
  if (millis === 0) return () => {};
  const timer: unknown = setInterval(() => {
    try {
      memory.guard(() => memory.store.tick());
    } catch {
      // A failed sync has poisoned the store, and its next commit says so to somebody who listens.
    }
  }, millis);
  // A process that has nothing else to do may end.
  (timer as { unref?(): void }).unref?.();
  return () => clearInterval(timer as number);
}

export class LocalCaller implements Caller {
  readonly async = false;
  readonly name: string;
  readonly #memory: Memory;
  readonly #surroundings: Surroundings;
  readonly #writer: Writer;
  readonly #listeners: Listeners;
  readonly #stop: () => void;
  #handles = 0;
  #busy = false;

  constructor(surroundings: Surroundings) {
    const { name, store, memory, options } = surroundings;
    this.name = name;
    this.#surroundings = surroundings;
    this.#memory = new Memory(store, memory);
    this.#writer = new Writer((least) => this.#memory.input(least));
    this.#listeners = new Listeners((any) => {
      if (!this.#memory.gone) this.#memory.guard(() => store.announce(any));
    });
    this.#stop = startTicking(this.#memory, options);
  }

  call<T>(place: Place, operation: Operation, write: ((out: Writer) => void) | undefined, read: (answer: Reader) => T): T {
    const memory = this.#memory;
    if (memory.gone) throw memory.gone;
    if (this.#busy) throw invalid("Reentered", "a getter of a value, or an iterator, used the store that it is being written to");
    const out = this.#writer;
    out.at = 0;
    if (out.bytes.length === 0) out.refresh();
    this.#busy = true;
    try {
      writeHead(out, place, operation, false);
      write?.(out);
    } finally {
      this.#busy = false;
    }
    let returned: number;
    try {
      returned = memory.store.call(0, out.at);
    } catch (error) {
      throw (memory.gone = thrown(error));
    }
    if (returned & LOW) void memory.refill(returned);
    if ((returned & ANNOUNCE) === 0) return readAnswer(memory.answer(returned), read);
    try {
      return readAnswer(memory.answer(returned), read);
    } finally {
      const commits = memory.commits(returned);
      queueMicrotask(() => this.#listeners.tell(commits));
    }
  }

  handle(): number {
    return ++this.#handles;
  }

  ready(): Promise<void> {
    return this.#memory.ready();
  }

  pause(): void {
    // Nobody else commits in this thread meanwhile.
  }

  subscribe(run: string | undefined, listener: (commit: Announcement) => void): () => void {
    return this.#listeners.add(run, listener);
  }

  async stats(stats: Stats): Promise<Stats> {
    stats.memoryBytes = this.#memory.memoryBytes;
    return (await this.#surroundings.stats?.(stats)) ?? stats;
  }

  async export(): Promise<Blob> {
    const memory = this.#memory;
    if (memory.gone) throw memory.gone;
    const { exported } = await import("./archive.js");
    return memory.guard(() => exported(memory.store));
  }

  async close(): Promise<void> {
    this.#stop();
    try {
      this.#memory.guard(() => this.#memory.store.close());
    } finally {
      this.#memory.gone ??= new FoldbError("Closed", "Closed", `the store ${this.name} was closed`);
      await this.#surroundings.released?.();
    }
  }
}

/** The synchronous API over an open store. */
export function localDb(surroundings: Surroundings): SyncDb {
  const caller = new LocalCaller(surroundings);
  const found = opened(caller) as Out<Mode, Opened> as Opened;
  return new Db(caller, found, surroundings.options.retries) as unknown as SyncDb;
}
