// The main thread's side: one worker for each store, shared by all who open it in this page.
//
// Invariants: requests that are issued in one tick travel in one message, and are answered in their order. When the worker is
// gone, whatever was in flight is rejected, and so is everything later; nothing waits for ever.

import type { AsyncDb, OpenOptions, Progress, Stats, WorkOptions } from "./api.js";
import { Listeners, readHeard, type Listener } from "./commits.js";
import { FoldbError, invalid, unwritable } from "./errors.js";
import { checkName, checkSurplus } from "./given.js";
import { Operation } from "./operation.js";
import { checkSame, encodeOptions } from "./options.js";
import { askOnce } from "./persistence.js";
import { fromWorker, PROTOCOL_VERSION, received, type FromWorker, type ToWorker } from "./protocol.js";
import { readAnswer, writeHead } from "./request.js";
import { aliveName, checkPage, crashed, startWorker, watch } from "./start.js";
import { nothing } from "./surface/answers.js";
import type { Caller } from "./surface/caller.js";
import { Db } from "./surface/db.js";
import { ended } from "./surface/hold.js";
import { STORE, type Place } from "./surface/place.js";
import { opened, type Opened } from "./surface/reports.js";
import { givenUp, within } from "./wait.js";
import { Reader } from "./wire/reader.js";
import { Writer } from "./wire/writer.js";
import { check, orCancelled } from "./work.js";

/** Somebody who waits for an answer. */
interface Waiting {
  read: (answer: Reader) => any;
  resolve: (value: any) => void;
  reject: (error: unknown) => void;
}

/** Whoever waits for an answer that says nothing and has been told already. */
const NOBODY: Waiting = { read: nothing, resolve: () => {}, reject: () => {} };

/** Longest pause before a transaction is run again, in milliseconds. */
const PAUSE_MAX = 64;

/** How long a worker may take to close its store: many times what the largest snapshot takes. */
const CLOSE_MILLIS = 60_000;

/** A message of more than this does not wait for the end of the tick. */
const MESSAGE_BYTES = 4 << 20;

class Connection {
  readonly name: string;
  readonly options: OpenOptions;
  readonly listeners = new Listeners();
  /** How many handles of the page use it. */
  users = 0;
  /** How often transactions of the page ran again after a conflict. */
  retries = 0;
  persisted: boolean | undefined;
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #onProgress: WorkOptions["onProgress"];
  readonly #writer: Writer;
  #waiting: Waiting[] = [];
  #answered = 0;
  /** How many requests the next message has. */
  #unsent = 0;
  /** How many answers are still to come to each message that was sent. */
  readonly #unanswered: number[] = [];
  /** Whether the page is going: then nothing waits for a timer of the worker. */
  #leaving = false;
  #scheduled = false;
  #busy = false;
  #gone: FoldbError | undefined;
  #handles = 0;
  #started!: { resolve: () => void; reject: (error: unknown) => void };
  #stats: { resolve: (stats: FromWorker & { type: "stats" }) => void; reject: (error: unknown) => void }[] = [];
  readonly #alive = aliveName();
  #closed: (() => void) | undefined;
  #closing: FoldbError | undefined;

  constructor(name: string, options: OpenOptions, encoded: Uint8Array, onProgress: WorkOptions["onProgress"]) {
    this.name = name;
    this.options = options;
    this.#onProgress = onProgress;
    this.#writer = new Writer((least) => this.#grow(least));
    this.#worker = startWorker(
      (data) => this.#hear(data),
      (error) => this.#fail(error),
    );
    this.ready = new Promise((resolve, reject) => (this.#started = { resolve, reject }));
    this.ready.catch(() => {});
    // No more than the worker needs: what else an app has among its options may be nothing that can be sent.
    const { durability, lockTimeoutMs } = options;
    const sent = { durability, lockTimeoutMs };
    this.#post({ type: "open", version: PROTOCOL_VERSION, name, alive: this.#alive, options: sent, encoded, watched: onProgress !== undefined });
    void compiled().then((module) => this.#post({ type: "module", module }));
    addEventListener("pagehide", this.#leave);
    addEventListener("pageshow", this.#stay);
    addEventListener("visibilitychange", this.#hidden);
  }

  /** What is buffered is on its way to the medium before the page ends: with what this tick has asked for, and will. */
  readonly #leave = () => {
    this.#flush();
    this.#leaving = true;
  };
  readonly #stay = () => (this.#leaving = false);
  readonly #hidden = () => {
    if (document.visibilityState === "hidden") this.#flush();
  };

  #flush(): void {
    this.#send();
    this.#post({ type: "flush" });
  }

  #grow(least: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(Math.max(4096, Math.ceil(least * 1.5)));
    const old: Uint8Array | undefined = this.#writer?.bytes;
    if (old) bytes.set(old);
    return bytes;
  }

  #post(message: ToWorker, ...transfer: Transferable[]): void {
    if (!this.#gone) this.#worker.postMessage(message, transfer);
  }

  /** Puts a request into the message of this tick. */
  request<T>(place: Place, operation: Operation, write: ((out: Writer) => void) | undefined, read: (answer: Reader) => T): Promise<T> {
    if (this.#gone) return Promise.reject(this.#gone);
    if (this.#busy) return refused(place, invalid("Reentered", "a getter of a value, or an iterator, used the store that it is being written to"));
    const waits = place.target === 1 && (read as unknown) === nothing;
    const out = this.#writer;
    const start = out.at;
    this.#busy = true;
    try {
      out.u32(0);
      writeHead(out, place, operation, waits);
      write?.(out);
      out.patch(start, out.at - start - 4);
    } catch (error) {
      out.at = start;
      return refused(place, unwritable(error));
    } finally {
      this.#busy = false;
    }
    this.#unsent++;
    if (out.at > MESSAGE_BYTES) this.#send();
    if (waits) {
      // It travels with whatever comes next; if it fails, so does everything later of its transaction.
      this.#waiting.push(NOBODY);
      return DONE as Promise<T>;
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => this.#send());
    }
    return new Promise((resolve, reject) => this.#waiting.push({ read, resolve, reject }));
  }

  #send(): void {
    this.#scheduled = false;
    const out = this.#writer;
    if (out.at === 0) return;
    const bytes = out.bytes.slice(0, out.at).buffer;
    out.at = 0;
    if (out.bytes.length > MESSAGE_BYTES) out.bytes = new Uint8Array(4096);
    this.#unanswered.push(this.#unsent);
    this.#unsent = 0;
    this.#post({ type: "requests", bytes }, bytes);
    if (this.#leaving) this.#post({ type: "flush" });
  }

  #hear(data: unknown): void {
    const message = fromWorker(data);
    switch (message?.type) {
      case "alive":
        return watch(this.#alive, (error) => this.#fail(error));
      case "opened":
        if (message.version !== PROTOCOL_VERSION) return this.#fail(otherVersion(message.version));
        this.persisted = message.persisted;
        return this.#started.resolve();
      case "refused":
        return this.#fail(received(message.error));
      case "answers":
        return this.#answers(new Uint8Array(message.bytes), message.more);
      case "heard":
        return this.listeners.tell(readHeard(Reader.of(new Uint8Array(message.bytes))));
      case "stats":
        return this.#stats.shift()?.resolve(message);
      case "progress":
        return this.#progressed(message);
      case "crashed":
        return this.#fail(received(message.error));
      case "closed":
        this.#closing = message.error && received(message.error);
        return this.#closed?.();
      default:
        return this.#fail(crashed("a message of the worker is none of the protocol"));
    }
  }

  #progressed({ phase, done, total }: Progress): void {
    try {
      this.#onProgress?.({ phase, done, total });
    } catch (error) {
      this.abandon(error);
    }
  }

  #answers(bytes: Uint8Array, more: boolean): void {
    const answers = Reader.of(bytes);
    // Answers have no names. One too many or too few, and every later one would be given to somebody else.
    let left = this.#unanswered.shift() ?? 0;
    while (!answers.done) {
      const length = answers.u32();
      const waiting = this.#waiting[this.#answered];
      if (!waiting || left-- === 0) return this.#fail(crashed("it answers what was not asked"));
      this.#answered++;
      if (waiting !== NOBODY) {
        try {
          waiting.resolve(readAnswer(answers.part(length), waiting.read));
        } catch (error) {
          waiting.reject(error);
        }
      }
      answers.at += length;
    }
    if (more) this.#unanswered.unshift(left);
    else if (left !== 0) return this.#fail(crashed("it has not answered everything"));
    if (this.#answered * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#answered);
      this.#answered = 0;
    }
  }

  /** Rejects everything, now and later. */
  #fail(error: FoldbError): void {
    if (this.#gone) return;
    this.#gone = error;
    removeEventListener("pagehide", this.#leave);
    removeEventListener("pageshow", this.#stay);
    removeEventListener("visibilitychange", this.#hidden);
    if (connections.get(this.name) === this) connections.delete(this.name);
    this.#worker.terminate();
    this.#started.reject(error);
    for (const { reject } of this.#waiting.slice(this.#answered)) reject(error);
    for (const { reject } of this.#stats.splice(0)) reject(error);
    this.listeners.end(error);
    this.#waiting = [];
    this.#answered = 0;
    this.#closed?.();
  }

  handle(): number {
    return ++this.#handles;
  }

  async stats(stats: Stats): Promise<Stats> {
    const more = await new Promise<FromWorker & { type: "stats" }>((resolve, reject) => {
      if (this.#gone) return reject(this.#gone);
      this.#stats.push({ resolve, reject });
      this.#post({ type: "stats" });
    });
    const { type: _, ...platform } = more;
    return { ...stats, ...platform, retries: stats.retries + this.retries };
  }

  /** Nobody wants it any more, and it is not open yet. */
  abandon(error: unknown): void {
    this.#fail(error as FoldbError);
  }

  /** The last of the page lets go: the store is closed and the worker ends. */
  async close(): Promise<void> {
    connections.delete(this.name);
    if (this.#gone) return;
    this.#send();
    const closing = new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#post({ type: "close" });
    });
    // A worker that stands still in the middle of a call of the browser's would be waited for, and hold its lock, for ever.
    let late: FoldbError | undefined;
    const how = "it was ended; what was on stable media is there, and what was buffered may not be";
    await within(CLOSE_MILLIS, closing, () => void (late = givenUp("Crashed", "the store's worker has not closed the store", CLOSE_MILLIS, how)));
    // Also where the worker died over it: what it had to close with may not be there.
    const failure = late ?? this.#closing ?? this.#gone;
    this.#fail(closed(this.name));
    if (failure) throw failure;
  }
}

let compiling: Promise<WebAssembly.Module | undefined> | undefined;

/**
 * The WebAssembly module, which the page compiles while its worker starts. Where that fails (a policy of the page, a server
 * that does not say what the file is) the worker does it, and tells what is wrong.
 */
function compiled(): Promise<WebAssembly.Module | undefined> {
  const address = new URL("./foldb_wasm_bg.wasm", import.meta.url);
  compiling ??= Promise.resolve()
    .then(() => WebAssembly.compileStreaming(fetch(address)))
    .catch(() => (compiling = undefined));
  return compiling;
}

const DONE: Promise<any> = Promise.resolve();

function otherVersion(version: number): FoldbError {
  return new FoldbError("Unsupported", "Protocol", `the worker speaks version ${version} of the protocol, this page ${PROTOCOL_VERSION}; reload the page`);
}

/**
 * Rejects a request that is not sent. Nothing of its transaction may be committed: what writes give is often not waited for,
 * and the rest would be.
 */
function refused(place: Place, error: unknown): Promise<never> {
  const rejected = Promise.reject(error);
  if (place.target === 1 && place.hold) {
    place.hold.failure ??= { error };
    // The commit tells it, also to whoever does not look at this.
    rejected.catch(() => {});
  }
  return rejected;
}

function closed(name: string): FoldbError {
  return new FoldbError("Closed", "Closed", `the store ${name} was closed`);
}

/** The stores that are open in this page. */
const connections = new Map<string, Connection>();

/** One handle of a page on a connection. */
class Client implements Caller {
  readonly async = true;
  readonly name: string;
  readonly #connection: Connection;
  #closed = false;
  /** Those of this handle who listen. */
  readonly #listening = new Map<number, () => void>();

  constructor(connection: Connection) {
    this.name = connection.name;
    this.#connection = connection;
  }

  call<T>(place: Place, operation: Operation, write: ((out: Writer) => void) | undefined, read: (answer: Reader) => T): Promise<T> {
    if (this.#closed) return Promise.reject(closed(this.name));
    if (place.hold?.ended) return Promise.reject(ended());
    return this.#connection.request(place, operation, write, read);
  }

  refuse(place: Place, error: FoldbError): Promise<never> {
    return refused(place, error);
  }

  handle(): number {
    return this.#connection.handle();
  }

  /** At random, longer after each attempt: two transactions that keep hitting each other must come apart. */
  pause(attempt: number): Promise<void> {
    this.#connection.retries++;
    if (attempt < 2) return DONE;
    const millis = Math.random() * Math.min(PAUSE_MAX, 2 ** (attempt - 2));
    return new Promise((resolve) => setTimeout(resolve, millis));
  }

  listen(handle: number, listener: Listener): () => void {
    const stop = this.#connection.listeners.add(handle, listener);
    const end = () => {
      this.#listening.delete(handle);
      stop();
    };
    this.#listening.set(handle, () => {
      end();
      listener.end();
    });
    return end;
  }

  /** Ends those who listen, behind what was committed before. The store may stay open for others of this page. */
  async #hearOut(): Promise<void> {
    const asked = (place: Place, operation: Operation) => this.#connection.request(place, operation, undefined, nothing).catch(() => {});
    await asked(STORE, Operation.StoreSync);
    // What that has for them is on its way before these are answered.
    await Promise.all([...this.#listening.keys()].map((handle) => asked({ ...STORE, target: 2, handle }, Operation.Release)));
    for (const end of this.#listening.values()) end();
  }

  stats(stats: Stats): Promise<Stats> {
    return this.#connection.stats(stats);
  }

  async ready(): Promise<void> {
    // The worker sees to that between two messages.
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#listening.size > 0) await within(CLOSE_MILLIS, this.#hearOut(), () => {});
    if (--this.#connection.users === 0) await this.#connection.close();
  }
}

/**
 * Opens the store of this name, or creates it, in a worker that the package brings.
 *
 * Throws `Locked` where another tab or worker has it, `Unsupported` where the browser cannot hold one, `NotAStore` with
 * `create: false` and none there, `Corrupt` where something that was promised is damaged, `StorageFull` without room.
 * Two calls with one name in one page get the same worker. What the second says of the store must be as the first has it (`Invalid`
 * otherwise); `persist`, `retries`, `signal` and `onProgress` are each call's own.
 */
export async function open(name: string, options: OpenOptions = {}): Promise<AsyncDb> {
  checkSurplus("open", 2, arguments);
  checkPage();
  checkName(name);
  const encoded = encodeOptions(options);
  const { onProgress, signal } = options;
  check(signal);
  let connection = connections.get(name);
  if (connection) {
    checkSame(name, connection.options, options);
  } else {
    connection = new Connection(name, options, encoded, onProgress);
    connections.set(name, connection);
  }
  connection.users++;
  const client = new Client(connection);
  try {
    // It waits in the worker until the store is open: one way there and back less.
    const asking = opened(client) as Promise<Opened>;
    asking.catch(() => {});
    await orCancelled(signal, connection.ready);
    if (options.persist ?? true) askOnce(connection, options.persist === true);
    const found = await asking;
    return new Db(client, found, options.retries) as unknown as AsyncDb;
  } catch (error) {
    // What nobody has opened yet, and nobody waits for, is let go; recovery begins again with the next opening.
    if (--connection.users === 0) connection.abandon(error);
    throw error;
  }
}
