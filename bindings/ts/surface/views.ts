// Versions that do not change: views and replays.
//
// Invariant: they read one version, and write nothing.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { Operation } from "../operation.js";
import type { Caller, Now, Read } from "./caller.js";
import { diff, differences } from "./diff.js";
import { exact } from "./exact.js";
import { end, endLater } from "./hold.js";
import type { Place } from "./place.js";
import { RunRequests } from "./runs.js";
import { NamedSpace, Space } from "./space.js";

export const digest: Read<string> = (answer) => answer.hex();

/** What views and replays have in common. */
class Held extends Space {
  constructor(caller: Caller, place: Place) {
    super(caller, place);
    endLater(caller, place, Operation.Release);
  }

  release(): Now<void> {
    return this.place.hold?.ended ? undefined : end(this.caller, this.place, Operation.Release, () => undefined);
  }
}

export class View extends Held implements api.View<api.Mode> {
  readonly seq: number;
  readonly #runs = new RunRequests(this.caller, this.place);

  constructor(caller: Caller, place: Place, seq: number) {
    super(caller, place);
    this.seq = seq;
  }

  run(id: string): any {
    return new NamedSpace(this.caller, this.place, id);
  }

  runInfo(id: string): Now<api.RunInfo> {
    return this.#runs.info(id);
  }

  runs(): Now<api.RunInfo[]> {
    return this.#runs.list();
  }

  digest(run?: string): Now<string> {
    return this.caller.call({ ...this.place, run }, Operation.Digest, undefined, digest);
  }

  diff(older: string | undefined, newer: string | undefined): Now<api.Diff> {
    return differences(this.caller, this.place, older, newer);
  }
}

export class Replay extends Held implements api.Replay<api.Mode> {
  readonly transactions: number;

  constructor(caller: Caller, place: Place, transactions: number) {
    super(caller, place);
    this.transactions = transactions;
  }

  digest(): Now<string> {
    return this.ask(Operation.Digest, undefined, digest);
  }

  diff(newer: api.Replay<any>): Now<api.Diff> {
    if (!(newer instanceof Replay)) throw invalid("Argument", "a replay is compared with a replay");
    return this.ask(Operation.Diff, (out) => out.u32(newer.place.handle), diff);
  }
}

for (const surface of [Held, View, Replay]) exact(surface);
