// What callers give to the package, looked at before anything is made of it.
//
// Invariant: nothing that a caller gives is overlooked, and nothing is made of it that it is not. An option that is misspelt, an
// argument too many or half of a character would else change what a call means, without a word.

import type { WorkOptions } from "./api.js";
import { invalid, type FoldbError } from "./errors.js";
import { isText } from "./text.js";
import { describe } from "./wire/cbor.js";

/** Names as a person lists them. */
function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** Refuses options that are none, and those that a call does not have. `what` is the call, or what the options are of. */
export function checkOptions(what: string, options: unknown, names: readonly string[]): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid("Argument", `the options of ${what} are an object, not ${describe(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || names.includes(name)) continue;
    throw invalid("Option", `${what} has no option ${JSON.stringify(name)}; it has ${listed(names)}`);
  }
}

/** The options of long work. */
export const WORK_OPTIONS = ["onProgress", "signal"];

export function checkWork(what: string, options: unknown): void {
  checkOptions(what, options, WORK_OPTIONS);
  checkWatching(options as WorkOptions | undefined);
}

/** Refuses what cannot be told of progress, and what cannot say that work is cancelled. */
export function checkWatching({ onProgress, signal }: WorkOptions = {}): void {
  if (onProgress !== undefined && typeof onProgress !== "function") throw invalid("Argument", `onProgress is a function, not ${describe(onProgress)}`);
  if (signal !== undefined && typeof signal?.aborted !== "boolean") throw invalid("Argument", `signal is an AbortSignal, not ${describe(signal)}`);
}

/** Refuses what is not how often something is tried again. */
export function checkRetries(retries: unknown): void {
  if (retries === undefined || retries === Infinity || (Number.isSafeInteger(retries) && (retries as number) >= 0)) return;
  throw invalid("Argument", `retries is an integer, 0 or more, not ${describe(retries)}`);
}

/** Whether an option is true or false; left out, it is `otherwise`. */
export function choice(name: string, chosen: unknown, otherwise = false): boolean {
  if (chosen === undefined || chosen === null) return otherwise;
  if (typeof chosen !== "boolean") throw invalid("Argument", `${name} is true or false, not ${describe(chosen)}`);
  return chosen;
}

/** Refuses what is not the name of a store. What else a name may be is for the module to say. */
export function checkName(name: unknown): void {
  if (typeof name !== "string") throw invalid("Argument", `the name of a store is a string, not ${describe(name)}`);
  // It would be another name on its way to the file system, the same one for many.
  if (!isText(name)) throw invalid("Text", `the name of a store cannot have half of a surrogate pair: ${JSON.stringify(name)}`);
}

/** The error of a call that was given more than it takes; `undefined` where it was not. `undefined` says nothing. */
export function surplus(what: string, takes: number, given: ArrayLike<unknown>): FoldbError | undefined {
  for (let at = takes; at < given.length; at++) {
    if (given[at] === undefined) continue;
    const most = takes === 0 ? "no argument" : takes === 1 ? "one argument" : `${takes} arguments`;
    return invalid("Argument", `${what} takes ${most}, and was given ${describe(given[at])} as number ${at + 1}`);
  }
  return undefined;
}

/** Refuses arguments that a function does not take. */
export function checkSurplus(what: string, takes: number, given: ArrayLike<unknown>): void {
  const error = surplus(what, takes, given);
  if (error) throw error;
}
