// A transaction that is open.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { Operation } from "../operation.js";
import type { Writer } from "../wire/writer.js";
import { nothing, number } from "./answers.js";
import type { Now } from "./caller.js";
import { writeCause } from "./cause.js";
import { exact } from "./exact.js";
import type { Hold } from "./place.js";
import { TransactionRuns } from "./runs.js";
import { NamedSpace, Space } from "./space.js";
import { commit, rollback } from "./transact.js";

/** Which transaction each savepoint is of. */
const owners = new WeakMap<api.Savepoint, Hold | undefined>();

export class Transaction extends Space implements api.OpenTransaction<api.Mode> {
  readonly runs: any = new TransactionRuns(this.caller, this.place);

  run(id: string): any {
    return new NamedSpace(this.caller, this.place, id);
  }

  seq(): Now<number> {
    return this.ask(Operation.TransactionSeq, undefined, number);
  }

  because(cause: string | api.Cause): Now<void> {
    return this.ask(Operation.TransactionBecause, (out) => writeCause(out, cause), nothing);
  }

  savepoint(): Now<api.Savepoint> {
    return this.ask(Operation.TransactionSavepoint, undefined, (answer) => {
      const savepoint = { savepoint: answer.u32() };
      owners.set(savepoint, this.place.hold);
      return savepoint;
    });
  }

  rollbackTo(to: api.Savepoint): Now<void> {
    const write = (out: Writer) => {
      if (!owners.has(to)) throw invalid("Argument", "that is no savepoint; savepoint() gives one");
      // Also of an earlier attempt of the same closure: the number would name another place of this one.
      if (owners.get(to) !== this.place.hold) throw invalid("Savepoint", "the savepoint is of another transaction, or of an earlier attempt of this one");
      out.u32(to.savepoint);
    };
    return this.ask(Operation.TransactionRollbackTo, write, () => undefined);
  }

  commit(): Now<api.Receipt> {
    return commit(this.caller, this.place);
  }

  rollback(): Now<void> {
    return rollback(this.caller, this.place);
  }
}

exact(Transaction);
