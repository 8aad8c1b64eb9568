// Transactions, views and replays as they are held on this side, and how they end.
//
// Invariant: the store keeps what one of them shows for as long as somebody holds it or any part of it. One that is forgotten is
// ended by the collector; nothing is asked of one that has ended.

import { invalid, type FoldbError } from "../errors.js";
import type { Operation } from "../operation.js";
import { settle, type Caller, type Now, type Read } from "./caller.js";
import type { Place } from "./place.js";

/** A place of its own for a transaction (1), or for a view or replay (2). */
export function held(caller: Caller, target: 1 | 2): Place {
  return { target, handle: caller.handle(), run: undefined, hold: { ended: false, failure: undefined } };
}

/** What is said of a transaction, view or replay that is not there any more. */
export function ended(): FoldbError {
  return invalid("Ended", "the transaction has ended, or the view was released");
}

/** Ends what nobody holds any part of any more. */
const forgotten =
  typeof FinalizationRegistry === "undefined" ? undefined : new FinalizationRegistry<() => void>((release) => settle(release));

/** Has `operation` end what `place` is of, once its hold is collected, behind `first`. */
export function endLater(caller: Caller, { target, handle, hold }: Place, operation: Operation, first?: () => void): void {
  // Another place, which does not keep the hold alive.
  const place = { target, handle, run: undefined, hold: undefined };
  const release = () => {
    first?.();
    return caller.call(place, operation, undefined, () => undefined);
  };
  if (hold) forgotten?.register(hold, release, hold);
}

/** Ends what `place` is of, by its last request. */
export function end<T>(caller: Caller, place: Place, operation: Operation, read: Read<T>): Now<T> {
  const { hold } = place;
  try {
    return caller.call(place, operation, undefined, read);
  } finally {
    if (hold) {
      forgotten?.unregister(hold);
      hold.ended = true;
    }
  }
}
