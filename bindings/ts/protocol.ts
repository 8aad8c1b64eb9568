// What the main thread and the worker say to each other. Both ends take it from here.
//
// Invariant: a message is looked at as a whole before anything is done; what is not one of these is refused. Requests are
// answered in their order. Versions count from 1; a worker speaks one and refuses others, so that an old tab and a new
// one cannot misunderstand each other over one worker.

import type { ErrorKind, OpenOptions, Progress } from "./api.js";
import { FoldbError } from "./errors.js";

export const PROTOCOL_VERSION = 2;

/** An error on its way. */
export interface SentError {
  kind: ErrorKind;
  code: string;
  message: string;
}

/** From a client to the worker. `alive` names a lock that the worker holds as long as it lives: a first message has one. */
export type ToWorker =
  /** The first message. `encoded` has the options for the module; `watched` asks to be told of progress. */
  | { type: "open"; version: number; name: string; alive: string; options: OpenOptions; encoded: Uint8Array; watched: boolean }
  /** Follows `open`: the WebAssembly module, compiled by the page; without one the worker sees to it itself. */
  | { type: "module"; module: WebAssembly.Module | undefined }
  /** Requests, each behind its length. */
  | { type: "requests"; bytes: ArrayBuffer }
  /** The page may be going: what is buffered should not wait for the timer. */
  | { type: "flush" }
  | { type: "stats" }
  | { type: "close" }
  /** What needs no open store. */
  | { type: "list"; alive: string }
  | { type: "destroy"; alive: string; name: string }
  | { type: "import"; alive: string; name: string; archive: Blob; watched: boolean }
  /** Gives up an import that is under way. Heard between two pieces of it. */
  | { type: "cancel" };

/** From the worker to a client. */
export type FromWorker =
  /** The worker holds the lock that it was told to hold. */
  | { type: "alive" }
  | { type: "opened"; version: number; persisted: boolean | undefined }
  /** The first message cannot be done. */
  | { type: "refused"; error: SentError }
  /** Answers, each behind its length, in the order of their requests. `more`: another part of the same message's follows. */
  | { type: "answers"; bytes: ArrayBuffer; more: boolean }
  /** What those hear who listen. */
  | { type: "heard"; bytes: ArrayBuffer }
  | { type: "stats"; memoryBytes: number; usageBytes?: number; quotaBytes?: number; persisted?: boolean }
  /** The module stopped, or a message was none: nothing will be answered any more. Its kind is always `Crashed`. */
  | { type: "crashed"; error: SentError }
  | { type: "closed"; error: SentError | undefined }
  | { type: "listed"; names: string[] }
  | { type: "destroyed"; existed: boolean }
  | { type: "imported"; seq: number; bytes: number }
  /** How far an opening or an import is. */
  | ({ type: "progress" } & Progress);

type Fields = Record<string, unknown>;

/** What each message has, by the name of its type. */
const TO_WORKER: Record<ToWorker["type"], (message: Fields) => boolean> = {
  // What else a message of another version has is not known here; that it is one is what its sender is told.
  open: ({ version, name, alive, options, encoded }) =>
    typeof version === "number" &&
    (version !== PROTOCOL_VERSION || (typeof name === "string" && typeof alive === "string" && typeof options === "object" && options !== null && encoded instanceof Uint8Array)),
  module: ({ module }) => module === undefined || module instanceof WebAssembly.Module,
  requests: ({ bytes }) => isBuffer(bytes),
  flush: () => true,
  stats: () => true,
  close: () => true,
  list: ({ alive }) => typeof alive === "string",
  destroy: ({ alive, name }) => typeof alive === "string" && typeof name === "string",
  import: ({ alive, name, archive }) => typeof alive === "string" && typeof name === "string" && archive instanceof Blob,
  cancel: () => true,
};

const FROM_WORKER: Record<FromWorker["type"], (message: Fields) => boolean> = {
  alive: () => true,
  opened: ({ version }) => typeof version === "number",
  refused: ({ error }) => isError(error),
  answers: ({ bytes, more }) => isBuffer(bytes) && typeof more === "boolean",
  heard: ({ bytes }) => isBuffer(bytes),
  stats: ({ memoryBytes }) => typeof memoryBytes === "number",
  crashed: ({ error }) => isError(error),
  closed: ({ error }) => error === undefined || isError(error),
  listed: ({ names }) => Array.isArray(names) && names.every((name) => typeof name === "string"),
  destroyed: ({ existed }) => typeof existed === "boolean",
  imported: ({ seq, bytes }) => typeof seq === "number" && typeof bytes === "number",
  progress: ({ phase, done, total }) => typeof phase === "string" && typeof done === "number" && typeof total === "number",
};

/** By its name: what comes from another window has another class. */
function isBuffer(bytes: unknown): boolean {
  return Object.prototype.toString.call(bytes) === "[object ArrayBuffer]";
}

function isError(error: unknown): boolean {
  const { kind, code, message } = (error ?? {}) as Fields;
  return typeof kind === "string" && typeof code === "string" && typeof message === "string";
}

function checked<M>(table: Record<string, (message: Fields) => boolean>, data: unknown): M | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { type } = data as Fields;
  if (typeof type !== "string" || !Object.hasOwn(table, type)) return undefined;
  return table[type]!(data as Fields) ? (data as M) : undefined;
}

/** The message that a client sent; `undefined` if it is none. */
export function toWorker(data: unknown): ToWorker | undefined {
  return checked(TO_WORKER, data);
}

/** The message that a worker sent; `undefined` if it is none. */
export function fromWorker(data: unknown): FromWorker | undefined {
  return checked(FROM_WORKER, data);
}

export function sendable({ kind, code, message }: FoldbError): SentError {
  return { kind, code, message };
}

export function received({ kind, code, message }: SentError): FoldbError {
  return new FoldbError(kind, code, message);
}
