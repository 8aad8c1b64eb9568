// A browser that does not answer, and a worker that stands still: what was asked is given up after a time, that is said, and nobody
// is kept from a store by it. The time is shortened; what is looked at is that there is an end, and what is left then.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";
import { visit } from "./visit.mjs";

let site;
before(async () => (site = await Site.start()));
after(() => site?.stop());

for (const [what, hang] of [["a file", "getFileHandle"], ["the handle of a file", "createSyncAccessHandle"]]) {
  test(`an opening for which the browser does not give ${what} fails, and the next one succeeds`, async () => {
    const { context, run } = await visit(site);
    const found = await run(async ({ foldb }, hang) => {
      globalThis.faults = { hang, hurry: true };
      const failed = await foldb.open("waits").catch(({ kind, message }) => [kind, /has not answered for 30 s/.test(message)]);
      globalThis.faults = {};
      const db = await foldb.open("waits");
      await db.kv.put("a", 1);
      await db.close();
      return failed;
    }, hang);
    assert.deepEqual(found, ["Io", true]);
    await context.close();
  });
}

test("a browser that does not say whether it keeps its promises does not keep a store from opening", async () => {
  const { context, run } = await visit(site);
  const found = await run(async ({ foldb }) => {
    globalThis.faults = { hang: "persisted", hurry: true };
    const db = await foldb.open("unsaid");
    await db.kv.put("a", 1);
    const stats = await db.stats();
    await db.close();
    return ["persisted" in stats, stats.usageBytes > 0];
  });
  assert.deepEqual(found, [false, true]);
  await context.close();
});

test("a browser that makes no more files keeps no request waiting, and no close", async () => {
  const { context, run } = await visit(site);
  const found = await run(async ({ foldb }) => {
    const db = await foldb.open("refill", { durability: "buffered", segmentBytes: 65_536 });
    await db.kv.put("before", 1);
    fail({ hang: "createSyncAccessHandle", hurry: true });
    // Until all files that were ready are used, and some commits more.
    const kinds = new Set();
    for (let number = 0; kinds.size === 0 && number < 1000; number++) {
      await db.kv.put(`large ${number}`, new Uint8Array(30_000)).catch(({ kind }) => kinds.add(kind));
    }
    const said = [...kinds, await soon(db.kv.get("before")), await soon(db.close())];
    const again = await foldb.open("refill");
    said.push(await soon(again.kv.get("large 0").then(({ length }) => length)));
    await again.close();
    return said;
  });
  assert.deepEqual(found, ["NotReady", 1, "done", 30_000]);
  await context.close();
});

test("a worker of one's own closes a store for which a file does not come, says so, and lets go of it", async () => {
  const { context, run } = await visit(site);
  const found = await run(async () => {
    const inWorker = `
      import { fail, hanging } from "${location.origin}/failing.mjs";
      import { destroy, openInWorker } from "${location.origin}/node_modules/foldb/dist/index.js";
      const db = await openInWorker("own", { durability: "buffered", segmentBytes: 65536 });
      fail({ hang: "createSyncAccessHandle", hurry: true });
      // A few files more than are ready beyond the half of them.
      for (let number = 0; number < 10 && hanging.length === 0; number++) {
        db.kv.put("large " + number, new Uint8Array(60_000));
        await new Promise((resolve) => setTimeout(resolve));
      }
      const said = [hanging.length > 0, await db.close().then(() => "done", ({ kind, code, message }) => [kind, code, message])];
      fail({ hang: undefined, hurry: false });
      const again = await openInWorker("own", { create: false });
      said.push(again.kv.count() > 0);
      await again.close();
      postMessage(said);`;
    const worker = new Worker(URL.createObjectURL(new Blob([inWorker], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  });
  const [hung, [kind, code, message], there] = found;
  assert.deepEqual([hung, kind, code, there], [true, "Io", "TimedOut", true]);
  assert.match(message, /the store is closed, and has all that it was given/);
  await context.close();
});

test("a worker that does not close its store is ended, and the store opens again", async () => {
  const { context, run } = await visit(site);
  const found = await run(async ({ foldb }) => {
    const db = await foldb.open("still");
    await db.kv.put("a", 1);
    fail({ deaf: "close" });
    const timer = globalThis.setTimeout;
    globalThis.setTimeout = (work, millis) => timer(work, millis >= 60_000 ? 50 : millis);
    const closed = await db.close().catch(({ kind, code, message }) => [kind, code, message]);
    globalThis.setTimeout = timer;
    const again = await foldb.open("still");
    const value = await again.kv.get("a");
    await again.close();
    return [...closed, value];
  });
  assert.deepEqual([found[0], found[1], found[3]], ["Crashed", "TimedOut", 1]);
  assert.match(found[2], /has not closed the store for 60 s/);
  await context.close();
});

test("a worker that says nothing at all is not waited for", async () => {
  const { context, run } = await visit(site);
  const found = await run(async ({ foldb }) => {
    const timer = globalThis.setTimeout;
    globalThis.setTimeout = (work, millis) => timer(work, millis >= 60_000 ? 50 : millis);
    globalThis.faults = { deaf: "all" };
    const opened = await soon(foldb.open("mute"));
    const listed = await soon(foldb.list());
    globalThis.setTimeout = timer;
    globalThis.faults = {};
    return [opened, listed, await soon(foldb.list().then((names) => names.join()))];
  });
  assert.deepEqual(found, ["Unsupported TimedOut", "Unsupported TimedOut", ""]);
  await context.close();
});
