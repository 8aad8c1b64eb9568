// A process that ends, in the way that it is told, with a buffered store open, or without any (`ending.test.mjs`). It says "ready" once
// a signal may come.

import fs, { writeSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { isMainThread, Worker, workerData } from "node:worker_threads";

const [, , way, ...stores] = isMainThread ? process.argv : ["", "", ...workerData];
const NEVER = { durability: { intervalMs: 3_600_000, bytes: 1 << 30 } };
const say = (text) => writeSync(1, `${text}\n`);
const fill = (db, from = 0) => {
  for (let number = from; number < from + 100; number++) db?.kv.put(`key ${number}`, number);
};
const wait = () => {
  setInterval(() => {}, 1000);
  say("ready");
};
const open = async (options = NEVER, at = "foldb/node") => {
  if (stores.length === 0) return [];
  const { openDirectory } = await import(at);
  return Promise.all(stores.map((store) => openDirectory(store, options)));
};

const ways = {
  async end() {
    (await open()).forEach((db) => fill(db));
  },
  async exit() {
    (await open()).forEach((db) => fill(db));
    process.exit(3);
  },
  async throw() {
    (await open()).forEach((db) => fill(db));
    setTimeout(() => {
      throw new Error("uncaught");
    });
  },
  async reject() {
    (await open()).forEach((db) => fill(db));
    throw new Error("unhandled");
  },
  async wait() {
    (await open()).forEach((db) => fill(db));
    wait();
  },
  /** A program that tidies up before it ends, and was there before the store. */
  async handler() {
    process.on("SIGTERM", () => process.exit(7));
    (await open()).forEach((db) => fill(db));
    wait();
  },
  /** One that is told once and then dies as it would have, like most libraries that hear of signals. */
  async once() {
    (await open()).forEach((db) => fill(db));
    const seen = process.listenerCount("SIGTERM");
    process.once("SIGTERM", () => {
      say(`listeners ${process.listenerCount("SIGTERM") - seen}`);
      process.kill(process.pid, "SIGTERM");
    });
    wait();
  },
  /** One that goes on only if it is the only one to listen. */
  async only() {
    (await open()).forEach((db) => fill(db));
    const listener = () => {
      if (process.listeners("SIGTERM").length > 1) return say("somebody else listens");
      process.removeListener("SIGTERM", listener);
      process.kill(process.pid, "SIGTERM");
    };
    process.on("SIGTERM", listener);
    wait();
  },
  /** One that does not end by the first signal. */
  async deaf() {
    (await open()).forEach((db) => fill(db));
    let told = 0;
    process.on("SIGTERM", () => {
      say(`told ${++told}`);
      if (told === 2) process.exit(5);
    });
    wait();
  },
  async removed() {
    (await open()).forEach((db) => fill(db));
    process.on("SIGTERM", () => {});
    process.removeAllListeners("SIGTERM");
    setTimeout(wait);
  },
  /** Listeners of the exit that write, before and behind ours. */
  async late() {
    let stores = [];
    process.on("exit", () => stores.forEach((db) => fill(db, 100)));
    stores = await open();
    stores.forEach((db) => fill(db));
    process.on("exit", () => stores.forEach((db) => fill(db, 200)));
  },
  async closed() {
    const [first, ...others] = await open();
    [first, ...others].forEach((db) => fill(db));
    await first?.close();
    wait();
  },
  /** Nobody holds the stores any more. */
  async forgotten() {
    (await open()).forEach((db) => fill(db));
    globalThis.gc();
    wait();
  },
  async listeners() {
    const before = ["exit", "newListener", "removeListener", "SIGINT", "SIGTERM", "SIGHUP"].map((event) => process.listenerCount(event));
    for (const db of await open()) await db.close();
    const after = ["exit", "newListener", "removeListener", "SIGINT", "SIGTERM", "SIGHUP"].map((event) => process.listenerCount(event));
    say(`left ${String(before) === String(after) ? "nothing" : after}`);
  },
  /** Two copies of the package, each with a store. */
  async copies() {
    const copies = ["foldb/node", new URL("./another-copy/node.js", import.meta.url)];
    for (const [place, store] of stores.splice(0).entries()) {
      const at = copies[place];
      stores.splice(0, 1, store);
      (await open(NEVER, at)).forEach((db) => fill(db));
    }
    wait();
  },
  /** Strict stores, of which one transaction is buffered. */
  async strict() {
    for (const db of await open({})) {
      const options = { durability: NEVER.durability };
      db.transaction((tx) => fill(tx), options);
    }
    wait();
  },
  /** Commits that are with the system only, of a store and of one transaction. */
  async relaxed() {
    for (const db of await open({ durability: { mode: "relaxed", intervalMs: 3_600_000 } })) fill(db);
    wait();
  },
  async relaxedTransaction() {
    for (const db of await open({})) db.transaction((tx) => fill(tx), { durability: "relaxed" });
    wait();
  },
  /** What was synced, and as much again that was not. */
  async half() {
    for (const db of await open()) {
      fill(db);
      db.sync();
      fill(db, 100);
    }
    wait();
  },
  async thread() {
    if (isMainThread) return new Worker(new URL(import.meta.url), { workerData: [way, ...stores] });
    (await open()).forEach((db) => fill(db));
  },
  async threadExit() {
    if (isMainThread) return new Worker(new URL(import.meta.url), { workerData: [way, ...stores] });
    (await open()).forEach((db) => fill(db));
    process.exit(0);
  },
  /** The disk fails at the last moment. */
  async failing() {
    (await open()).forEach((db) => fill(db));
    fs.fdatasyncSync = () => {
      throw Object.assign(new Error("the disk is gone"), { code: "EIO" });
    };
    syncBuiltinESMExports();
    process.exit(3);
  },
};

await ways[way]();
