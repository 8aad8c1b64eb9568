// The package in real pages of the system's Chromium, as a user gets it: plain modules from a static server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";

let site;
before(async () => (site = await Site.start()));
after(() => site?.stop());

/** Runs a function in a fresh page. Its module is \`lib\`; names of stores are new in each test. */
const inPage = (work, argument) => site.run(work, argument);

test("every case of the shared list holds on the main thread", async () => {
  const failures = await inPage(async ({ foldb, shared }) => {
    const failures = [];
    for (const [name, run] of Object.entries(shared.cases)) {
      const db = await foldb.open(`shared ${name}`, { durability: "buffered" });
      try {
        await run(db, foldb);
      } catch (error) {
        failures.push(`${name}: ${error.stack}`);
      }
      await db.close();
      await foldb.destroy(`shared ${name}`);
    }
    return failures;
  });
  assert.deepEqual(failures, []);
});

test("every case of the shared list holds in a worker of one's own", async () => {
  assert.deepEqual(await site.inWorker("cases"), []);
});

test("what was put is there after a reload", async () => {
  const page = await site.page();
  const first = await site.on(page, async ({ foldb }) => {
    const db = await foldb.open("reload");
    await db.kv.put("a", { at: new Date(5), list: [1n, 2] });
    return [db.created, db.id];
  });
  await page.reload();
  const second = await site.on(page, async ({ foldb }) => {
    const db = await foldb.open("reload");
    const value = await db.kv.get("a");
    return [db.created, db.id, value.at instanceof Date, String(value.list[0])];
  });
  assert.deepEqual([first[0], second], [true, [false, first[1], true, "1"]]);
  await page.close();
});

test("two openings in one page share the store, and closing one keeps it for the other", async () => {
  const found = await inPage(async ({ foldb }) => {
    const [a, b] = await Promise.all([foldb.open("shared"), foldb.open("shared")]);
    await a.kv.put("a", 1);
    const seen = await b.kv.get("a");
    await a.close();
    const closed = await a.kv.get("a").catch(({ kind }) => kind);
    await b.kv.put("a", 2);
    const still = await b.kv.get("a");
    const other = await foldb.open("shared", { durability: "buffered" }).catch(({ kind, code }) => `${kind} ${code}`);
    await b.close();
    const again = await foldb.open("shared");
    const after = await again.kv.get("a");
    await again.close();
    return [seen, closed, still, other, after];
  });
  assert.deepEqual(found, [1, "Closed", 2, "Invalid Options", 2]);
});

test("a second tab is told that the store is locked, and gets it once the first is gone", async () => {
  const page = await site.page();
  await site.on(page, async ({ foldb }) => {
    globalThis.db = await foldb.open("tabs");
    await globalThis.db.kv.put("a", 1);
  });
  const locked = await inPage(async ({ foldb }) => foldb.open("tabs", { lockTimeoutMs: 200 }).catch(({ kind, message }) => [kind, message]));
  assert.equal(locked[0], "Locked");
  assert.match(locked[1], /another tab or worker/);
  const destroyed = await inPage(async ({ foldb }) => foldb.destroy("tabs").catch(({ kind }) => kind));
  assert.equal(destroyed, "Locked");
  await page.close();
  const value = await inPage(async ({ foldb }) => (await foldb.open("tabs")).kv.get("a"));
  assert.equal(value, 1);
});

test("requests of one tick travel in one message", async () => {
  const found = await inPage(async ({ foldb }) => {
    const sent = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...rest) {
      sent.push(message.type);
      return post.call(this, message, ...rest);
    };
    const db = await foldb.open("ticks");
    await db.kv.put("a", 1);
    sent.length = 0;
    const values = await Promise.all(Array.from({ length: 64 }, () => db.kv.get("a")));
    const reads = sent.length;
    sent.length = 0;
    await db.transaction(async (tx) => {
      for (let i = 0; i < 100; i++) await tx.kv.put(`k${i}`, i);
    });
    const writes = sent.length;
    Worker.prototype.postMessage = post;
    const count = await db.kv.count();
    await db.close();
    return [values.length, reads, writes, count];
  });
  assert.deepEqual(found, [64, 1, 1, 101]);
});

test("a write that nobody waits for fails its transaction whole", async () => {
  const found = await inPage(async ({ foldb }) => {
    const db = await foldb.open("doomed");
    const error = await db
      .transaction(async (tx) => {
        await tx.kv.put("a", 1);
        await tx.kv.put("k".repeat(2000), 1);
        await tx.kv.put("b", 1);
      })
      .catch(({ kind, code }) => [kind, code]);
    const count = await db.kv.count();
    await db.close();
    return [error, count];
  });
  assert.deepEqual(found, [["Limit", "Limit"], 0]);
});

test("transactions of one page that meet are all made", async () => {
  const total = await inPage(async ({ foldb }) => {
    const db = await foldb.open("meeting", { durability: "buffered" });
    await db.kv.put("n", 0n);
    const add = () => db.transaction(async (tx) => tx.kv.put("n", (await tx.kv.get("n")) + 1n));
    await Promise.all(Array.from({ length: 20 }, add));
    const total = await db.kv.get("n");
    await db.close();
    return String(total);
  });
  assert.equal(total, "20");
});

test("a worker that is killed rejects what is in flight, and what comes later", async () => {
  const found = await inPage(async ({ foldb }) => {
    let worker;
    const Native = Worker;
    globalThis.Worker = class extends Native {
      constructor(...options) {
        super(...options);
        worker = this;
      }
    };
    const db = await foldb.open("killed");
    await db.kv.put("a", 1);
    const flight = db.kv.get("a").catch(({ kind }) => kind);
    const end = new Promise((resolve) => setTimeout(() => resolve("nothing"), 5000));
    worker.terminate();
    const first = await Promise.race([flight, end]);
    const later = await Promise.race([db.kv.get("a").catch(({ kind }) => kind), end]);
    globalThis.Worker = Native;
    const again = await foldb.open("killed");
    const value = await again.kv.get("a");
    await again.close();
    return [first, later, value];
  });
  assert.deepEqual(found, ["Crashed", "Crashed", 1]);
});

test("messages that are none of the protocol are refused by a worker, which says so", async () => {
  const kinds = await inPage(async () => {
    const said = (message) =>
      new Promise((resolve) => {
        const worker = new Worker("/node_modules/foldb/dist/worker.js", { type: "module" });
        worker.onmessage = ({ data }) => {
          resolve(`${data.type} ${data.error?.code}`);
          worker.terminate();
        };
        worker.postMessage(message);
      });
    const messages = [null, 7, "open", {}, { type: "constructor" }, { type: "requests", bytes: 7 }, { type: "requests", bytes: new ArrayBuffer(9) }, { type: "open", version: 99, name: "x", alive: "x", options: {} }];
    return Promise.all(messages.map(said));
  });
  assert.deepEqual(kinds, [...Array(6).fill("crashed Message"), "crashed Closed", "refused Protocol"]);
});

test("a quota that is used up is StorageFull, and the store goes on when there is room again", async () => {
  const page = await site.page();
  const session = await page.context().newCDPSession(page);
  const quota = (quotaSize) => session.send("Storage.overrideQuotaForOrigin", { origin: site.origin, ...quotaSize });
  await site.on(page, async ({ foldb }) => {
    globalThis.db = await foldb.open("full", { segmentBytes: 1 << 20 });
    await globalThis.db.kv.put("before", 1);
  });
  const used = await site.on(page, async () => (await globalThis.db.stats()).usageBytes);
  await quota({ quotaSize: used + (3 << 20) });
  const full = await site.on(page, async () => {
    for (let i = 0; i < 100; i++) {
      try {
        await globalThis.db.kv.put(`large ${i}`, new Uint8Array(200_000).fill(i));
      } catch ({ kind, message }) {
        return [kind, i, message];
      }
    }
    return ["nothing"];
  });
  assert.equal(full[0], "StorageFull", full[2]);
  assert.equal(await site.on(page, () => globalThis.db.kv.get("before")), 1);
  await quota({});
  const after = await site.on(page, async (_, wrote) => {
    await globalThis.db.kv.put("after", 1);
    const sizes = await Promise.all(Array.from({ length: wrote }, (_, i) => globalThis.db.kv.get(`large ${i}`)));
    await globalThis.db.close();
    return sizes.every((bytes, i) => bytes?.length === 200_000 && bytes[7] === i);
  }, full[1]);
  assert.equal(after, true);
  await page.close();
});

test("stores are listed and destroyed, also from the main thread", async () => {
  const found = await inPage(async ({ foldb }) => {
    const names = ["here / today", "ünïcödé"];
    for (const name of names) await (await foldb.open(name)).close();
    const listed = (await foldb.list()).filter((name) => names.includes(name));
    const open = await foldb.open(names[0]);
    const locked = await foldb.destroy(names[0]).catch(({ kind }) => kind);
    await open.close();
    const destroyed = [await foldb.destroy(names[0]), await foldb.destroy(names[0])];
    const none = await foldb.open(names[0], { create: false }).catch(({ kind }) => kind);
    const left = (await foldb.list()).filter((name) => names.includes(name));
    const again = await foldb.open(names[0]);
    const { created } = again;
    await again.close();
    return { listed, locked, destroyed, none, left, created };
  });
  assert.deepEqual(found, { listed: ["here / today", "ünïcödé"], locked: "Locked", destroyed: [true, false], none: "NotAStore", left: ["ünïcödé"], created: true });
});

test("statistics have quota, usage and persistence", async () => {
  const stats = await inPage(async ({ foldb }) => {
    const db = await foldb.open("stats");
    await db.kv.put("a", 1);
    const { quotaBytes, usageBytes, persisted, memoryBytes } = await db.stats();
    await db.close();
    return [quotaBytes > 0, usageBytes > 0, typeof persisted, memoryBytes > 0];
  });
  assert.deepEqual(stats, [true, true, "boolean", true]);
});

test("memory works in a page, and opening files there is told to be impossible", async () => {
  const found = await inPage(async ({ foldb }) => {
    const db = await foldb.memory();
    db.kv.put("a", 1);
    const here = await foldb.openInWorker("x").catch(({ kind, code }) => [kind, code]);
    return [db.kv.get("a"), ...here];
  });
  assert.deepEqual(found, [1, "Unsupported", "Platform"]);
});

test("bytes written here have the digest that they have natively", async () => {
  const work = async (db) => {
    await db.kv.putMany([["a", 1n], ["b", 2.5], ["c", [null, true, "x"]]]);
    await db.json.set("d", { z: 1, a: { list: [1, 2, 3] } });
    await db.events.appendBatch("s", [{ kind: "k", payload: 1n }, { kind: "l", payload: "p" }]);
    await db.state.set("cell", 7);
    return db.digest();
  };
  const there = await inPage(new Function("lib", `return (async ({ foldb }) => { const db = await foldb.open("digest"); const digest = await (${work})(db); await db.close(); return digest; })(lib)`));
  const { memory } = await import("foldb");
  assert.equal(there, await work(await memory()));
});
