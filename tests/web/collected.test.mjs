// Objects of the browser that nobody holds are collected, and some forget their promises then. Here Chromium collects after every
// question about files, before it can have answered: whatever the package does not hold is lost at once, and not once in some
// hours.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";

let site;
before(async () => (site = await Site.start({ flags: ["--js-flags=--expose-gc"] })));
after(() => site?.stop());

/** How often a store is opened, filled and closed: each round makes a dozen files or more. */
const ROUNDS = 8;

/** A worker of one's own in which each question about files is followed by a collection. What it does is the code's. */
const inWorker = (code) =>
  site.run(async (_, code) => {
    const collecting = `
      const kept = [];
      let collected = 0;
      const collect = (prototype, name) => {
        const ask = prototype[name];
        prototype[name] = function (...options) {
          const answer = ask.apply(this, options);
          // As a task: then nothing on the stack looks like a reference.
          kept.push(gc({ type: "major", execution: "async" }).then(() => collected++));
          return answer;
        };
      };
      for (const name of ["getFileHandle", "getDirectoryHandle", "removeEntry"]) collect(FileSystemDirectoryHandle.prototype, name);
      collect(FileSystemFileHandle.prototype, "createSyncAccessHandle");
      collect(StorageManager.prototype, "getDirectory");
      collect(Object.getPrototypeOf((await navigator.storage.getDirectory()).keys()), "next");
      const foldb = await import("${location.origin}/node_modules/foldb/dist/index.js");
      const said = await (${code})(foldb);
      await Promise.all(kept);
      postMessage({ said, collected });`;
    const worker = new Worker(URL.createObjectURL(new Blob([collecting], { type: "text/javascript" })), { type: "module" });
    try {
      return await new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
      });
    } finally {
      worker.terminate();
    }
  }, String(code));

test("a store is opened, filled, closed and destroyed whatever is collected meanwhile", { timeout: 240_000 }, async () => {
  const work = async ({ openInWorker, destroy, list }) => {
    const said = [];
    for (let round = 0; round < 8; round++) {
      const db = await openInWorker("collected", { segmentBytes: 1 << 20 });
      for (let at = 0; at < 10; at++) {
        db.kv.putMany(Array.from({ length: 1000 }, (_, n) => [`${round} ${at} ${n}`, new Uint8Array(100)]));
        // Files are made between two turns.
        await new Promise((resolve) => setTimeout(resolve));
      }
      await db.close();
      const again = await openInWorker("collected", { create: false });
      said.push(again.kv.count() / 10_000);
      await again.close();
      if (round % 4 === 3) said.push((await list()).join(), await destroy("collected"));
    }
    return said;
  };
  const { said, collected } = await inWorker(String(work).replace("round < 8", `round < ${ROUNDS}`));
  assert.deepEqual(said, [1, 2, 3, 4, "collected", true, 1 , 2, 3, 4, "collected", true]);
  assert.ok(collected > ROUNDS * 20, `${collected} collections`);
});
