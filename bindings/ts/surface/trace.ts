// Entries of a trace.

import type * as api from "../api.js";
import { checkOptions } from "../given.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { flag, number, optionalNumber } from "./answers.js";
import type { Now, Write } from "./caller.js";
import { exact } from "./exact.js";
import { Part } from "./part.js";

const LIST = ["limit", "reverse", "after"];
const OUTCOME = ["output", "durationMicros"];
const RECORD = ["kind", "name", "parent", "timeMicros", "data", "durationMicros"];

export class Trace extends Part implements api.Trace<api.Mode> {
  get(id: string): Now<api.TraceEntry | undefined> {
    return this.ask(Operation.TraceGet, (out) => out.id(id), (answer) => answer.optional(() => traceEntry(answer)));
  }

  exists(id: string): Now<boolean> {
    return this.ask(Operation.TraceExists, (out) => out.id(id), flag);
  }

  count(): Now<number> {
    return this.ask(Operation.TraceCount, undefined, number);
  }

  #list(options: api.TraceOptions | undefined, which: number, write?: Write): Now<api.TraceEntry[]> {
    return this.ask(
      Operation.TraceList,
      (out) => {
        checkOptions("a list of trace entries", options, LIST);
        out.page(options?.limit, options?.reverse, options?.after, (after) => {
          out.u32(16);
          out.id(after);
        });
        out.u8(which);
        write?.(out);
      },
      (answer) => answer.list(() => traceEntry(answer)),
    );
  }

  list(options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 0);
  }

  children(parent: string, options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 1, (out) => out.id(parent));
  }

  roots(options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 2);
  }

  byKind(kind: string, options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 3, (out) => out.text(kind));
  }

  byTime(fromMicros: number, toMicros: number, options?: api.TraceOptions): Now<api.TraceEntry[]> {
    return this.#list(options, 4, (out) => {
      out.number(fromMicros);
      out.number(toMicros);
    });
  }

  record(record: api.TraceRecord): Now<string> {
    return this.ask(
      Operation.TraceRecord,
      (out) => {
        checkOptions("a trace entry", record, RECORD);
        out.text(record.kind);
        out.text(record.name);
        out.value(record.data ?? null);
        out.optional(record.parent, (parent) => out.id(parent));
        out.optional(record.durationMicros, (micros) => out.number(micros));
        out.optional(record.timeMicros, (micros) => out.number(micros));
      },
      (answer) => answer.id(),
    );
  }

  finish(id: string, outcome?: { output?: unknown; durationMicros?: number }): Now<api.TraceEntry> {
    return this.ask(
      Operation.TraceFinish,
      (out) => {
        checkOptions("the outcome of a trace entry", outcome, OUTCOME);
        out.id(id);
        out.flag(outcome?.output !== undefined);
        if (outcome?.output !== undefined) out.value(outcome.output);
        out.optional(outcome?.durationMicros, (micros) => out.number(micros));
      },
      traceEntry,
    );
  }
}

exact(Trace);

export function traceEntry(answer: Reader): api.TraceEntry {
  return {
    id: answer.id(),
    kind: answer.text(),
    name: answer.text(),
    parent: answer.optional(() => answer.id()),
    timeMicros: answer.number(),
    durationMicros: optionalNumber(answer),
    version: answer.number(),
    data: answer.value(),
    output: answer.value(),
  };
}
