// What pairs, documents and cells have in common: entries under keys, which are read the same way.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { Operation } from "../operation.js";
import { describe } from "../wire/cbor.js";
import type { Reader } from "../wire/reader.js";
import { flag, number } from "./answers.js";
import type { Now, Read, Write } from "./caller.js";
import { exact } from "./exact.js";
import { Part } from "./part.js";

type Key = api.Key;

export const keyOf = (options: Pick<api.ScanOptions, "keys"> | undefined, answer: Reader): any =>
  options?.keys === "bytes" ? () => answer.raw() : () => answer.key();
const keysAs = (options: api.ScanOptions | undefined) => (options?.keys === "bytes" ? "bytes" : "text");

/** Reads of entries, the same for pairs, documents and cells. */
export class Entries extends Part {
  protected readonly family: number = 0;

  protected entry<T>(operation: Operation, key: Key, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.u8(this.family);
        out.key(key);
      },
      read,
    );
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

exact(Entries, ["exists", "existsMany", "count", "keys", "deleteRange"]);
