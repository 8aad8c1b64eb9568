// Listening to commits: by an iterator, by a callback, or only to know that there was one.
//
// Invariants: it is listened from the call on, so that what is committed behind it is heard. Whoever is slow is told what was
// missed; what waits for him takes a bounded part of the memory.

import type * as api from "../api.js";
import { PRIMITIVES, type Listener } from "../commits.js";
import { FoldbError, invalid } from "../errors.js";
import { checkOptions, checkWatching, choice } from "../given.js";
import { Operation } from "../operation.js";
import { TIMER_MAX_MILLIS } from "../wait.js";
import { describe } from "../wire/cbor.js";
import type { Writer } from "../wire/writer.js";
import { check, orCancelled } from "../work.js";
import { isPromise, settle, type Caller, type Write } from "./caller.js";
import { end, endLater, held } from "./hold.js";

const FILTER = ["run", "defaultSpace", "primitive", "key", "prefix", "durable", "orLife"];

/** Most commits that wait for whoever listens: as many as core keeps for one. */
const COMMITS_MAX = 4096;

/** One or several, as several. */
const several = <T>(given: T | readonly T[] | undefined): readonly T[] => (given === undefined ? [] : Array.isArray(given) ? given : [given as T]);

/** Writes which changes somebody wants to hear of. */
export function filtered(filter: api.ChangeFilter | undefined): Write {
  return (out: Writer) => {
    checkOptions("a filter of changes", filter, FILTER);
    const { run, defaultSpace, primitive, key, prefix, durable, orLife } = filter ?? {};
    if (run !== undefined && defaultSpace) throw invalid("Argument", "a filter of changes is of a run, or of the default space");
    out.optional(run, (run) => out.id(run));
    out.flag(choice("defaultSpace", defaultSpace));
    out.list(several(primitive), (primitive) => {
      const number = PRIMITIVES.indexOf(primitive);
      if (number < 0) throw invalid("Argument", `${describe(primitive)} is none of the primitives: ${PRIMITIVES.join(", ")}`);
      out.u8(number);
    });
    for (const keys of [key, prefix]) out.list(several(keys), (key) => out.key(key));
    out.flag(choice("durable", durable));
    out.flag(choice("orLife", orLife));
  };
}

/**
 * Has somebody told of commits from now on, until what is returned is called; or, where that is `kept` by nobody, until it is
 * collected.
 */
export function listen(caller: Caller, write: Write, listener: Listener, operation: Operation = Operation.Subscribe, kept = true): () => void {
  const place = held(caller, 2);
  const stop = caller.listen(place.handle, listener);
  const over = () => {
    stop();
    if (!place.hold!.ended) settle(() => end(caller, place, Operation.Release, () => undefined));
  };
  const failed = (error: unknown) => {
    stop();
    place.hold!.ended = true;
    listener.hear(error as FoldbError);
    listener.end();
  };
  if (!kept) endLater(caller, place, Operation.Release, stop);
  try {
    const begun = caller.call(place, operation, write, () => undefined);
    if (isPromise(begun)) Promise.resolve(begun).catch(failed);
  } catch (error) {
    stop();
    throw error;
  }
  return over;
}

/** What was heard and nobody has looked at yet. */
export class Ear implements Listener {
  #heard: (api.Announcement | FoldbError)[] = [];
  #over = false;
  #seq = 0;
  #wake = () => {};

  hear(what: api.Announcement | FoldbError): void {
    if (!(what instanceof FoldbError) && this.#heard.length >= COMMITS_MAX) {
      const why = `the commits behind seq ${this.#seq} up to seq ${what.seq} were not announced, because this subscriber was too slow; look again at what has changed since seq ${this.#seq}`;
      what = new FoldbError("Lagged", "Lagged", why);
      this.#heard = [];
    }
    this.#heard.push(what);
    this.#wake();
  }

  end(): void {
    this.#over = true;
    this.#wake();
  }

  /** Hears and tells nothing any more. */
  close(): void {
    this.#heard = [];
    this.end();
  }

  /** The next commit; `undefined` if there is none yet. Throws the error that comes next. */
  take(): api.Announcement | undefined {
    const next = this.#heard.shift();
    if (next instanceof FoldbError) throw next;
    this.#seq = next?.seq ?? this.#seq;
    return next;
  }

  /** Whoever asks is about to look at everything: no commit is news to him. Throws the error that ends it. */
  forget(): void {
    const heard = this.#heard;
    this.#heard = [];
    for (const error of heard) if (error instanceof FoldbError && error.kind !== "Lagged") throw error;
  }

  get isOver(): boolean {
    return this.#over && this.#heard.length === 0;
  }

  /** Waits until there is something, or nothing more comes; so many milliseconds at most. */
  async something(signal: AbortSignal | undefined, millis = Infinity): Promise<void> {
    check(signal);
    if (this.#heard.length > 0 || this.#over) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const woken = new Promise<void>((wake) => {
      this.#wake = wake;
      if (millis < Infinity) timer = setTimeout(wake, Math.min(millis, TIMER_MAX_MILLIS));
    });
    try {
      await orCancelled(signal, woken);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Commits as they are made. */
export class Subscription implements api.Subscription {
  readonly #ear = new Ear();
  readonly #signal: AbortSignal | undefined;
  readonly #end: () => void;
  /** One asks behind the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(caller: Caller, filter: api.ChangeFilter | undefined, options: api.ListenOptions | undefined) {
    checkListening("a subscription", options);
    this.#signal = options?.signal;
    this.#end = listen(caller, filtered(filter), this.#ear, Operation.Subscribe, false);
  }

  next(): Promise<IteratorResult<api.Announcement, undefined>> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  async #next(): Promise<IteratorResult<api.Announcement, undefined>> {
    try {
      if (!this.#ear.isOver) await this.#ear.something(this.#signal);
      const value = this.#ear.take();
      if (value) return { value, done: false };
    } catch (error) {
      if ((error as FoldbError).kind !== "Lagged") void this.return();
      throw error;
    }
    return this.return();
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#end();
    this.#ear.close();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

export function checkListening(what: string, options: api.ListenOptions | undefined): void {
  checkOptions(what, options, ["signal"]);
  checkWatching(options);
}

/** What is read from one place on, and then what comes later: `read` gives the next few. */
export async function* tail<T extends { seq: number }>(caller: Caller, write: Write, from: number, read: (from: number) => PromiseLike<T[]> | T[], signal: AbortSignal | undefined): AsyncGenerator<T, void> {
  const ear = new Ear();
  // Before the first look: no event lies in between.
  const over = listen(caller, write, ear);
  try {
    for (let next = from; ; ) {
      check(signal);
      ear.forget();
      if (ear.isOver) return;
      const found = await read(next);
      for (const one of found) {
        next = one.seq + 1;
        yield one;
      }
      if (found.length === 0) await ear.something(signal);
    }
  } finally {
    over();
  }
}

/** Calls for each commit. What the callback throws is reported like any uncaught error and keeps nobody else from hearing. */
export function onCommit(caller: Caller, filter: api.ChangeFilter, callback: (commit: api.Announcement) => void, onError?: (error: FoldbError) => void): () => void {
  for (const one of [callback, onError ?? callback]) if (typeof one !== "function") throw invalid("Argument", "a callback is a function");
  const hear = (what: api.Announcement | FoldbError) => {
    try {
      if (what instanceof FoldbError) onError?.(what);
      else callback(what);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
  return listen(caller, filtered(filter), { hear, end: () => {} });
}
