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
    const other = await foldb.open("shared", { durability: "buffered" }).catch(({ kind, code, message }) => `${kind} ${code} ${/durability "strict", not {"mode":"buffered","intervalMs":100/.test(message)}`);
    // What is the same, each call's own, or left out, is no other.
    for (const same of [{ durability: "strict", segmentBytes: 64 << 20 }, { persist: false, retries: 3, lockTimeoutMs: 5, create: false }]) await (await foldb.open("shared", same)).close();
    await b.close();
    const again = await foldb.open("shared");
    const after = await again.kv.get("a");
    await again.close();
    return [seen, closed, still, other, after];
  });
  assert.deepEqual(found, [1, "Closed", 2, "Invalid Options true", 2]);
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
  const found = await inPage(async ({ foldb, shared }) => {
    const { sent, stop } = shared.messages();
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
    stop();
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

test("a write that cannot be sent fails its transaction whole, whether or not somebody waits for it", async () => {
  const found = await inPage(async ({ foldb }) => {
    const unhandled = [];
    addEventListener("unhandledrejection", ({ reason }) => unhandled.push(String(reason)));
    const db = await foldb.open("unsendable");
    const outcome = (work) => db.transaction(work).then(() => "committed", ({ kind }) => kind);
    const cycle = {};
    cycle.self = cycle;
    const outcomes = [
      // Nobody waits.
      await outcome((tx) => {
        tx.kv.put("a", 1);
        tx.kv.put("b", undefined);
        tx.kv.put("c", 1);
      }),
      await outcome((tx) => {
        tx.kv.put("a", 1);
        tx.state.set("b", cycle);
      }),
      // In a run of it, by a method that makes no transaction of its own here.
      await outcome(async (tx) => {
        const run = await tx.runs.begin({ name: "r" });
        run.kv.put("a", 1);
        run.events.append("s", "kind", Symbol("x"));
      }),
      // Somebody waits and goes on.
      await outcome(async (tx) => {
        await tx.kv.put("a", 1);
        await tx.kv.put("b", undefined).catch(() => {});
      }),
      // A getter that uses the store in the middle of a write.
      await outcome((tx) => {
        tx.kv.put("a", 1);
        tx.kv.put("b", {
          get value() {
            tx.kv.put("c", 1);
            return 1;
          },
        });
      }),
    ];
    const tx = await db.beginTransaction();
    tx.kv.put("a", 1);
    tx.kv.put("b", () => 1);
    outcomes.push(await tx.commit().catch(({ kind }) => kind));
    outcomes.push(await tx.commit().catch(({ kind }) => kind));
    // A refusal by the store that somebody has waited for is theirs to judge, as ever.
    outcomes.push(await outcome((tx) => tx.kv.putIfAbsent("d", 1).then(() => tx.kv.putIfAbsent("d", 2)).catch(() => {})));
    const keys = await db.kv.keys();
    const runs = (await db.runs.list()).length;
    await db.close();
    // One of the test's own is told behind all that were before it.
    Promise.reject(new Error("last"));
    while (!unhandled.includes("Error: last")) await new Promise((resolve) => setTimeout(resolve));
    return { outcomes, keys, runs, unhandled };
  });
  assert.deepEqual(found, { outcomes: ["Invalid", "Limit", "Invalid", "Invalid", "Invalid", "Invalid", "Invalid", "committed"], keys: ["d"], runs: 0, unhandled: ["Error: last"] });
});

test("what comes after the end of a transaction is refused, and not dropped in silence", async () => {
  const found = await inPage(async ({ foldb }) => {
    const db = await foldb.open("late");
    const kinds = [];
    const late = async (tx) => kinds.push(await tx.kv.put("late", 1).then(() => "resolved", ({ kind, code }) => `${kind} ${code}`));
    let kept;
    await db.transaction(async (tx) => {
      kept = tx;
      await tx.kv.put("a", 1);
    });
    await late(kept);
    await db.transaction((tx) => Promise.reject(new Error((kept = tx) && "own"))).catch(() => {});
    await late(kept);
    const tx = await db.beginTransaction();
    await tx.rollback();
    await late(tx);
    const view = await db.view();
    await view.release();
    await view.release();
    kinds.push(await view.kv.get("a").catch(({ kind, code }) => `${kind} ${code}`));
    const keys = await db.kv.keys();
    await db.close();
    return [kinds, keys];
  });
  assert.deepEqual(found, [Array(4).fill("Invalid Ended"), ["a"]]);
});

test("answers that are more than fits into one message reach those who asked", async () => {
  const found = await inPage(async ({ foldb }) => {
    const db = await foldb.open("large answers", { durability: "buffered" });
    const large = (16 << 20) - 100;
    for (const key of ["x", "y"]) await db.kv.put(key, new Uint8Array(large).fill(key.charCodeAt(0)));
    await db.kv.put("small", 7);
    const asked = [db.kv.put("put", 1)];
    const told = (value) => (value instanceof Uint8Array ? `${value.length - large} ${value[large - 1]}` : String(value));
    // More than 512 MiB, which is what a call into the module can return.
    for (let i = 0; i < 33; i++) asked.push(db.kv.get(i % 2 ? "x" : "y").then(told, ({ kind }) => kind), db.kv.get("small").then(told, ({ kind }) => kind));
    const answers = await Promise.all(asked);
    const put = await db.kv.get("put");
    await db.close();
    return { answers: [...new Set(answers.map((answer, i) => `${i === 0 ? "put" : i % 2 ? "large" : "small"} ${answer}`))], put };
  });
  assert.deepEqual(found, { answers: ["put undefined", "large 0 121", "small 7", "large 0 120"], put: 1 });
});

test("an answer that is missing, or one too many, ends the connection, and no later one goes astray", async () => {
  const found = await inPage(async ({ foldb }) => {
    const Native = Worker;
    const lengths = (bytes) => {
      const view = new DataView(bytes);
      const ends = [0];
      for (let at = 0; at < bytes.byteLength; ) ends.push((at += 4 + view.getUint32(at, true)));
      return ends;
    };
    const spoilt = async (name, spoil) => {
      let active = false;
      globalThis.Worker = class extends Native {
        addEventListener(type, listener) {
          super.addEventListener(type, (event) => {
            if (!active || type !== "message" || event.data.type !== "answers") return listener(event);
            listener({ data: { ...event.data, bytes: spoil(event.data.bytes, lengths(event.data.bytes)) } });
          });
        }
      };
      const db = await foldb.open(name, { durability: "buffered" });
      globalThis.Worker = Native;
      await db.kv.putMany([["a", 1], ["b", 2], ["c", 3]]);
      active = true;
      const told = (promise) => Promise.race([promise.catch(({ kind }) => kind), new Promise((resolve) => setTimeout(resolve, 60_000, "nothing"))]);
      const first = [db.kv.get("a"), db.kv.get("b")].map(told);
      await Promise.resolve();
      await Promise.resolve();
      const second = told(db.kv.get("c"));
      return [...(await Promise.all(first)), await second, await told(db.kv.get("a"))];
    };
    const less = await spoilt("less", (bytes, ends) => bytes.slice(0, ends.at(-2)));
    const more = await spoilt("more", (bytes, ends) => {
      const last = new Uint8Array(bytes.slice(ends.at(-2)));
      const longer = new Uint8Array(bytes.byteLength + last.length);
      longer.set(new Uint8Array(bytes));
      longer.set(last, bytes.byteLength);
      return longer.buffer;
    });
    return { less, more };
  });
  assert.deepEqual(found, { less: [1, "Crashed", "Crashed", "Crashed"], more: [1, 2, "Crashed", "Crashed"] });
});

test("a page that goes sends what it was asked for before it asks for the flush", async () => {
  const found = await inPage(async ({ foldb, shared }) => {
    const { sent, stop } = shared.messages();
    const db = await foldb.open("leaving", { durability: "buffered" });
    await db.kv.put("a", 1);
    const during = async (event) => {
      sent.length = 0;
      const put = db.kv.put("before", 1);
      dispatchEvent(new Event(event));
      const later = db.kv.put("behind", 1);
      await put;
      await later;
      return [...sent];
    };
    const going = await during("pagehide");
    // It is shown again, from the browser's cache of pages.
    const staying = await during("pageshow");
    stop();
    await db.close();
    return { going, staying };
  });
  assert.deepEqual(found, { going: ["requests", "flush", "requests", "flush"], staying: ["requests"] });
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
    const end = new Promise((resolve) => setTimeout(() => resolve("nothing"), 60_000));
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
  assert.match(full[2], /the quota of this origin used up.*Deleting entries makes no room/);
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
