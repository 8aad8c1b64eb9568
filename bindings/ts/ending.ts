// The end of a process: what its stores have not synced yet is synced before it, however it comes.
//
// Invariants:
// - It comes as it would have come otherwise: with the same exit status, by the same signal, after the same listeners. Whoever
//   looks how many listeners a signal has beside their own finds none of ours.
// - Stores of one thread are ended by one set of listeners, also if several copies of the package are loaded: else each would
//   take the other for a listener that sees to the signal, and none would.
//
// What ends a process without asking it (SIGKILL, `process.abort`, an engine that runs out of memory) cannot be helped, nor a
// worker thread that is ended from outside: then what lies in this process is lost, which is what buffered commits have left here since
// the interval began. Relaxed and strict ones have left nothing here.

import { readFileSync, writeSync } from "node:fs";
import { constants } from "node:os";

/** Signals that end a process unless somebody listens. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Signal = (typeof SIGNALS)[number];

/** Syncs what a store has not synced yet. `last`: and every later write of it at once, for there is no other chance. */
export type Flush = (last: boolean) => void;

class Ending {
  readonly #exits = new Set<Flush>();
  readonly #killed = new Set<Flush>();
  /** The signals that only we listen to. */
  readonly #ours = new Set<Signal>();

  /** Has `flush` called when the process, or the worker thread, exits, until what it returns is called. */
  atExit(flush: Flush): () => void {
    return added(this.#exits, flush, (any) => {
      // Also after an uncaught error. Deno tells no exit then.
      const change = any ? "on" : "off";
      process[change]("exit", this.#exit);
      for (const event of ERRORS) globalThis[any ? "addEventListener" : "removeEventListener"](event, this.#error);
    });
  }

  /** Has `flush` called when a signal is about to end the process. */
  atSignal(flush: Flush): () => void {
    return added(this.#killed, flush, (any) => {
      const change = any ? "on" : "off";
      process[change]("newListener", this.#added);
      process[change]("removeListener", this.#removed);
      for (const signal of SIGNALS) {
        if (any) this.#listen(signal);
        else this.#leave(signal);
      }
    });
  }

  #listen(signal: Signal): void {
    if (this.#ours.has(signal) || process.listenerCount(signal) > 0 || isIgnored(signal)) return;
    this.#ours.add(signal);
    process.on(signal, this.#signalled);
  }

  #leave(signal: Signal): void {
    if (this.#ours.delete(signal)) process.off(signal, this.#signalled);
  }

  /** Somebody else listens to a signal: now it is up to them what becomes of the process. */
  readonly #added = (event: string | symbol, listener: unknown): void => {
    if (listener === this.#signalled || !isSignal(event) || !this.#ours.has(event)) return;
    // Not before the other one is there: without any listener, the engine would give the signal up and not take it again.
    process.nextTick(() => {
      if (process.listenerCount(event) > 1) this.#leave(event);
    });
  };

  /** Once nobody listens any more, the next signal would end the process. */
  readonly #removed = (event: string | symbol, listener: unknown): void => {
    if (!isSignal(event)) return;
    const byUs = !this.#ours.has(event);
    if (listener !== this.#signalled) return this.#listen(event);
    // All listeners were removed, ours among them.
    if (!byUs) process.nextTick(() => this.#ours.delete(event) && this.#listen(event));
  };

  /** A signal that nobody else listens to: the process ends by it, as it would have without us. */
  readonly #signalled = (signal: NodeJS.Signals): void => {
    each(this.#killed, false);
    if (!isSignal(signal) || process.listenerCount(signal) > 1) return;
    this.#leave(signal);
    process.kill(process.pid, signal);
    // Process number 1 lives on: for that one such signals have no effect.
    setImmediate(() => this.#killed.size > 0 && this.#listen(signal)).unref();
  };

  readonly #exit = (): void => each(this.#exits, true);
  readonly #error = (): void => each(this.#exits, false);
}

/** Adds to those who are to be told. `changed` hears of the first that comes and of the last that goes. */
function added(all: Set<Flush>, flush: Flush, changed: (any: boolean) => void): () => void {
  all.add(flush);
  if (all.size === 1) changed(true);
  return () => {
    if (all.delete(flush) && all.size === 0) changed(false);
  };
}

function each(all: Iterable<Flush>, last: boolean): void {
  for (const flush of all) {
    try {
      flush(last);
    } catch (error) {
      // Nobody is left to throw it to.
      writeSync(2, `foldb: what was buffered is not on stable media: ${String(error)}\n`);
    }
  }
}

const ERRORS = "Deno" in globalThis ? ["error", "unhandledrejection"] : [];

function isSignal(event: string | symbol): event is Signal {
  return (SIGNALS as readonly (string | symbol)[]).includes(event);
}

/** Whether the process was started to overlook the signal, as by `nohup`: some engines keep to that, and so must we. */
function isIgnored(signal: Signal): boolean {
  if (process.platform !== "linux") return false;
  try {
    const [, mask] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
    return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
  } catch {
    // Where nobody says so, it is as most processes are started.
    return false;
  }
}

const KEY = Symbol.for("foldb.ending");
const shared = globalThis as { [KEY]?: Ending };

/** The end of this process, or of this worker thread. */
export function ending(): Pick<Ending, "atExit" | "atSignal"> {
  return (shared[KEY] ??= new Ending());
}
