// What every operation goes through: where it works, and whoever answers it, at once or by a promise.
//
// Invariant: nothing here knows an operation. `chain` goes on with either form of a result, so that each method is written once.

import type * as api from "../api.js";
import type { Listener } from "../commits.js";
import type { FoldbError } from "../errors.js";
import type { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";
import type { Place } from "./place.js";

/** Either form of a result. */
export type Now<T> = api.Out<api.Mode, T>;

export type Write = (out: Writer) => void;

export type Read<T> = (answer: Reader) => T;

/** Whoever answers requests. */
export interface Caller {
  readonly name: string;
  /** Whether answers come by promises. */
  readonly async: boolean;
  /** Sends a request and gives what `read` makes of its answer. */
  call<T>(place: Place, operation: Operation, write: Write | undefined, read: Read<T>): Now<T>;
  /** Answers what is not asked because it is wrong. Of its transaction nothing may be committed. */
  refuse(place: Place, error: FoldbError): Now<never>;
  /** Commits may return before they are on the medium from now on. */
  buffers?(): void;
  /** A number for a handle that is not in use. */
  handle(): number;
  /** Waits before a transaction is run again. */
  pause(attempt: number): Now<void>;
  /** Has somebody hear what the module has for this handle, until what is returned is called. */
  listen(handle: number, listener: Listener): () => void;
  stats(stats: api.Stats): Now<api.Stats> | Promise<api.Stats>;
  /** Waits until files are ready for the log to grow into. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/** Goes on with a result, at once if it is there. Not named `then`: a module that exports that is a promise to `import()`. */
export function chain<T, U>(result: T | PromiseLike<T>, go: (value: T) => Now<U>): Now<U> {
  return isPromise(result) ? Promise.resolve(result.then(go)) : go(result);
}

export function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

export function settle(work: () => unknown): void {
  try {
    const result = work();
    if (isPromise(result)) Promise.resolve(result).catch(() => {});
  } catch {
    // Whoever gives something back does so for good measure: what fails there is told elsewhere.
  }
}
