// What pairs, documents and cells have in common: entries under keys, which are read the same way.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { checkOptions, choice } from "../given.js";
import { Operation } from "../operation.js";
import { describe } from "../wire/cbor.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";
import { flag, number } from "./answers.js";
import type { Now, Read, Write } from "./caller.js";
import { exact } from "./exact.js";
import { Part } from "./part.js";

type Key = api.Key;

export const keyOf = (options: Pick<api.ScanOptions, "keys"> | undefined, answer: Reader): any =>
  options?.keys === "bytes" ? () => answer.raw() : () => answer.key();
const keysAs = (options: api.ScanOptions | undefined) => (options?.keys === "bytes" ? "bytes" : "text");

/** What changes a value leaves it as long to live as it has. */
export const KEPT: api.LifeOptions = { keepTtl: true };

/** Reads of entries, the same for pairs, documents and cells. */
export class Entries extends Part {
  protected readonly family: number = 0;

  protected entry<T>(operation: Operation, key: Key, read: Read<T>, write?: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.u8(this.family);
        out.key(key);
        write?.(out);
      },
      read,
    );
  }

  /** Writes an entry that is over at some time; `write` adds its value. */
  protected living<T>(key: Key, options: api.LifeOptions, read: Read<T>, write: Write): Now<T> {
    const living = (out: Writer) => {
      life(out, options);
      write(out);
    };
    return this.entry(Operation.EntryPut, key, read, living);
  }

  /** Writes an entry where there is none; `write` adds its value. */
  protected beginning(key: Key, options: api.NewLifeOptions, write: Write): Now<void> {
    const beginning = (out: Writer) => {
      checkOptions("what is new", options, ["ttlMs"]);
      out.optional(options.ttlMs, (millis) => out.number(millis));
      write(out);
    };
    return this.entry(Operation.EntryPutIfAbsent, key, () => undefined, beginning);
  }

  touch(key: Key, ttlMs: number): Now<boolean> {
    return this.entry(Operation.EntryTouch, key, flag, (out) => out.number(ttlMs));
  }

  expireAt(key: Key, micros: number): Now<boolean> {
    return this.entry(Operation.EntryExpireAt, key, flag, (out) => out.number(micros));
  }

  persist(key: Key): Now<boolean> {
    return this.entry(Operation.EntryPersist, key, flag);
  }

  expiresAt(key: Key): Now<number | undefined> {
    return this.#expiry(key, (_, micros) => micros);
  }

  ttl(key: Key): Now<number | undefined> {
    return this.#expiry(key, (now, micros) => Math.max(0, micros - now) / 1000);
  }

  #expiry(key: Key, made: (now: number, micros: number) => number): Now<number | undefined> {
    return this.entry(Operation.EntryExpiresAt, key, (answer) => {
      const now = answer.number();
      return answer.optional(() => made(now, answer.number()));
    });
  }

  protected versioned(key: Key, read: Read<any>): Now<any> {
    return this.entry(Operation.EntryGetVersioned, key, (answer) => {
      if (answer.done) return undefined;
      const version = answer.number();
      return { value: read(answer), version };
    });
  }

  /** Replaces an entry whose version is the expected one; `write` adds what comes instead. */
  protected swap(operation: Operation, key: Key, expected: number | undefined, write: Write): Now<void> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.optional(expected, (version) => out.number(version));
        write(out);
      },
      () => undefined,
    );
  }

  exists(key: Key): Now<boolean> {
    return this.entry(Operation.EntryExists, key, flag);
  }

  existsMany(keys: Iterable<Key>): Now<boolean[]> {
    return this.#many(Operation.EntryExistsMany, keys, (answer) => answer.list(() => answer.flag()));
  }

  count(range?: api.RangeOptions): Now<number> {
    return this.ask(
      Operation.EntryCount,
      (out) => {
        out.u8(this.family);
        out.range(range);
      },
      number,
    );
  }

  keys(options?: api.ScanOptions): Now<any> {
    return this.#range(Operation.EntryKeys, options, (answer) => answer.list(keyOf(options, answer)));
  }

  #range<T>(operation: Operation, options: api.ScanOptions | undefined, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.u8(this.family);
        out.scan(options);
      },
      read,
    );
  }

  deleteRange(range: api.RangeOptions): Now<api.Deleted> {
    return this.ask(
      Operation.EntryDeleteRange,
      (out) => {
        checkSaid(range);
        out.u8(this.family);
        out.range(range);
      },
      (answer) => ({ keys: answer.number(), isComplete: answer.flag() }),
    );
  }

  protected scanned<T>(options: api.ScanOptions | undefined, item: Item<T>): Now<T[]> {
    return this.#range(Operation.EntryScan, options, (answer) => entries(answer, options, item));
  }

  protected many(keys: Iterable<Key>, json: boolean): Now<any[]> {
    return this.#many(Operation.EntryGetMany, keys, (answer) => answer.list(() => answer.value(json)));
  }

  #many<T>(operation: Operation, keys: Iterable<Key>, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.u8(this.family);
        out.list(keys, (key) => out.key(key));
      },
      read,
    );
  }
}

/** How long what is written lives, by one of the ways to say it. */
function life(out: Writer, options: api.LifeOptions): void {
  checkOptions("what is written", options, ["ttlMs", "expiresAtMicros", "keepTtl"]);
  const { ttlMs, expiresAtMicros } = options;
  const kept = choice("keepTtl", options.keepTtl);
  const said = [kept || undefined, ttlMs, expiresAtMicros].filter((way) => way !== undefined);
  if (said.length > 1) throw invalid("Argument", "how long it lives is said in two ways: give one of ttlMs, expiresAtMicros and keepTtl");
  out.u8(kept ? 0 : ttlMs !== undefined ? 1 : expiresAtMicros !== undefined ? 2 : 3);
  if (!kept && said.length > 0) out.number((ttlMs ?? expiresAtMicros)!);
}

/** Refuses a range to be deleted that is not said. A variable that is not set would else delete everything. */
function checkSaid(range: unknown): void {
  const missing = Object.entries(range ?? { "a range of keys": range }).find(([, bound]) => bound === undefined || bound === null);
  if (!missing) return;
  throw invalid("Argument", `what is to be deleted is not said: ${missing[0]} is ${describe(missing[1])}; {} is every key`);
}

/** Makes an entry of its key and version, and of a value of so many bytes, which the answer is at. */
type Item<T> = (answer: Reader, key: any, version: number, length: number) => T;

export function entries<T>(answer: Reader, options: api.ScanOptions | undefined, item: Item<T>): T[] {
  return answer.entries(keysAs(options), (key, version, length) => item(answer, key, version, length));
}

exact(Entries, ["exists", "existsMany", "count", "keys", "deleteRange", "touch", "expireAt", "persist", "expiresAt", "ttl"]);
