// Runs: their life, what describes them, and lists of them.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { checkOptions, choice } from "../given.js";
import { Operation } from "../operation.js";
import { describe } from "../wire/cbor.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";
import { optionalNumber, swept } from "./answers.js";
import { chain, type Now, type Read, type Write } from "./caller.js";
import { exact } from "./exact.js";
import { Part } from "./part.js";
import { STORE } from "./place.js";
import { NamedSpace } from "./space.js";
import { receipt } from "./transact.js";

const OF_KEY = ["name", "parent", "labels", "metadata"];
const OPTIONS = [...OF_KEY, "id"];
const FILTER = ["status", "name", "parent", "labels", "after", "limit", "newestFirst"];
const STATUSES: readonly api.RunStatus[] = ["active", "orphaned", "completed", "failed", "cancelled"];

function runInfo(answer: Reader): api.RunInfo {
  return {
    id: answer.id(),
    number: answer.u32(),
    name: answer.text(),
    status: answer.text() as api.RunStatus,
    parent: answer.optional(() => answer.id()),
    labels: Object.fromEntries(answer.list(() => [answer.text(), answer.text()])),
    metadata: answer.value(),
    beganMicros: answer.number(),
    endedMicros: optionalNumber(answer),
    message: answer.optional(() => answer.text()),
    resumed: answer.u32(),
    firstSeq: answer.number(),
    lastSeq: answer.number(),
    commits: answer.number(),
  };
}

/** Requests on runs, which answer with a receipt on the store and with nothing in a transaction. */
export class RunRequests extends Part {
  change<T>(operation: Operation, id: string, read: Read<T>, write?: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.id(id);
        write?.(out);
      },
      read,
    );
  }

  end<T>(id: string, how: number, message: string | undefined, read: Read<T>): Now<T> {
    return this.change(Operation.RunEnd, id, read, (out) => {
      out.u8(how);
      out.optional(message, (message) => out.text(message));
    });
  }

  label<T>(id: string, key: string, value: string | undefined, read: Read<T>): Now<T> {
    return this.change(Operation.RunSetLabel, id, read, (out) => {
      out.text(key);
      out.optional(value, (value) => out.text(value));
    });
  }

  begin(options: api.RunOptions): Now<string> {
    return this.ask(
      Operation.RunBegin,
      (out) => {
        checkOptions("a run", options, OPTIONS);
        out.text(options.name);
        out.optional(options.id, (id) => out.id(id));
        described(out, options);
      },
      (answer) => answer.id(),
    );
  }

  beginOrGet(key: api.Key, options: api.KeyedRunOptions): Now<string> {
    return this.ask(
      Operation.RunBeginOrGet,
      (out) => {
        checkOptions("the run of a key", options, OF_KEY);
        out.key(key);
        out.text(options.name);
        described(out, options);
      },
      (answer) => answer.id(),
    );
  }

  info(id: string): Now<api.RunInfo> {
    return this.change(Operation.RunInfo, id, runInfo);
  }

  list(filter?: api.RunFilter): Now<api.RunInfo[]> {
    return this.ask(
      Operation.RunList,
      (out) => this.#filter(out, filter),
      (answer) => answer.list(() => runInfo(answer)),
    );
  }

  #filter(out: Writer, filter: api.RunFilter = {}): void {
    checkOptions("a list of runs", filter, FILTER);
    out.optional(filter.status, (status) => {
      const place = STATUSES.indexOf(status);
      if (place < 0) throw invalid("Argument", `${describe(status)} is not a status of a run: ${STATUSES.join(", ")}`);
      out.u8(place);
    });
    out.optional(filter.name, (name) => out.text(name));
    out.optional(filter.parent, (parent) => out.id(parent));
    labels(out, filter.labels);
    out.optional(filter.after, (after) => out.number(after));
    out.optional(filter.limit, (limit) => out.number(limit));
    out.flag(choice("newestFirst", filter.newestFirst));
  }
}

/** What is said of a run that begins, behind its name and id. */
function described(out: Writer, options: api.KeyedRunOptions): void {
  out.optional(options.parent, (parent) => out.id(parent));
  labels(out, options.labels);
  out.value(options.metadata ?? null);
}

function labels(out: Writer, labels: Record<string, string> = {}): void {
  const prototype: unknown = typeof labels === "object" && labels !== null ? Object.getPrototypeOf(labels) : undefined;
  // Of a map, or a list, the entries are no labels.
  if (prototype !== null && prototype !== Object.prototype) throw invalid("Argument", `labels are a plain object, not ${describe(labels)}`);
  out.list(Object.entries(labels), ([key, value]) => {
    out.text(key);
    out.text(value);
  });
}

class Run extends NamedSpace implements api.Run<api.Mode> {
  readonly #requests = new RunRequests(this.caller, STORE);

  info(): Now<api.RunInfo> {
    return this.#requests.info(this.id);
  }

  end(): Now<api.Receipt> {
    return this.#requests.end(this.id, 0, undefined, receipt);
  }

  fail(message: string): Now<api.Receipt> {
    return this.#requests.end(this.id, 1, message, receipt);
  }

  cancel(message: string): Now<api.Receipt> {
    return this.#requests.end(this.id, 2, message, receipt);
  }

  resume(): Now<api.Receipt> {
    return this.#requests.change(Operation.RunResume, this.id, receipt);
  }

  setLabel(key: string, value: string): Now<api.Receipt> {
    return this.#requests.label(this.id, key, value, receipt);
  }

  removeLabel(key: string): Now<api.Receipt> {
    return this.#requests.label(this.id, key, undefined, receipt);
  }

  setMetadata(metadata: unknown): Now<api.Receipt> {
    return this.#requests.change(Operation.RunSetMetadata, this.id, receipt, (out) => out.value(metadata));
  }

  sweepExpired(limit: number): Now<api.Swept> {
    return this.ask(Operation.StoreSweep, (out) => out.number(limit), swept);
  }

  children(): Now<api.RunInfo[]> {
    return this.#requests.list({ parent: this.id });
  }
}

export class Runs extends Part implements api.Runs<api.Mode> {
  readonly #requests = new RunRequests(this.caller, this.place);

  begin(options: api.RunOptions): Now<api.Run<any>> {
    return chain(this.#requests.begin(options), (id) => this.#run(id));
  }

  beginOrGet(key: api.Key, options: api.KeyedRunOptions): Now<api.Run<any>> {
    return chain(this.#requests.beginOrGet(key, options), (id) => this.#run(id));
  }

  #run(id: string): any {
    return new Run(this.caller, STORE, id);
  }

  get(id: string): Now<api.Run<any>> {
    return chain(this.#requests.info(id), ({ id }) => this.#run(id));
  }

  info(id: string): Now<api.RunInfo> {
    return this.#requests.info(id);
  }

  list(filter?: api.RunFilter): Now<api.RunInfo[]> {
    return this.#requests.list(filter);
  }

  delete(id: string): Now<api.Receipt> {
    return this.#requests.change(Operation.RunDelete, id, receipt);
  }
}

export class TransactionRuns extends Part implements api.TransactionRuns<api.Mode> {
  readonly #requests = new RunRequests(this.caller, this.place);

  begin(options: api.RunOptions): Now<any> {
    return chain(this.#requests.begin(options), (id) => new NamedSpace(this.caller, this.place, id));
  }

  end(id: string, message?: string): Now<void> {
    return this.#requests.end(id, 0, message, () => undefined);
  }

  fail(id: string, message: string): Now<void> {
    return this.#requests.end(id, 1, message, () => undefined);
  }

  cancel(id: string, message: string): Now<void> {
    return this.#requests.end(id, 2, message, () => undefined);
  }

  resume(id: string): Now<void> {
    return this.#requests.change(Operation.RunResume, id, () => undefined);
  }

  setLabel(id: string, key: string, value: string): Now<void> {
    return this.#requests.label(id, key, value, () => undefined);
  }

  removeLabel(id: string, key: string): Now<void> {
    return this.#requests.label(id, key, undefined, () => undefined);
  }

  setMetadata(id: string, metadata: unknown): Now<void> {
    return this.#requests.change(Operation.RunSetMetadata, id, () => undefined, (out) => out.value(metadata));
  }

  delete(id: string): Now<void> {
    return this.#requests.change(Operation.RunDelete, id, () => undefined);
  }

  info(id: string): Now<api.RunInfo> {
    return this.#requests.info(id);
  }
}

for (const surface of [Run, Runs, TransactionRuns]) exact(surface);
