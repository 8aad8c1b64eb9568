// Differences between two versions, primitive by primitive.

import type * as api from "../api.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";
import type { Caller, Now } from "./caller.js";
import { event } from "./events.js";
import type { Place } from "./place.js";
import { traceEntry } from "./trace.js";

export function differences(caller: Caller, place: Place, older: string | undefined, newer: string | undefined): Now<api.Diff> {
  const write = (out: Writer) => {
    out.optional(older, (run) => out.id(run));
    out.optional(newer, (run) => out.id(run));
  };
  return caller.call(place, Operation.Diff, write, diff);
}

export function diff(answer: Reader): api.Diff {
  const change = (read: () => any): any => {
    const how = answer.u8();
    if (how === 0) return { added: read() };
    if (how === 1) return { removed: read() };
    const from = read();
    return { from, to: read() };
  };
  const document = () => answer.value(true);
  const keyed = (read: () => any): any[] => answer.list(() => ({ key: answer.anyKey(), change: change(read) }));
  return {
    kv: keyed(() => answer.value()),
    json: answer.list(() => ({
      key: answer.anyKey(),
      change: answer.bytes[answer.at] === 3 ? places(answer, change, document) : change(document),
    })),
    events: answer.list(() => ({
      stream: answer.anyKey(),
      events: answer.list(() => ({ seq: answer.number(), change: change(() => event(answer)) })),
    })),
    state: keyed(() => ({ counter: answer.number(), value: answer.value() })),
    trace: answer.list(() => ({ place: answer.number(), change: change(() => traceEntry(answer)) })),
  };
}

function places(answer: Reader, change: (read: () => any) => any, document: () => any): any {
  answer.u8();
  return { paths: answer.list(() => ({ path: answer.text(), change: change(document) })) };
}
