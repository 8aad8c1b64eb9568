// What pairs, documents and cells have in common: entries under keys, which are read the same way.

import type * as api from "../api.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { flag, number } from "./answers.js";
import type { Now, Read } from "./caller.js";
import { exact } from "./exact.js";
import { Part } from "./part.js";

type Key = api.Key;

export const keyOf = (options: api.ScanOptions | undefined, answer: Reader): any =>
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

  exists(key: Key): Now<boolean> {
    return this.entry(Operation.EntryExists, key, flag);
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

  protected scanned<T>(options: api.ScanOptions | undefined, item: Item<T>): Now<T[]> {
    return this.#range(Operation.EntryScan, options, (answer) => entries(answer, options, item));
  }

  protected many(keys: Iterable<Key>, json: boolean): Now<any[]> {
    return this.ask(
      Operation.EntryGetMany,
      (out) => {
        out.u8(this.family);
        out.list(keys, (key) => out.key(key));
      },
      (answer) => answer.list(() => answer.value(json)),
    );
  }
}

/** Makes an entry of its key and version, and of a value of so many bytes, which the answer is at. */
type Item<T> = (answer: Reader, key: any, version: number, length: number) => T;

export function entries<T>(answer: Reader, options: api.ScanOptions | undefined, item: Item<T>): T[] {
  return answer.entries(keysAs(options), (key, version, length) => item(answer, key, version, length));
}

exact(Entries, ["exists", "count", "keys"]);
