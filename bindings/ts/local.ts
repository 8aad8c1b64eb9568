// A store in this very thread: the synchronous API.
//
// Invariant: one call into the module for one operation. Requests are written into the module's memory and answers read
// from it; nothing is copied on the way but values.

import type { OpenOptions, Out, Mode, Stats, SyncDb } from "./api.js";
import { Listeners, readHeard, type Listener } from "./commits.js";
import { FoldbError, invalid, thrown, unwritable } from "./errors.js";
import type { Store } from "./foldb_wasm.js";
import { Memory, startTicking, tickMillis } from "./memory.js";
import { Operation } from "./operation.js";
import { readAnswer, writeHead } from "./request.js";
import { nothing } from "./surface/answers.js";
import { settle, type Caller } from "./surface/caller.js";
import { Db } from "./surface/db.js";
import { ended } from "./surface/hold.js";
import { STORE, type Place } from "./surface/place.js";
import { opened, type Opened } from "./surface/reports.js";
import { ANSWER_MILLIS, givenUp, within } from "./wait.js";
import { Reader } from "./wire/reader.js";
import { Writer } from "./wire/writer.js";

/** Bytes of the input buffer at first, and most that it keeps. */
const INPUT_BYTES = 4096;
const KEPT_BYTES = 4 << 20;

/** Calls whoever wants to hear of it when the thread ends, until what is returned is called. */
interface Ending {
  atExit(flush: (last: boolean) => void): () => void;
  atSignal(flush: (last: boolean) => void): () => void;
}

/** What surrounds a store in this thread. */
export interface Surroundings {
  readonly name: string;
  readonly store: Store;
  readonly memory: WebAssembly.Memory;
  readonly options: OpenOptions;
  /** Adds what only the platform knows. */
  stats?(stats: Stats): Promise<Stats>;
  /** The end of the thread, where it can be heard of. */
  readonly ending?: Ending;
  /** Called once the store is closed, or gone: gives back locks. */
  released?(): void | Promise<void>;
}

export class LocalCaller implements Caller {
  readonly async = false;
  readonly name: string;
  readonly #memory: Memory;
  readonly #surroundings: Surroundings;
  readonly #writer: Writer;
  readonly #listeners = new Listeners();
  readonly #stop: () => void;
  #exiting: (() => void) | undefined;
  #killed: (() => void) | undefined;
  /** Whether the thread ends: then nothing waits for a timer. */
  #last = false;
  #handles = 0;
  #retries = 0;
  #busy = false;

  constructor(surroundings: Surroundings) {
    const { name, store, memory, options } = surroundings;
    this.name = name;
    this.#surroundings = surroundings;
    this.#memory = new Memory(store, memory, (returned) => {
      const heard = readHeard(this.#reader(returned));
      queueMicrotask(() => this.#listeners.tell(heard));
    });
    this.#writer = new Writer((least) => this.#memory.input(least));
    this.#stop = startTicking(this.#memory, options);
    this.#exiting = surroundings.ending?.atExit(this.#flush);
    if (tickMillis(options) > 0 && (options.durability ?? "strict") !== "strict") this.buffers();
  }

  readonly #flush = (last: boolean): void => {
    this.#last ||= last;
    this.#memory.flush();
  };

  /** Some commits return before they are on the medium from now on. Only then it matters by what the thread ends: a listener is in the way of a signal. */
  buffers(): void {
    this.#killed ??= this.#surroundings.ending?.atSignal(this.#flush);
  }

  /** Leaves no timer and no listener behind. */
  stop(): void {
    this.#stop();
    this.#exiting?.();
    this.#killed?.();
  }

  call<T>(place: Place, operation: Operation, write: ((out: Writer) => void) | undefined, read: (answer: Reader) => T): T {
    const memory = this.#memory;
    if (memory.gone) throw memory.gone;
    if (place.hold?.ended) throw ended();
    if (this.#busy) throw invalid("Reentered", "a getter of a value, or an iterator, used the store that it is being written to");
    const out = this.#writer;
    out.at = 0;
    // What a long request took is given back before the next one.
    if (out.bytes.length === 0 || out.bytes.length > KEPT_BYTES) out.refresh(INPUT_BYTES);
    this.#busy = true;
    try {
      writeHead(out, place, operation, false);
      write?.(out);
    } catch (error) {
      throw unwritable(error);
    } finally {
      this.#busy = false;
    }
    let returned: number;
    try {
      returned = memory.store.call(0, out.at);
    } catch (error) {
      memory.gone = thrown(error);
      this.#listeners.end(memory.gone);
      throw memory.gone;
    }
    void memory.refill(returned);
    try {
      return readAnswer(this.#reader(returned), read);
    } finally {
      if (this.#last) this.#memory.tick();
      memory.tell(returned);
    }
  }

  #reader(returned: number): Reader {
    const { bytes, view, at, end } = this.#memory.answer(returned);
    return new Reader(bytes, view, at, end);
  }

  refuse(_: Place, error: FoldbError): never {
    throw error;
  }

  handle(): number {
    return ++this.#handles;
  }

  ready(): Promise<void> {
    return this.#memory.ready();
  }

  pause(): void {
    // There is nothing to wait for: nobody else commits in this thread meanwhile.
    this.#retries++;
  }

  listen(handle: number, listener: Listener): () => void {
    return this.#listeners.add(handle, listener);
  }

  async stats(stats: Stats): Promise<Stats> {
    stats.memoryBytes = this.#memory.memoryBytes;
    // Closures run again on this side, where they are.
    stats.retries += this.#retries;
    return (await this.#surroundings.stats?.(stats)) ?? stats;
  }

  async close(): Promise<void> {
    this.stop();
    if (this.#listeners.any) {
      // They hear of all that was committed before.
      settle(() => this.call(STORE, Operation.StoreSync, undefined, nothing));
      queueMicrotask(() => this.#listeners.end());
    }
    try {
      this.#memory.guard(() => this.#memory.store.close());
    } finally {
      this.#memory.gone ??= new FoldbError("Closed", "Closed", `the store ${this.name} was closed`);
      try {
        await within(ANSWER_MILLIS, this.#memory.settled(), () => {
          throw givenUp("Io", "a file that the browser was making has not come", ANSWER_MILLIS, "the store is closed, and has all that it was given");
        });
      } finally {
        await this.#surroundings.released?.();
      }
    }
  }
}

/** The synchronous API over an open store. */
export function localDb(surroundings: Surroundings): SyncDb {
  const caller = new LocalCaller(surroundings);
  let found: Opened;
  try {
    found = opened(caller) as Out<Mode, Opened> as Opened;
  } catch (error) {
    caller.stop();
    throw error;
  }
  return new Db(caller, found, surroundings.options.retries) as unknown as SyncDb;
}
