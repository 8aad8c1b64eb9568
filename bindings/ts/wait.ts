// Waiting for what may never come: browsers have lost answers, and workers of theirs have stood still.
//
// Invariant: no wait of the package is without an end but those that whoever waits has asked for. What was given up is said.

import { FoldbError } from "./errors.js";

/** How long a browser may take to answer what is a matter of milliseconds. */
export const ANSWER_MILLIS = 5_000;

/** The longest that a timer can wait: 25 days. */
export const TIMER_MAX_MILLIS = 0x7fffffff;

/** What comes within so many milliseconds; otherwise what `late` gives, or throws. What comes then is overlooked. */
export function within<T>(millis: number, result: Promise<T>, late: () => T): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    // Held by its timer: a signal of the browser's own could be collected before its time.
    const timer = setTimeout(() => {
      try {
        resolve(late());
      } catch (error) {
        reject(error);
      }
    }, millis);
    result.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** The error of a wait that was given up. `what` has not come; `then` says how things stand. */
export function givenUp(kind: "Io" | "Crashed" | "Unsupported", what: string, millis: number, then: string): FoldbError {
  return new FoldbError(kind, "TimedOut", `${what} for ${millis / 1000} s and was given up; ${then}`);
}
