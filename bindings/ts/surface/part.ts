// What all parts of the surface have: where they are.

import type { Operation } from "../operation.js";
import { chain, type Caller, type Now, type Read, type Write } from "./caller.js";
import type { Place } from "./place.js";
import { transact } from "./transact.js";

/** What all parts of the surface have: where they are. */
export class Part {
  protected readonly caller: Caller;
  protected readonly place: Place;

  constructor(caller: Caller, place: Place) {
    this.caller = caller;
    this.place = place;
  }

  protected ask<T>(operation: Operation, write: Write | undefined, read: Read<T>): Now<T> {
    return this.caller.call(this.place, operation, write, read);
  }

  /** Runs `work` in the transaction that this belongs to, or in one of its own; in a view, where its write is refused. */
  protected atomically<T>(work: (place: Place) => Now<T>): Now<T> {
    if (this.place.target !== 0) return work(this.place);
    return chain(
      transact(this.caller, {}, undefined, (place) => work({ ...place, run: this.place.run })),
      ({ value }) => value,
    );
  }
}
