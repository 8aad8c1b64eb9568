// A store of this thread, as the module holds it: its buffers, its timer, and its failure.
//
// Invariant: nothing here knows what requests and answers say. So the worker that passes them on loads none of what does.

import type { OpenOptions } from "./api.js";
import { stopped, thrown, type FoldbError } from "./errors.js";
import type { Store } from "./foldb_wasm.js";
import { TIMER_MAX_MILLIS } from "./wait.js";
import { INPUT_BYTES_MAX } from "./wire/limits.js";

/** Marks in what a call returns: see `src/store.rs`. */
const MOVED = 0x80000000;
const ANNOUNCE = 0x40000000;
const LOW = 0x20000000;
const LENGTH = 0x1fffffff;

/** After files could not be made, it is not tried again for so many milliseconds. */
const REFILL_PAUSE_MILLIS = 500;

/** Ticks that leave nothing to do: one syncs, and one says so. */
const FLUSH_TICKS = 3;

/** The module's buffers, and its failure. */
export class Memory {
  readonly #memory: WebAssembly.Memory;
  readonly store: Store;
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #outputAt = 0;
  #refilling: Promise<void> | undefined;
  #refillAfter = 0;
  #gone: FoldbError | undefined;
  readonly #hear: (returned: number) => void;

  /** `hear` is given the length of what there is to hear for those who listen. */
  constructor(store: Store, memory: WebAssembly.Memory, hear: (returned: number) => void) {
    this.store = store;
    this.#hear = hear;
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer as ArrayBuffer);
    this.#view = new DataView(memory.buffer);
  }

  /** Why nothing can be asked any more. */
  get gone(): FoldbError | undefined {
    return this.#gone ?? stopped();
  }

  set gone(why: FoldbError | undefined) {
    this.#gone = why;
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
    const bytes = Math.max(least, Math.min(Math.ceil(least * 1.25), INPUT_BYTES_MAX));
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

  /** Where the answer is whose length a call returned: `bytes` and `view` are good until the next call. */
  answer(returned: number): { bytes: Uint8Array<ArrayBuffer>; view: DataView; at: number; end: number } {
    this.#refresh();
    if (returned >= MOVED) this.#outputAt = this.store.outputAt();
    return { bytes: this.#bytes, view: this.#view, at: this.#outputAt, end: this.#outputAt + (returned & LENGTH) };
  }

  /** Makes files ready, if a call says that few are. They are there once the event loop has run. */
  refill(returned: number): Promise<void> | undefined {
    // Without room nobody waits for files: the next request does not make any either.
    if (!this.#refilling && ((returned & LOW) === 0 || performance.now() < this.#refillAfter)) return undefined;
    this.#refilling ??= Promise.resolve()
      .then(() => this.guard(() => this.store.replenish()))
      // Without room the store goes on with the files that it has, and a commit that needs one says so.
      .catch(() => void (this.#refillAfter = performance.now() + REFILL_PAUSE_MILLIS))
      .finally(() => (this.#refilling = undefined));
    return this.#refilling;
  }

  /** Waits for files that are being made: until then the browser counts them as open. */
  async settled(): Promise<void> {
    await this.#refilling;
  }

  /** Makes files ready, and waits for them. */
  async ready(): Promise<void> {
    await this.guard(() => this.store.replenish());
  }

  /**
   * What a timer calls. Where it fails nothing was changed, or the store is poisoned: its next commit says so, to somebody
   * who listens.
   */
  tick(): void {
    try {
      this.tell(this.guard(() => this.store.tick()));
    } catch {
      // See above.
    }
  }

  /** Brings what is buffered to the medium, as far as that is possible, and says in the log that it is. Throws what fails. */
  flush(): void {
    if (this.gone) return;
    for (let ticks = 0; ticks < FLUSH_TICKS; ticks++) {
      const ticked = this.guard(() => this.store.tick());
      this.tell(ticked);
      if ((ticked & LENGTH) === 0) return;
    }
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** A copy of the answer, to be sent. */
  copy(returned: number): ArrayBuffer {
    const { bytes, at, end } = this.answer(returned);
    return bytes.slice(at, end).buffer as ArrayBuffer;
  }

  /** Has those who listen hear what there is, if what a call returned says that there is something. */
  tell(returned: number): void {
    if (returned & ANNOUNCE) this.#hear(this.guard(() => this.store.announcements()));
  }
}

/** Calls the store's timer. */
export function startTicking(memory: Memory, options: OpenOptions): () => void {
  const millis = tickMillis(options);
  if (millis === 0) return () => {};
  const timer: unknown = setInterval(() => memory.tick(), millis);
  // A process that has nothing else to do may end.
  (timer as { unref?(): void }).unref?.();
  return () => clearInterval(timer as number);
}

/** How often a store wants to be ticked, in milliseconds; 0 for never. */
export function tickMillis(options: OpenOptions): number {
  const { durability: wanted = "strict" } = options;
  if (wanted === "inMemory") return 0;
  if (wanted === "strict") return 1000;
  const interval = typeof wanted === "object" ? (wanted.intervalMs ?? 100) : 100;
  // A little early, so that a commit rarely finds the interval over. What is longer than a timer can wait would be no wait at all.
  return Math.min(Math.max(1, Math.floor(interval * 0.75)), TIMER_MAX_MILLIS);
}
