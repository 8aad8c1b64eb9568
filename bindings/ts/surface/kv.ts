// Key-value pairs and counters.

import type * as api from "../api.js";
import { Operation } from "../operation.js";
import { flag, maybe, nothing, number } from "./answers.js";
import { chain, type Now, type Read, type Write } from "./caller.js";
import { Entries, KEPT } from "./entries.js";
import { exact } from "./exact.js";

type Key = api.Key;

export class Kv extends Entries implements api.Kv<api.Mode> {
  get(key: Key): Now<any> {
    return this.entry(Operation.EntryGet, key, maybe);
  }

  getOr<T>(key: Key, fallback: T): Now<T> {
    return this.entry(Operation.EntryGet, key, (answer) => (answer.done ? fallback : answer.maybe()));
  }

  getVersioned(key: Key): Now<any> {
    return this.versioned(key, maybe);
  }

  getMany(keys: Iterable<Key>): Now<any[]> {
    return this.many(keys, false);
  }

  scan(options?: api.ScanOptions): Now<any> {
    return this.scanned(options, (answer, key, version, length) => ({ key, value: answer.sized(length), version }));
  }

  put(key: Key, value: unknown, options?: api.LifeOptions): Now<void> {
    if (options !== undefined) return this.living(key, options, nothing, (out) => out.value(value));
    return this.#pair(Operation.KvPut, key, value, nothing);
  }

  #pair<T>(operation: Operation, key: Key, value: unknown, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.value(value);
      },
      read,
    );
  }

  #key<T>(operation: Operation, key: Key, read: Read<T>): Now<T> {
    return this.ask(operation, (out) => out.key(key), read);
  }

  putMany(pairs: Iterable<readonly [Key, unknown]>): Now<void> {
    return this.ask(
      Operation.KvPutMany,
      (out) => out.pairs(pairs, (value) => out.value(value)),
      nothing,
    );
  }

  putIfAbsent(key: Key, value: unknown, options?: api.NewLifeOptions): Now<void> {
    if (options !== undefined) return this.beginning(key, options, (out) => out.value(value));
    return this.#pair(Operation.KvPutIfAbsent, key, value, () => undefined);
  }

  delete(key: Key): Now<boolean> {
    return this.#key(Operation.KvDelete, key, flag);
  }

  remove(key: Key): Now<void> {
    return this.#key(Operation.KvRemove, key, nothing);
  }

  deleteMany(keys: Iterable<Key>): Now<number> {
    return this.ask(Operation.KvDeleteMany, (out) => out.list(keys, (key) => out.key(key)), number);
  }

  update(key: Key, change: (value: any) => any): Now<any> {
    return this.atomically((place) => {
      const kv = new Kv(this.caller, place);
      return chain(kv.get(key), (before) => {
        const value = change(before);
        return chain(kv.put(key, value, KEPT), () => value);
      });
    });
  }

  casVersion(key: Key, expected: number | undefined, value: unknown): Now<void> {
    return this.swap(Operation.KvCasVersion, key, expected, (out) => out.value(value));
  }

  casValue(key: Key, expected: unknown, value: unknown): Now<void> {
    return this.ask(
      Operation.KvCasValue,
      (out) => {
        out.key(key);
        // Not `optional`: null is a value.
        out.flag(expected !== undefined);
        if (expected !== undefined) out.value(expected);
        out.value(value);
      },
      () => undefined,
    );
  }

  getAndPut(key: Key, value: unknown): Now<any> {
    return this.#pair(Operation.KvGetAndPut, key, value, maybe);
  }

  getAndDelete(key: Key): Now<any> {
    return this.#key(Operation.KvGetAndDelete, key, maybe);
  }

  rename(from: Key, to: Key): Now<void> {
    return this.ask(
      Operation.KvRename,
      (out) => {
        out.key(from);
        out.key(to);
      },
      () => undefined,
    );
  }

  addI64(key: Key, delta: bigint | number): Now<void> {
    return this.#add(Operation.KvAddI64, key, (out) => out.i64(delta, true));
  }

  addU64(key: Key, delta: bigint | number): Now<void> {
    return this.#add(Operation.KvAddU64, key, (out) => out.i64(delta, false));
  }

  addF64(key: Key, delta: number): Now<void> {
    return this.#add(Operation.KvAddF64, key, (out) => out.number(delta));
  }

  addU256(key: Key, delta: bigint): Now<void> {
    return this.#add(Operation.KvAddU256, key, (out) => out.u256(delta));
  }

  #add(operation: Operation, key: Key, write: Write): Now<void> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        write(out);
      },
      nothing,
    );
  }
}

exact(Kv);
