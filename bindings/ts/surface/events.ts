// Streams of events.

import type * as api from "../api.js";
import { FoldbError } from "../errors.js";
import { checkOptions, choice } from "../given.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { checkKeys, type Writer } from "../wire/writer.js";
import { flag, nothing, number, optionalNumber } from "./answers.js";
import type { Now, Read, Write } from "./caller.js";
import { keyOf } from "./entries.js";
import { exact } from "./exact.js";
import { checkListening, filtered, tail } from "./listen.js";
import { Part } from "./part.js";

type Key = api.Key;

/** In the order in which they are written. */
const BOUNDS = ["gt", "gte", "lt", "lte", "from", "to", "limit"] as const;
const RANGE = [...BOUNDS, "reverse"];
const ALL = ["limit", "reverse", "after", "keys"];
const EVENT = ["kind", "payload"];

/** So many events a tail reads at once. */
const READ_AHEAD = 256;

export class Events extends Part implements api.Events<api.Mode> {
  #ask<T>(operation: Operation, stream: Key, read: Read<T>, write?: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(stream);
        write?.(out);
      },
      read,
    );
  }

  get(stream: Key, seq: number): Now<any> {
    return this.#ask(Operation.EventGet, stream, (answer) => answer.list(() => event(answer))[0], (out) => out.number(seq));
  }

  range(stream: Key, range?: api.EventRange): Now<any[]> {
    const write = (out: Writer) => {
      checkOptions("a range of events", range, RANGE);
      for (const bound of BOUNDS) out.optional(range?.[bound], (seq) => out.number(seq));
      out.flag(choice("reverse", range?.reverse));
    };
    return this.#ask(Operation.EventRange, stream, (answer) => answer.list(() => event(answer)), write);
  }

  all(options?: api.AllOptions): Now<any> {
    return this.#page(
      Operation.EventAll,
      options,
      (out) => {
        checkOptions("a list of all events", options, ALL);
        out.optional(options?.after, ({ version, stream, seq }) => {
          out.number(version);
          out.key(stream);
          out.number(seq);
        });
        out.optional(options?.limit, (limit) => out.number(limit));
        out.flag(choice("reverse", options?.reverse));
        checkKeys(options?.keys);
      },
      (answer, stream) => ({ stream: stream(), ...event(answer) }),
    );
  }

  /** What has the name of a stream, as text or bytes: as the options say. */
  #page(operation: Operation, options: Pick<api.ScanOptions, "keys"> | undefined, write: Write, item: (answer: Reader, stream: () => any) => any): Now<any> {
    return this.ask(operation, write, (answer) => {
      const stream = keyOf(options, answer);
      return answer.list(() => item(answer, stream));
    });
  }

  head(stream: Key): Now<number> {
    return this.#ask(Operation.EventHead, stream, number);
  }

  first(stream: Key): Now<number | undefined> {
    return this.#ask(Operation.EventFirst, stream, optionalNumber);
  }

  length(stream: Key): Now<number> {
    return this.#ask(Operation.EventLength, stream, number);
  }

  info(stream: Key): Now<any> {
    return this.#ask(Operation.EventInfo, stream, (answer) => answer.optional(() => summary(answer, () => answer.key())));
  }

  streams(options?: api.ScanOptions): Now<any> {
    return this.#page(Operation.EventStreams, options, (out) => out.scan(options), summary);
  }

  verifyChain(stream: Key): Now<api.ChainReport> {
    return this.#ask(Operation.EventVerifyChain, stream, (answer) => ({
      batches: answer.number(),
      events: answer.number(),
      verifiedFrom: optionalNumber(answer),
    }));
  }

  append(stream: Key, kind: string, payload: unknown): Now<number | undefined> {
    return this.#append(Operation.EventAppend, stream, (out) => {
      out.text(kind);
      out.value(payload);
    });
  }

  appendBatch(stream: Key, events: Iterable<api.NewEvent>): Now<number | undefined> {
    return this.#append(Operation.EventAppendBatch, stream, (out) =>
      out.list(events, (event) => {
        const { kind, payload } = event;
        checkOptions("an event", event, EVENT);
        out.text(kind);
        out.value(payload);
      }),
    );
  }

  #append(operation: Operation, stream: Key, write: Write): Now<number | undefined> {
    // In a transaction the answer says nothing, so that the write can wait for the next read or the commit.
    return this.#ask(operation, stream, this.place.target === 1 ? (nothing as Read<undefined>) : optionalNumber, write);
  }

  trim(stream: Key, keepFrom: number): Now<void> {
    return this.#ask(Operation.EventTrim, stream, () => undefined, (out) => out.number(keepFrom));
  }

  tail(stream: Key, from: number, options?: api.ListenOptions): AsyncGenerator<any, void> {
    checkListening("a tail", options);
    if (this.place.target !== 0) throw new FoldbError("Unsupported", "Unsupported", "a tail waits for commits: ask the store or a run for it, not a transaction");
    const { run } = this.place;
    const filter = filtered({ run, defaultSpace: run === undefined, primitive: "events", key: stream, orLife: true });
    return tail(this.caller, filter, from, (from) => this.range(stream, { from, limit: READ_AHEAD }), options?.signal);
  }

  deleteStream(stream: Key): Now<boolean> {
    return this.#ask(Operation.EventDeleteStream, stream, flag);
  }
}

exact(Events);

export function event(answer: Reader): api.StreamEvent {
  const seq = answer.number();
  const timeMicros = answer.number();
  const version = answer.number();
  const kind = answer.text();
  return { seq, kind, payload: answer.value(), timeMicros, version };
}

function summary(answer: Reader, key: () => any): any {
  return {
    stream: key(),
    head: answer.number(),
    first: answer.number(),
    events: answer.number(),
    bytes: answer.number(),
    createdMicros: answer.number(),
    appendedMicros: answer.number(),
    link: answer.raw(),
  };
}
