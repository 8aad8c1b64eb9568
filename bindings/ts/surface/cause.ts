// Why commits are made, and what the log says of one.
//
// Invariant: a text is never taken for the id of a trace entry, whatever it looks like: which of them it is, is said.

import type * as api from "../api.js";
import { invalid } from "../errors.js";
import { checkOptions } from "../given.js";
import { describe } from "../wire/cbor.js";
import type { Reader } from "../wire/reader.js";
import type { Writer } from "../wire/writer.js";

export function writeCause(out: Writer, cause: string | api.Cause): void {
  const { trace, text }: { trace?: string; text?: string } = typeof cause === "string" ? { text: cause } : cause;
  if (typeof cause !== "string") checkOptions("a cause", cause, ["trace", "text"]);
  if ((trace === undefined) === (text === undefined)) {
    throw invalid("Argument", `a cause is a text, { text } or { trace }, the id of a trace entry; not ${describe(cause)}`);
  }
  out.flag(trace !== undefined);
  if (trace !== undefined) out.id(trace);
  else out.text(text!);
}

export function readCause(answer: Reader): api.Cause | undefined {
  const kind = answer.u8();
  return kind === 2 ? { trace: answer.id() } : kind === 1 ? { text: answer.text() } : undefined;
}

export function commitInfo(answer: Reader): api.CommitInfo | undefined {
  return answer.optional(() => ({
    seq: answer.number(),
    timeMicros: answer.number(),
    base: answer.optional(() => answer.number()),
    cause: readCause(answer),
    idempotencyKey: answer.optional(() => answer.anyKey()),
  }));
}
