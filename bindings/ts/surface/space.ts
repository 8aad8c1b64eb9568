// The five primitives of a place: the default space, or a run.

import type { Caller } from "./caller.js";
import { Cells } from "./cells.js";
import { Documents } from "./documents.js";
import { Events } from "./events.js";
import { Kv } from "./kv.js";
import { Part } from "./part.js";
import type { Place } from "./place.js";
import { Trace } from "./trace.js";

/** The five primitives of a place. */
export class Space extends Part {
  readonly kv = new Kv(this.caller, this.place);
  readonly json = new Documents(this.caller, this.place);
  readonly events = new Events(this.caller, this.place);
  readonly state = new Cells(this.caller, this.place);
  readonly trace = new Trace(this.caller, this.place);
}

/** A run in a transaction or a view: its primitives and its id. */
export class NamedSpace extends Space {
  readonly id: string;

  constructor(caller: Caller, place: Place, id: string) {
    super(caller, { ...place, run: id });
    this.id = id;
  }
}
