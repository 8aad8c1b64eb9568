// Work that the module does in steps: between two of them it can be given up, and whatever else is asked of the store is
// done.
//
// Invariant: what was begun is given back, however it ends.

import type { Progress, WorkOptions } from "../api.js";
import { checkWork } from "../given.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { breathe, check, tell } from "../work.js";
import { settle, type Caller, type Now } from "./caller.js";
import { held } from "./hold.js";

/** Where a step has led: to the result, or so far. */
export interface Step<T> {
  result?: T;
  progress: Progress;
}

/** Where it works in this thread, work lets the event loop run once in so many steps: a timer takes as long as a few of them. */
const STEPS_MAX = 16;

/** Work that is under way: one function asks for the next step, one gives back what is left of it. */
interface Work<T> {
  step(): Now<Step<T>>;
  end(): void;
}

function begin<T>(caller: Caller, what: string, options: WorkOptions | undefined, open: Operation, step: Operation, read: (answer: Reader) => Step<T>): Work<T> {
  checkWork(what, options);
  check(options?.signal);
  const place = held(caller, 2);
  let next = open;
  return {
    step() {
      const asked = caller.call(place, next, undefined, read);
      next = step;
      return asked;
    },
    end: () => settle(() => caller.call(place, Operation.Release, undefined, () => undefined)),
  };
}

/** Does all of it, and comes back when it is done. */
export function atOnce<T>(caller: Caller, what: string, options: WorkOptions = {}, open: Operation, step: Operation, read: (answer: Reader) => Step<T>): T {
  const work = begin(caller, what, options, open, step, read);
  try {
    for (;;) {
      const { result, progress } = work.step() as Step<T>;
      tell(options, progress);
      if (result !== undefined) return result;
    }
  } catch (error) {
    work.end();
    throw error;
  }
}

/** Does all of it, and lets others do something between the steps. */
export async function inSteps<T>(caller: Caller, what: string, options: WorkOptions = {}, open: Operation, step: Operation, read: (answer: Reader) => Step<T>): Promise<T> {
  const work = begin(caller, what, options, open, step, read);
  try {
    for (let steps = 1; ; steps++) {
      const { result, progress } = await work.step();
      tell(options, progress);
      if (result !== undefined) return result;
      if (!caller.async && steps % STEPS_MAX === 0) await breathe();
    }
  } catch (error) {
    work.end();
    throw error;
  }
}
