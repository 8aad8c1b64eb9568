// Long work: how far it is, and its end before its time.
//
// Invariant: whoever is told of progress is called between two steps and never in the middle of one; so it may use the store, if
// there is one yet. An error that it throws ends the work.

import type { Progress, WorkOptions } from "./api.js";
import { FoldbError } from "./errors.js";

function cancelled(signal: AbortSignal): FoldbError {
  return new FoldbError("Cancelled", "Cancelled", "the work was cancelled by its signal", { cause: signal.reason });
}

/** Throws where the work was cancelled. */
export function check(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}

/** Tells how far the work is, and throws where it was cancelled. */
export function tell({ onProgress, signal }: WorkOptions, progress: Progress): void {
  onProgress?.(progress);
  check(signal);
}

/** What comes, or the cancellation, whichever is first. */
export async function orCancelled<T>(signal: AbortSignal | undefined, result: Promise<T>): Promise<T> {
  if (!signal) return result;
  let stop!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(cancelled(signal));
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([result, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Lets the event loop run: an event that cancels the work has to arrive. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** What the module calls while it recovers a store, and what to do about the error of an opening that was stopped by it. */
export class Watch {
  readonly #options: WorkOptions;
  #error: unknown;

  constructor(options: WorkOptions) {
    this.#options = options;
    check(options.signal);
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** For the module; nothing where nobody wants to know. Returns whether to stop. */
  get call(): ((phase: string, done: number, total: number) => boolean) | undefined {
    const { onProgress, signal } = this.#options;
    if (!onProgress && !signal) return undefined;
    return (phase, done, total) => {
      try {
        tell(this.#options, { phase, done, total });
        return false;
      } catch (error) {
        this.#error = error;
        return true;
      }
    };
  }

  /** The error that stopped it, rather than that it was stopped. */
  cause(error: unknown): unknown {
    return this.#error ?? error;
  }
}
