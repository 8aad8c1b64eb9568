// The head of a request and of an answer: see `src/execute.rs`.

import { FoldbError } from "./errors.js";
import type { ErrorKind } from "./api.js";
import type { Operation } from "./operation.js";
import type { Place } from "./surface/place.js";
import type { Reader } from "./wire/reader.js";
import type { Writer } from "./wire/writer.js";

/** Writes what every request begins with. `waiting`: a write of a transaction whose answer nobody waits for. */
export function writeHead(out: Writer, { target, handle, run }: Place, operation: Operation, waiting: boolean): void {
  out.head(operation, waiting ? 3 : target, handle);
  out.flag(run !== undefined);
  if (run !== undefined) out.id(run);
}

/** Throws the error that an answer is, or gives its result. */
export function readAnswer<T>(answer: Reader, read: (answer: Reader) => T): T {
  if (answer.u8() === 0) return read(answer);
  throw readError(answer);
}

/** An error, as the module tells it. */
export function readError(answer: Reader): FoldbError {
  return new FoldbError(answer.text() as ErrorKind, answer.text(), answer.text());
}
