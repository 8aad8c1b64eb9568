// JSON documents, and places in them.

import type * as api from "../api.js";
import { whole } from "../integers.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { flag, maybeDocument, nothing, number } from "./answers.js";
import { chain, type Now, type Read } from "./caller.js";
import { entries, Entries } from "./entries.js";
import { exact } from "./exact.js";

type Key = api.Key;

export class Documents extends Entries implements api.Documents<api.Mode> {
  protected override readonly family = 1;

  get(key: Key): Now<any> {
    return this.entry(Operation.EntryGet, key, maybeDocument);
  }

  getVersioned(key: Key): Now<any> {
    return this.versioned(key, maybeDocument);
  }

  getMany(keys: Iterable<Key>): Now<any[]> {
    return this.many(keys, true);
  }

  list(options?: api.ScanOptions): Now<any> {
    return this.scanned(options, document);
  }

  select(path: string, value: unknown, options?: api.ScanOptions): Now<any> {
    return this.ask(
      Operation.JsonSelect,
      (out) => {
        out.text(path);
        out.document(value);
        out.scan(options);
      },
      (answer) => entries(answer, options, document),
    );
  }

  #at<T>(operation: Operation, key: Key, path: string, read: Read<T>, ...value: unknown[]): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.text(path);
        if (value.length > 0) out.document(value[0]);
      },
      read,
    );
  }

  getAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonGetAt, key, path, maybeDocument);
  }

  lengthAt(key: Key, path: string): Now<number> {
    return this.#at(Operation.JsonLengthAt, key, path, number);
  }

  typeAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonTypeAt, key, path, (answer) => answer.rest() || undefined);
  }

  keysAt(key: Key, path: string): Now<string[]> {
    return this.#at(Operation.JsonKeysAt, key, path, (answer) => answer.list(() => answer.text()));
  }

  #document<T>(operation: Operation, key: Key, value: unknown, read: Read<T>): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        out.document(value);
      },
      read,
    );
  }

  set(key: Key, value: unknown, options?: api.LifeOptions): Now<void> {
    if (options !== undefined) return this.living(key, options, nothing, (out) => out.document(value));
    return this.#document(Operation.JsonSet, key, value, nothing);
  }

  casVersion(key: Key, expected: number | undefined, document: unknown): Now<void> {
    return this.swap(Operation.JsonCasVersion, key, expected, (out) => out.document(document));
  }

  upsert(key: Key, changes: unknown): Now<boolean> {
    return this.#document(Operation.JsonUpsert, key, changes, flag);
  }

  update(key: Key, change: (document: any) => any): Now<any> {
    return this.atomically((place) => {
      const documents = new Documents(this.caller, place);
      return chain(documents.get(key), (before) => {
        const document = change(before);
        return chain(documents.#document(Operation.JsonReplace, key, document, () => undefined), () => document);
      });
    });
  }

  setMany(documents: Iterable<readonly [Key, unknown]>): Now<void> {
    return this.ask(
      Operation.JsonSetMany,
      (out) =>
        out.pairs(documents, (document) => out.document(document)),
      nothing,
    );
  }

  delete(key: Key): Now<boolean> {
    return this.ask(Operation.JsonDelete, (out) => out.key(key), flag);
  }

  deleteMany(keys: Iterable<Key>): Now<number> {
    return this.ask(Operation.JsonDeleteMany, (out) => out.list(keys, (key) => out.key(key)), number);
  }

  setAt(key: Key, path: string, value: unknown): Now<any> {
    return this.#at(Operation.JsonSetAt, key, path, maybeDocument, value);
  }

  deleteAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonDeleteAt, key, path, maybeDocument);
  }

  mergeAt(key: Key, path: string, changes: unknown): Now<void> {
    return this.#at(Operation.JsonMergeAt, key, path, () => undefined, changes);
  }

  patch(key: Key, operations: readonly api.PatchOperation[]): Now<void> {
    return this.#document(Operation.JsonPatch, key, operations, () => undefined);
  }

  pushAt(key: Key, path: string, value: unknown): Now<number> {
    return this.#at(Operation.JsonPushAt, key, path, number, value);
  }

  popAt(key: Key, path: string): Now<any> {
    return this.#at(Operation.JsonPopAt, key, path, maybeDocument);
  }

  incrementAt(key: Key, path: string, by: number | bigint): Now<any> {
    return this.ask(
      Operation.JsonIncrementAt,
      (out) => {
        out.key(key);
        out.text(path);
        // A number of more than 2^53 would be a float, and make one of the integer that is there.
        out.document(Number.isInteger(by) ? whole(by) : by);
      },
      maybeDocument,
    );
  }
}

exact(Documents);

function document(answer: Reader, key: any, version: number, length: number): any {
  return { key, document: answer.sized(length, true), version };
}
