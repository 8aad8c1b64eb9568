// State cells.

import type * as api from "../api.js";
import { FoldbError } from "../errors.js";
import { Operation } from "../operation.js";
import type { Reader } from "../wire/reader.js";
import { flag, number } from "./answers.js";
import { chain, type Now, type Read, type Write } from "./caller.js";
import { Entries, KEPT } from "./entries.js";
import { exact } from "./exact.js";

type Key = api.Key;

export class Cells extends Entries implements api.Cells<api.Mode> {
  protected override readonly family = 3;

  get(key: Key): Now<any> {
    return this.entry(Operation.EntryGet, key, (answer) => (answer.done ? undefined : cell(answer)));
  }

  getVersioned(key: Key): Now<any> {
    return this.versioned(key, cell);
  }

  list(options?: api.ScanOptions): Now<any> {
    return this.scanned(options, (answer, key, version, length) => {
      const end = answer.at + length;
      const counter = answer.varint();
      return { key, counter, value: answer.sized(end - answer.at), version };
    });
  }

  #write<T>(operation: Operation, key: Key, read: Read<T>, write: Write): Now<T> {
    return this.ask(
      operation,
      (out) => {
        out.key(key);
        write(out);
      },
      read,
    );
  }

  init(key: Key, value: unknown, options?: api.NewLifeOptions): Now<void> {
    if (options !== undefined) return this.beginning(key, options, (out) => out.value(value));
    return this.#write(Operation.CellInit, key, () => undefined, (out) => out.value(value));
  }

  set(key: Key, value: unknown, options?: api.LifeOptions): Now<number> {
    if (options !== undefined) return this.living(key, options, number, (out) => out.value(value));
    return this.#write(Operation.CellSet, key, number, (out) => out.value(value));
  }

  delete(key: Key): Now<boolean> {
    return this.#write(Operation.CellDelete, key, flag, () => {});
  }

  cas(key: Key, expected: number, value: unknown): Now<number> {
    return this.#write(Operation.CellCas, key, number, (out) => {
      out.number(expected);
      out.value(value);
    });
  }

  update(key: Key, change: (value: any) => any): Now<any> {
    return this.atomically((place) => {
      const cells = new Cells(this.caller, place);
      return chain(cells.get(key), (found) => {
        const value = change(found?.value);
        return chain(cells.set(key, value, KEPT), (counter) => ({ counter, value }));
      });
    });
  }

  transition(key: Key, change: (value: any) => any): Now<any> {
    return this.#transition(key, change);
  }

  transitionOrInit(key: Key, init: any, change: (value: any) => any): Now<any> {
    return this.#transition(key, change, { value: init });
  }

  #transition(key: Key, change: (value: any) => any, init?: { value: any }): Now<any> {
    return this.atomically((place) => {
      const cells = new Cells(this.caller, place);
      return chain(cells.get(key), (found): Now<any> => {
        if (!found && !init) throw new FoldbError("NotFound", "NotFound", `cell ${String(key)} does not exist`);
        const value = change(found ? found.value : init!.value);
        // A cell that is made here is made and changed in one commit, and so has the counter 2.
        const ready = found ? undefined : cells.init(key, init!.value);
        return chain(ready, () => chain(cells.set(key, value, KEPT), (counter) => ({ counter, value })));
      });
    });
  }
}

exact(Cells);

function cell(answer: Reader): api.Cell {
  const counter = answer.varint();
  return { counter, value: answer.maybe() };
}
