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

/**
 * What the module threw, as a `FoldbError`: its own errors are text of three parts, anything else means that it stopped
 * in the middle of its work and must not be used any more.
 */
export function thrown(cause: unknown): FoldbError {
  if (cause instanceof FoldbError) return cause;
  if (typeof cause === "string") {
    const [kind, code, ...message] = cause.split("\n");
    if (kind && code) return new FoldbError(kind as ErrorKind, code, message.join("\n"));
  }
  const said = cause instanceof Error ? cause.message : String(cause);
  return new FoldbError("Crashed", "Crashed", `the store's module stopped (${said}); reopen the store`, { cause });
}
