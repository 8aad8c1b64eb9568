// The one error of the package.

import type { ErrorKind } from "./api.js";

/** Everything that can go wrong. `kind` says what to do, `code` names the exact case, the message has the place. */
export class FoldbError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;

  constructor(kind: ErrorKind, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FoldbError";
    this.kind = kind;
    this.code = code;
  }
}

/** A malformed or ill-typed call. */
export function invalid(code: string, message: string): FoldbError {
  return new FoldbError("Invalid", code, message);
}

/** For what the module rejects with. */
export function rethrow(cause: unknown): never {
  throw thrown(cause);
}

/** Asks something of the module, and of nobody else: what it throws is its own way to say what is wrong. */
export function fromModule<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    return rethrow(cause);
  }
}

/** Why nothing of the module may be called in this thread any more. */
let dead: FoldbError | undefined;

/** Why the module of this thread is of no use any more; `undefined` if it is. All its stores share one memory. */
export function stopped(): FoldbError | undefined {
  return dead;
}

/** What somebody threw, in words. */
export function said(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** What writing a request threw: an argument of a shape that the call does not take is refused like any other. */
export function unwritable(cause: unknown): unknown {
  if (!(cause instanceof TypeError)) return cause;
  return new FoldbError("Invalid", "Argument", `an argument is not of the shape that the call takes: ${said(cause)}`, { cause });
}

/** A trap, or an overflow of the stack, under the name that an engine gives it. */
function isTrap(cause: unknown): boolean {
  return cause instanceof WebAssembly.RuntimeError || cause instanceof RangeError || (cause as Error | undefined)?.name === "InternalError";
}

/**
 * What the module threw, as a `FoldbError`: its own errors are text of three parts, anything else means that it stopped
 * in the middle of its work. After a trap nothing may be called any more, for whichever store: its memory is in any state,
 * and a commit could write that down.
 */
export function thrown(cause: unknown): FoldbError {
  if (cause instanceof FoldbError) return cause;
  if (typeof cause === "string") {
    const [kind, code, ...message] = cause.split("\n");
    if (kind && code) return new FoldbError(kind as ErrorKind, code, message.join("\n"));
  }
  const why = `the store's module stopped (${said(cause)}); what was in flight may or may not be there`;
  const failure = new FoldbError("Crashed", "Crashed", `${why}: reopen the store, in a new worker or process unless \`open\` opened it`, { cause });
  if (isTrap(cause)) dead ??= failure;
  return failure;
}
