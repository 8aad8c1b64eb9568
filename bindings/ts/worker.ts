// The worker that holds a store for a page. It is started by `open` and does nothing by itself.

import { hold, openHere, withDefaults, withQuota } from "./browser.js";
import type { Stats } from "./api.js";
import { FoldbError, thrown } from "./errors.js";
import { Memory, startTicking } from "./local.js";
import { encodeOptions } from "./options.js";
import { PROTOCOL_VERSION, sendable, toWorker, type FromWorker, type ToWorker } from "./protocol.js";

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

const LENGTH = 0x3fffffff;

/** Serves one client. Its messages are worked on one after the other. */
function serve(port: Port, client: number): void {
  let held: Held | undefined;
  let turn: Promise<void> = Promise.resolve();
  let refilling = false;

  const say = (message: FromWorker, ...transfer: Transferable[]) => port.postMessage(message, transfer);

  const refill = () => {
    // Between two turns: the next commit that needs a file finds one.
    if (!held || refilling || held.memory.gone) return;
    refilling = true;
    const { memory } = held;
    Promise.resolve()
      .then(() => memory.guard(() => memory.store.replenish()))
      .catch(() => {})
      .finally(() => (refilling = false));
  };

  const open = async ({ version, name, alive, options }: ToWorker & { type: "open" }) => {
    if (version !== PROTOCOL_VERSION) {
      throw new FoldbError("Unsupported", "Protocol", `the page speaks version ${version} of the protocol, this worker ${PROTOCOL_VERSION}; reload the page`);
    }
    if (held) throw new FoldbError("Invalid", "Opened", "the store is open already");
    const settled = withDefaults(options);
    const { store, memory, release, persisted } = await openHere(name, settled, encodeOptions(settled));
    const own = new Memory(store, memory);
    held = { memory: own, stop: startTicking(own, settled, refill), release };
    await hold(alive, 0);
    say({ type: "opened", version: PROTOCOL_VERSION, persisted });
  };

  const answer = (bytes: ArrayBuffer) => {
    if (!held) throw new FoldbError("Closed", "Closed", "the store is not open");
    const { memory } = held;
    const requests = new Uint8Array(bytes);
    memory.input(requests.length).set(requests);
    const returned = memory.guard(() => memory.store.callAll(client, requests.length));
    const { at, bytes: all } = memory.answer(returned);
    const answers = all.slice(at, at + (returned & LENGTH)).buffer;
    say({ type: "answers", bytes: answers }, answers);
    const commits = memory.commitBytes(returned);
    if (commits) say({ type: "commits", bytes: commits.buffer as ArrayBuffer }, commits.buffer);
    refill();
  };

  const close = () => {
    let error: FoldbError | undefined;
    if (held) {
      const { memory, stop, release } = held;
      held = undefined;
      stop();
      try {
        memory.guard(() => memory.store.close());
      } catch (cause) {
        error = thrown(cause);
      }
      release();
    }
    say({ type: "closed", error: error && sendable(error) });
  };

  const act = async (message: ToWorker) => {
    switch (message.type) {
      case "open":
        try {
          await open(message);
        } catch (error) {
          say({ type: "refused", error: sendable(thrown(error)) });
        }
        return;
      case "requests":
        return answer(message.bytes);
      case "announce":
        return held?.memory.guard(() => held!.memory.store.announce(message.active));
      case "flush":
        if (held) held.memory.guard(() => held!.memory.store.tick());
        return;
      case "stats": {
        const stats = await withQuota({} as Stats);
        return say({ type: "stats", ...stats, memoryBytes: held?.memory.memoryBytes ?? 0 });
      }
      case "close":
        return close();
    }
  };

  port.addEventListener("message", ({ data }) => {
    const message = toWorker(data);
    if (!message) {
      say({ type: "crashed", error: sendable(new FoldbError("Invalid", "Message", "a message to the worker is none of the protocol")) });
      return;
    }
    // Requests come at once where nothing is under way: a turn of the event loop is most of what a read costs.
    if (message.type === "requests" && held) {
      try {
        answer(message.bytes);
      } catch (error) {
        say({ type: "crashed", error: sendable(thrown(error)) });
      }
      return;
    }
    turn = turn.then(() => act(message)).catch((error: unknown) => say({ type: "crashed", error: sendable(thrown(error)) }));
  });
}

serve(self as unknown as Port, 1);
