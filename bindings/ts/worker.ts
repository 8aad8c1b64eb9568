// The worker that holds a store for a page. It is started by `open` and does nothing by itself.

import type { Progress, Stats } from "./api.js";
import { hold, inTime, openHere, withQuota } from "./browser.js";
import { FoldbError, thrown } from "./errors.js";
import { Memory, startTicking } from "./memory.js";
import { readModuleWith } from "./module.js";
import { PROTOCOL_VERSION, sendable, toWorker, type FromWorker, type ToWorker } from "./protocol.js";
import { destroy, importStore, list } from "./stores.js";
import { ANSWER_MILLIS, within } from "./wait.js";
import { Watch } from "./work.js";

/** The part of a port that is used here: a worker's own scope has it, and a `MessagePort`. */
interface Port {
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/** A store of this worker, and what has to be given back. */
interface Held {
  memory: Memory;
  stop: () => void;
  release: () => void;
}

/** What the module has to say is a `FoldbError` already; the rest is of the archive, which may be a file that has changed since. */
function unreadable(cause: unknown): never {
  if (cause instanceof FoldbError) throw cause;
  throw new FoldbError("Io", "Archive", `the archive cannot be read: ${String(cause)}`, { cause });
}

/** One client of the store. Its messages are worked on one after the other, in their order. */
class Session {
  readonly #port: Port;
  readonly #client: number;
  #arrived!: (module: WebAssembly.Module | undefined) => void;
  readonly #module = new Promise<WebAssembly.Module | undefined>((arrived) => (this.#arrived = arrived));
  readonly #cancel = new AbortController();
  #held: Held | undefined;
  #turn: Promise<void> = Promise.resolve();
  /** Files that were waited for and did not come. */
  #overdue: Promise<void> | undefined;
  /** How many messages wait for their turn. */
  #queued = 0;

  constructor(port: Port, client: number) {
    this.#port = port;
    this.#client = client;
    port.addEventListener("message", ({ data }) => this.#hear(data));
  }

  #say(message: FromWorker, ...transfer: Transferable[]): void {
    this.#port.postMessage(message, transfer);
  }

  /** Says that nothing will be answered any more. What leaves the store usable must not come here: the page gives it up. */
  #crash(error: unknown): void {
    const { code, message } = thrown(error);
    this.#say({ type: "crashed", error: { kind: "Crashed", code, message } });
  }

  /** Holds the lock by which the page knows that this worker lives, before anything else can take its time. */
  #live(alive: string): void {
    // Where there are no locks, the first message is refused for it.
    hold(alive, 0).then(() => this.#say({ type: "alive" }), () => {});
  }

  #hear(data: unknown): void {
    const message = toWorker(data);
    if (!message) return this.#crash(new FoldbError("Invalid", "Message", "a message to the worker is none of the protocol"));
    if (message.type === "cancel") return this.#cancel.abort();
    if ("alive" in message) this.#live(message.alive);
    // The opening waits for it, so it cannot wait for the opening.
    if (message.type === "module") return this.#arrived(message.module);
    // Requests come at once where nothing is under way: a turn of the event loop is most of what a read costs.
    if (message.type === "requests" && this.#queued === 0) {
      try {
        this.#answer(message.bytes);
      } catch (error) {
        this.#crash(error);
      }
      return;
    }
    this.#wait(() => this.#act(message));
  }

  /** Who tells the page of progress, if it wants to know. */
  #watch(watched: boolean): ((progress: Progress) => void) | undefined {
    return watched ? (progress) => this.#say({ type: "progress", ...progress }) : undefined;
  }

  #wait(work: () => void | Promise<void>): void {
    this.#queued++;
    this.#turn = this.#turn
      .then(work)
      .catch((error: unknown) => this.#crash(error))
      .finally(() => this.#queued--);
  }

  async #act(message: Exclude<ToWorker, { type: "module" | "cancel" }>): Promise<void> {
    const memory = this.#held?.memory;
    switch (message.type) {
      case "open":
        return this.#first(() => this.#open(message));
      case "requests":
        return this.#answer(message.bytes);
      case "flush":
        return memory?.tick();
      case "stats": {
        const stats = await withQuota({} as Stats);
        return this.#say({ ...stats, type: "stats", memoryBytes: memory?.memoryBytes ?? 0 });
      }
      case "close":
        return this.#close();
      case "import": {
        const options = { signal: this.#cancel.signal, onProgress: this.#watch(message.watched) };
        return this.#first(async () => {
          const imported = await importStore(message.name, message.archive, options).catch(unreadable);
          this.#say({ ...imported, type: "imported" });
        });
      }
      case "list":
        return this.#first(async () => this.#say({ type: "listed", names: await list() }));
      case "destroy":
        return this.#first(async () => this.#say({ type: "destroyed", existed: await destroy(message.name) }));
    }
  }

  /** Does what the first message asks for. Where it fails nothing has begun, and the page is told why. */
  #first(work: () => Promise<void>): Promise<void> {
    return work().catch((error: unknown) => this.#say({ type: "refused", error: sendable(thrown(error)) }));
  }

  async #open({ version, name, options, encoded, watched }: ToWorker & { type: "open" }): Promise<void> {
    if (version !== PROTOCOL_VERSION) {
      const why = `the page speaks version ${version} of the protocol, this worker ${PROTOCOL_VERSION}; reload the page`;
      throw new FoldbError("Unsupported", "Protocol", why);
    }
    if (this.#held) throw new FoldbError("Invalid", "Opened", "the store is open already");
    readModuleWith(() => this.#module);
    // Asked for now and waited for later: each of these is a way to the browser's own process and back.
    const persisted = inTime(Promise.resolve(navigator.storage?.persisted()).catch(() => undefined));
    const { store, memory: wasm, release } = await openHere(name, options, encoded, new Watch({ onProgress: this.#watch(watched) }));
    const memory: Memory = new Memory(store, wasm, (returned) => {
      const heard = memory.copy(returned);
      this.#say({ type: "heard", bytes: heard }, heard);
    });
    this.#held = { memory, stop: startTicking(memory, options), release };
    this.#say({ type: "opened", version: PROTOCOL_VERSION, persisted: await persisted });
  }

  #answer(bytes: ArrayBuffer): void {
    if (!this.#held) throw new FoldbError("Closed", "Closed", "the store is not open");
    const { memory } = this.#held;
    const requests = new Uint8Array(bytes);
    memory.input(requests.length).set(requests);
    let returned = 0;
    for (let from = 0, to = 0; from < requests.length; from = to) {
      returned = memory.guard(() => memory.store.callAll(this.#client, from, requests.length));
      to = memory.store.answeredTo();
      if (to === from) throw new FoldbError("Crashed", "Crashed", "a request was cut off; reopen the store");
      const answers = memory.copy(returned);
      this.#say({ type: "answers", bytes: answers, more: to < requests.length }, answers);
      memory.tell(returned);
    }
    // Where few files are left, the next message waits until there are more: no burst of a page can use them up. It does not
    // wait for a browser that makes none: what needs no file is answered, and what needs one fails by itself.
    const refilled = memory.refill(returned);
    if (refilled && refilled !== this.#overdue) this.#wait(() => within(ANSWER_MILLIS, refilled, () => void (this.#overdue = refilled)));
  }

  #close(): void {
    let error: FoldbError | undefined;
    if (this.#held) {
      const { memory, stop, release } = this.#held;
      this.#held = undefined;
      stop();
      try {
        memory.guard(() => memory.store.close());
      } catch (cause) {
        error = thrown(cause);
      }
      release();
    }
    this.#say({ type: "closed", error: error && sendable(error) });
  }
}

new Session(self as unknown as Port, 1);
