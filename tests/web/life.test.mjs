// The life of a store beside that of its page, its worker and its origin: what is lost, evicted, ended or missing is told, by
// the right name, and nothing waits for ever.

import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Site } from "./site.mjs";
import { visit as visitSite } from "./visit.mjs";

let site;
before(async () => (site = await Site.start()));
after(() => site?.stop());

const visit = (prepare) => visitSite(site, prepare);

test("whoever waits when a worker ends is told: an opening, statistics, an export, a destruction", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const end = () => globalThis.workers.splice(0).forEach((worker) => worker.terminate());
    const said = [];
    for (const ask of [(db) => db.stats(), (db) => db.export(), (db) => db.close(), (db) => db.kv.put("a", 1)]) {
      const db = await foldb.open("ends");
      const asked = soon(ask(db));
      end();
      said.push(await asked);
      said.push(await soon(db.stats()));
    }
    // A worker that waits for a lock has not opened anything yet.
    let release;
    await new Promise((held) => navigator.locks.request("foldb:ends", () => (held(), new Promise((let_go) => (release = let_go)))));
    const waiting = [foldb.open("ends", { lockTimeoutMs: 60_000 }), foldb.destroy("ends"), foldb.importStore("ends", new Blob([]))].map(soon);
    // Until all three wait for it, and the page for the end of each.
    const isWaited = ({ pending }, name) => pending.filter((lock) => lock.name.startsWith(name)).length === 3;
    for (let locks; !locks || !isWaited(locks, "foldb:ends") || !isWaited(locks, "foldb-alive:"); ) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      locks = await navigator.locks.query();
    }
    end();
    said.push(...(await Promise.all(waiting)));
    release();
    const db = await foldb.open("ends");
    await db.close();
    return said;
  });
  const crashed = "Crashed Crashed";
  assert.deepEqual(found, Array(11).fill(crashed).with(5, "Closed Closed"));
  await context.close();
});

test("a flush that fails in passing ends no store: reads go on, and the next commit says what is wrong", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const db = await foldb.open("flush", { durability: { intervalMs: 3_600_000, bytes: 1 << 30 } });
    await db.kv.put("a", 1);
    fail({ flush: true });
    globalThis.workers[0].postMessage({ type: "flush" });
    const said = [await soon(db.kv.get("a")), await soon(db.kv.put("b", 1)), await soon(db.stats().then(({ seq }) => seq > 0))];
    await db.close().catch(() => {});
    fail({ flush: false });
    return said;
  });
  assert.deepEqual(found, [1, "Poisoned Poisoned", true]);
  await context.close();
});

test("a worker that is killed takes nothing of what is relaxed, and what is buffered in it", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const found = [];
    for (const mode of ["relaxed", "buffered"]) {
      const db = await foldb.open(mode, { durability: { mode, intervalMs: 3_600_000 } });
      await db.kv.put("synced", 1);
      const durable = await db.sync();
      for (let number = 0; number < 10; number++) await db.kv.put(`key ${number}`, number);
      const isDurable = (await db.durableSeq()) > durable;
      globalThis.workers.splice(0).forEach((worker) => worker.terminate());
      const said = await soon(db.kv.get("synced"));
      const again = await foldb.open(mode);
      found.push([mode, isDurable, said, await again.kv.count(), (await again.verify()).violations.length]);
      await again.close();
    }
    // However it is said, it is the same durability.
    const first = await foldb.open("said", { durability: "relaxed" });
    const second = await foldb.open("said", { durability: { mode: "relaxed", intervalMs: 100 } });
    const other = await soon(foldb.open("said", { durability: { mode: "relaxed", intervalMs: 5 } }));
    await first.close();
    await second.close();
    return [...found, other];
  });
  const crashed = "Crashed Crashed";
  assert.deepEqual(found, [["relaxed", false, crashed, 11, 0], ["buffered", false, crashed, 1, 0], "Invalid Options"]);
  await context.close();
});

test("whoever listens or waits for a job when a worker ends is told, and after a close that it is over", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const said = [];
    const listen = (db) => {
      const heard = [];
      db.onCommit({}, ({ changes }) => heard.push(changes[0].key), ({ kind }) => heard.push(kind));
      const loop = (async () => {
        const keys = [];
        for await (const { changes } of db.subscribe()) keys.push(changes[0].key);
        return keys.join();
      })();
      return [heard, soon(loop), soon(db.events.tail("s", 1).next().then(({ done }) => `done ${done}`)), soon(db.queue("q").wait(1000))];
    };
    const db = await foldb.open("listens");
    const [heard, ...ends] = listen(db);
    await db.kv.put("a", 1);
    // What there is to hear of it comes behind its answer, and before the next one.
    await db.kv.get("a");
    globalThis.workers.splice(0).forEach((worker) => worker.terminate());
    said.push(await Promise.all(ends), heard.join());
    said.push(await soon(db.subscribe().next()));
    // Two handles of one store: the end of one is none of the other's.
    const [one, other] = [await foldb.open("listens"), await foldb.open("listens")];
    const [heardByOne, ...endsOfOne] = listen(one);
    const [heardByOther, ...endsOfOther] = listen(other);
    await other.kv.put("b", 1);
    void one.kv.put("c", 1);
    await one.close();
    said.push(await Promise.all(endsOfOne), heardByOne.join());
    await other.kv.put("d", 1);
    await other.close();
    said.push(await Promise.all(endsOfOther), heardByOther.join());
    said.push(await soon(other.subscribe().next()));
    return said;
  });
  const [crashed, closed] = ["Crashed Crashed", "Closed Closed"];
  assert.deepEqual(found, [[crashed, crashed, crashed], "a,Crashed", crashed, ["b,c", "done true", closed], "b,c", ["b,c,d", "done true", closed], "b,c,d", closed]);
  await context.close();
});

test("where the browser tells no quota, statistics have everything else", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const db = await foldb.open("estimate");
    await db.kv.put("a", 1);
    fail({ estimate: true });
    const stats = await db.stats();
    const after = await soon(db.kv.get("a"));
    await db.close();
    return [stats.commits, stats.memoryBytes > 0, "quotaBytes" in stats, stats.persisted, after];
  });
  assert.deepEqual(found, [1, true, false, false, 1]);
  await context.close();
});

test("a worker that ends with a commit in flight rejects it, and the store has it whole or not at all", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const first = await foldb.open("flight");
    await first.kv.put("first", 1);
    await first.close();
    globalThis.workers.length = 0;
    const counts = { acknowledged: 0, there: 0, gone: 0, wrong: [] };
    for (let round = 0; round < 16; round++) {
      const db = await foldb.open("flight");
      let said;
      const commit = db
        .transaction(async (tx) => {
          await tx.kv.putMany(Array.from({ length: 200 }, (_, i) => [`${round}/${i}`, new Uint8Array(100).fill(round)]));
          await tx.json.set(`${round}`, { round });
          await tx.events.append("rounds", "round", BigInt(round));
        })
        .then(() => (said = "done"), ({ kind }) => (said = kind));
      // Between before the message is sent, in the first round, and after the answer has come, in the last.
      for (const begin = performance.now(); performance.now() - begin < round / 2; ) await Promise.resolve();
      if (round % 2) await new Promise((resolve) => setTimeout(resolve, round / 4));
      if (round === 15) await commit;
      globalThis.workers.splice(0).forEach((worker) => worker.terminate());
      await soon(commit);
      // Until the page knows, an opening is one more of the store that is going.
      while (await soon(db.kv.exists("first")) !== "Crashed Crashed");
      if (said !== "done" && said !== "Crashed") counts.wrong.push(`${round}: ${said}`);
      const again = await foldb.open("flight");
      const parts = [
        (await again.kv.count({ prefix: `${round}/` })) / 200,
        Number(await again.json.exists(`${round}`)),
        (await again.events.range("rounds")).filter(({ payload }) => payload === BigInt(round)).length,
      ];
      const whole = parts.every((part) => part === 1);
      if (!whole && !parts.every((part) => part === 0)) counts.wrong.push(`${round}: ${parts}`);
      if (said === "done" && !whole) counts.wrong.push(`${round}: acknowledged, and not there`);
      if (again.created) counts.wrong.push(`${round}: created again`);
      counts[whole ? "there" : "gone"]++;
      counts.acknowledged += said === "done";
      await again.close();
      globalThis.workers.length = 0;
    }
    return counts;
  });
  assert.deepEqual(found.wrong, []);
  assert.ok(found.gone > 0 && found.there > 0, `the worker ended too late, or too early, each time: ${JSON.stringify(found)}`);
  await context.close();
});

test("a lock that is given back a moment late is waited for by a destruction and an import as by an opening", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const db = await foldb.open("late");
    await db.kv.put("a", 1);
    const archive = await db.export();
    await db.close();
    // As a worker that has just ended may still hold it.
    const hold = () => new Promise((held) => navigator.locks.request("foldb:late", () => (held(), new Promise((end) => setTimeout(end, 800)))));
    await hold();
    const destroyed = await soon(foldb.destroy("late"));
    await hold();
    const imported = await soon(foldb.importStore("late", archive).then(({ seq }) => seq));
    await hold();
    const again = await soon(foldb.open("late").then((db) => db.kv.get("a")));
    return [destroyed, imported, again];
  });
  assert.deepEqual(found, [true, 1, 1]);
  await context.close();
});

test("a store that is closed while files are made for it can be destroyed at once", async () => {
  const { context, run } = await visit();
  const found = await run(async () => {
    const inWorker = `
      import { destroy, openInWorker } from "${location.origin}/node_modules/foldb/dist/index.js";
      const { createSyncAccessHandle } = FileSystemFileHandle.prototype;
      let slow = false;
      FileSystemFileHandle.prototype.createSyncAccessHandle = async function () {
        const handle = await createSyncAccessHandle.call(this);
        if (slow && this.name.startsWith("pool-")) await new Promise((resolve) => setTimeout(resolve, 300));
        return handle;
      };
      const said = [];
      for (let round = 0; round < 3; round++) {
        slow = false;
        const db = await openInWorker("making", { durability: "buffered", segmentBytes: 65536 });
        slow = true;
        // Few files are left, so that more are being made when it is closed.
        for (let i = 0; i <= round; i++) db.kv.put("large " + i, new Uint8Array(30_000));
        await new Promise((resolve) => setTimeout(resolve, 20));
        await db.close();
        said.push(await destroy("making").catch(({ message }) => message));
      }
      postMessage(said);`;
    const worker = new Worker(URL.createObjectURL(new Blob([inWorker], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  });
  assert.deepEqual(found, Array(3).fill(true));
  await context.close();
});

test("the browser is asked once for persistence, and what it says is reported", async () => {
  const count = (context) =>
    context.addInitScript(() => {
      globalThis.asked = 0;
      globalThis.answers = [];
      const { persist } = StorageManager.prototype;
      StorageManager.prototype.persist = function () {
        globalThis.asked++;
        globalThis.answers.push(persist.call(this));
        return globalThis.answers.at(-1);
      };
      // What a test evaluates counts as done by a user, to Chromium. Here nobody has clicked until a test says so.
      Object.defineProperty(navigator, "userActivation", { value: { get isActive() { return globalThis.clicked ?? false; } } });
    });
  const openings = async ({ foldb }, options) => {
    const stores = [await foldb.open("one", options), await foldb.open("two", options), await foldb.open("one", options)];
    await Promise.all(globalThis.answers);
    const { persisted } = await stores[0].stats();
    for (const db of stores) await db.close();
    return [globalThis.asked, persisted === (await navigator.storage.persisted()), persisted];
  };
  const { context, page, run } = await visit(count);
  assert.deepEqual(await run(openings), [1, true, false], "this browser says no, and that is reported");
  await page.reload();
  assert.deepEqual(await run(openings), [0, true, false], "a user who is asked at each visit says no");
  await page.reload();
  assert.deepEqual(await run(openings, { persist: true }), [1, true, false], "an app may say when to ask again");
  await page.reload();
  const clicked = await run(async ({ foldb }) => {
    const db = await foldb.open("one", { durability: "buffered" });
    const counts = [globalThis.asked];
    for (globalThis.clicked of [false, true, true]) {
      const same = await foldb.open("one", { persist: true });
      counts.push(globalThis.asked);
      await same.kv.put("a", 1);
      // While it has not answered, it is not asked again.
      await Promise.all(globalThis.answers);
      await new Promise((resolve) => setTimeout(resolve));
      await same.close();
    }
    await db.close();
    return counts;
  });
  assert.deepEqual(clicked, [0, 1, 2, 3], "a click asks again, of a store that is open too, whatever it was opened with");
  await context.close();

  // A user who says yes when asked.
  const browser = await site.browser.newBrowserCDPSession();
  let target;
  const yes = await visit(async (context) => {
    await context.exposeFunction("sayYes", () => browser.send("Browser.grantPermissions", { origin: site.origin, permissions: ["durableStorage"], browserContextId: target.browserContextId }));
    await context.addInitScript(() => {
      const { persist } = StorageManager.prototype;
      StorageManager.prototype.persist = function () {
        return sayYes().then(() => persist.call(this));
      };
    });
    await count(context);
  });
  target = (await yes.cdp.send("Target.getTargetInfo")).targetInfo;
  assert.deepEqual(await yes.run(openings, { persist: false }), [0, true, false]);
  assert.deepEqual(await yes.run(openings), [1, true, true], "granted, and reported");
  await yes.page.reload();
  assert.deepEqual(await yes.run(openings, { persist: true }), [0, true, true], "what is granted is not asked for");
  await yes.context.close();
});

test("a store that was evicted is created again, and that is no error", async () => {
  const { context, page, cdp, run } = await visit();
  const put = async ({ foldb }, key) => {
    const db = await foldb.open("evicted");
    await db.kv.put(key, 1);
    const { created } = db;
    const keys = await db.kv.keys();
    await db.close();
    return [created, keys, await foldb.list()];
  };
  assert.deepEqual(await run(put, "a"), [true, ["a"], ["evicted"]]);
  assert.deepEqual(await run(put, "b"), [false, ["a", "b"], ["evicted"]]);
  await cdp.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "all" });
  // In the very page, whose locks are those of before from then on, and in a new one.
  assert.deepEqual(await run(put, "c"), [true, ["c"], ["evicted"]]);
  await page.goto("about:blank");
  await cdp.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "all" });
  await page.goto(`${site.origin}/`);
  assert.deepEqual(await run(put, "c"), [true, ["c"], ["evicted"]]);

  // Under an open store, as when a user clears the data of a site: nothing hangs, and the next visit finds a new store.
  await run(async ({ foldb }) => {
    globalThis.db = await foldb.open("evicted");
  });
  await cdp.send("Storage.clearDataForOrigin", { origin: site.origin, storageTypes: "all" });
  const said = await run(async () => soon(globalThis.db.kv.put("d", 1)));
  assert.notEqual(said, "nothing for a minute");
  await page.reload();
  const [created, keys] = await run(put, "e");
  assert.deepEqual(keys, created ? ["e"] : ["c", ...(said === "done" ? ["d"] : []), "e"], `after a commit that was: ${said}`);
  await context.close();
});

/** Damages the header of each of these pool files of a store that is closed; a name that is none is made. */
const damage = async (_, { store, choose }) => {
  const directory = await (await (await navigator.storage.getDirectory()).getDirectoryHandle("foldb")).getDirectoryHandle(store);
  const names = [];
  for await (const [name, handle] of directory.entries()) if (name.startsWith("pool-") && (await handle.getFile()).size > 4096) names.push(name);
  const chosen = choose === "all" ? names : ["pool-99"];
  for (const name of chosen) {
    const writable = await (await directory.getFileHandle(name, { create: true })).createWritable({ keepExistingData: true });
    for (const position of [0, 2048]) await writable.write({ type: "write", position, data: new Uint8Array(128).fill(7) });
    await writable.write({ type: "write", position: 5000, data: new Uint8Array([1]) });
    await writable.close();
  }
  return chosen.length;
};

test("a store of which only damage is left is Corrupt and not new, until it is destroyed", async () => {
  const { context, run } = await visit();
  await run(async ({ foldb }) => {
    const db = await foldb.open("damaged");
    await db.kv.put("a", 1);
    await db.close();
  });
  assert.ok((await run(damage, { store: "damaged", choose: "all" })) >= 2);
  const found = await run(async ({ foldb }) => {
    const said = [await soon(foldb.open("damaged")), await soon(foldb.open("damaged", { recovery: "salvage" })), (await foldb.list()).length];
    said.push(await foldb.destroy("damaged"));
    const db = await foldb.open("damaged");
    said.push(db.created);
    await db.close();
    return said;
  });
  assert.deepEqual(found, ["Corrupt Corrupt", "Corrupt Corrupt", 1, true, true]);
  await context.close();
});

test("a damaged file below the store is in the report of recovery, and an error where nothing may be wrong", async () => {
  const { context, run } = await visit();
  await run(async ({ foldb }) => {
    const db = await foldb.open("scratched");
    await db.kv.put("a", 1);
    await db.close();
  });
  await run(damage, { store: "scratched", choose: "one more" });
  const found = await run(async ({ foldb }) => {
    const strict = await soon(foldb.open("scratched", { recovery: "strict" }));
    const db = await foldb.open("scratched");
    const { created, damage } = db.recovery;
    const value = await db.kv.get("a");
    await db.close();
    return [strict, created, damage.map(({ file, len }) => [file, len]), value];
  });
  assert.deepEqual(found, ["Corrupt Corrupt", false, [["pool-99", 4096]], 1]);
  await context.close();
});

test("a store over its quota makes no more files with each request", async () => {
  const { context, cdp, run } = await visit();
  const files = () =>
    run(async () => {
      const directory = await (await (await navigator.storage.getDirectory()).getDirectoryHandle("foldb")).getDirectoryHandle("over");
      let count = 0;
      for await (const _ of directory.keys()) count++;
      return count;
    });
  const used = await run(async ({ foldb }) => {
    globalThis.db = await foldb.open("over", { segmentBytes: 65_536 });
    await globalThis.db.kv.put("before", 1);
    return (await globalThis.db.stats()).usageBytes;
  });
  const quota = (quotaSize) => cdp.send("Storage.overrideQuotaForOrigin", { origin: site.origin, ...quotaSize });
  await quota({ quotaSize: used + (2 << 20) });
  const fill = async (_, rounds) => {
    const kinds = new Set();
    let refused = 0;
    for (let i = 0; refused < rounds && i < 5000; i++) {
      await globalThis.db.kv.put(`filler ${i}`, new Uint8Array(20_000)).catch(({ kind }) => {
        kinds.add(kind);
        refused++;
      });
    }
    return [...kinds];
  };
  assert.deepEqual(await run(fill, 3), ["StorageFull"]);
  const before = await files();
  assert.deepEqual(await run(fill, 300), ["StorageFull"]);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await run(fill, 50);
  const after = await files();
  assert.ok(after <= before + 16, `${before} files at first, ${after} after 350 more requests`);
  await quota({});
  const said = await run(async () => {
    // Files are made again half a second later at most.
    for (let waited = 0; waited < 600; waited++) {
      const said = await soon(globalThis.db.kv.put("after", 1));
      if (said === "done") return [await globalThis.db.kv.get("before"), (await globalThis.db.verify()).violations.length];
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return "still full";
  });
  assert.deepEqual(said, [1, 0]);
  await context.close();
});

test("a package of which a file is missing says so, and goes on when it is there", async () => {
  const { context, page } = await visit();
  const [whole, part] = ["./node_modules/foldb/dist", "./incomplete"].map((folder) => fileURLToPath(new URL(folder, import.meta.url)));
  const opening = () =>
    page.evaluate(async () => {
      const foldb = await import("/incomplete/index.js");
      const soonToo = async (work) => soon((await work()).close());
      const all = [() => foldb.open("incomplete"), () => foldb.memory(), async () => ({ close: async () => void (await foldb.list()) })];
      return Promise.all(all.map((work) => soon(soonToo(work))));
    });
  const missing = async (file) => {
    rmSync(part, { recursive: true, force: true });
    cpSync(whole, part, { recursive: true });
    rmSync(`${part}/${file}`);
    await page.reload();
  };
  try {
    await missing("foldb_wasm_bg.wasm");
    assert.deepEqual(await opening(), Array(3).fill("Unsupported Module"));
    cpSync(`${whole}/foldb_wasm_bg.wasm`, `${part}/foldb_wasm_bg.wasm`);
    assert.deepEqual(await opening(), Array(3).fill("done"), "without a reload");
    await missing("worker.js");
    assert.deepEqual(await opening(), ["Unsupported Worker", "done", "Unsupported Worker"]);
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
  await context.close();
});

test("a page from elsewhere, and one whose policy forbids WebAssembly, are told what to do", async () => {
  const context = await site.browser.newContext();
  const page = await context.newPage();
  const open = async () => {
    const foldb = await import("/node_modules/foldb/dist/index.js");
    return Promise.race([foldb.open("policy").then(() => "open", ({ kind, code }) => `${kind} ${code}`), new Promise((resolve) => setTimeout(() => resolve("nothing for a minute"), 60_000))]);
  };
  const policy = async (policy) => {
    await page.unrouteAll({ behavior: "wait" });
    await page.route("**/*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": policy } });
    });
    await page.goto(`${site.origin}/`);
    return page.evaluate(open);
  };
  assert.equal(await policy("script-src 'self'"), "Unsupported Module");
  assert.equal(await policy("script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'"), "Unsupported Worker");
  assert.equal(await policy("script-src 'self' 'wasm-unsafe-eval'"), "open");
  await page.unrouteAll({ behavior: "wait" });
  // Modules may come from another origin that allows it, workers may not.
  await page.route("http://elsewhere.test/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    const response = await route.fetch({ url: `${site.origin}/node_modules/foldb/dist${pathname}` });
    await route.fulfill({ response, headers: { ...response.headers(), "access-control-allow-origin": "*" } });
  });
  await page.goto(`${site.origin}/`);
  const said = await page.evaluate(async () => {
    const foldb = await import("http://elsewhere.test/index.js");
    return [await foldb.open("x"), 0].map(String);
  }).catch(({ message }) => message);
  assert.match(String(said), /worker cannot be started.*page's own origin/);
  await context.close();
});

test("options and names that are none are refused, and a wait without end is one", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const said = [];
    const wrong = [null, 5, "strict", { lockTimeoutMs: NaN }, { lockTimeoutMs: -1 }, { lockTimeoutMs: "5" }, { create: "false" }, { checkSnapshots: 1 }, { persist: "yes" }, { retries: -1 }, { recovery: "none" }, { signal: 5 }, { onProgress: 5 }];
    for (const options of wrong) said.push(await soon(foldb.open("x", options)));
    for (const call of [() => foldb.open(5), () => foldb.open(), () => foldb.destroy(null), () => foldb.importStore({}, new Blob([])), () => foldb.open("x", {}, 1), () => foldb.list("x"), () => foldb.destroy("x", { force: true }), () => foldb.importStore("x", new Blob([]), {}, 1), () => foldb.memory("x"), () => foldb.memory({}, 1)]) said.push(await soon(call()));
    const own = [{ durabilty: "buffered" }, { durability: { interval: 5 } }, { somethingElse: () => {} }].map((options) => foldb.open("x", options));
    for (const call of [...own, foldb.importStore("x", new Blob([]), { progress: 1 }), foldb.memory({ name: "x" })]) said.push(await soon(call));
    // Half of a surrogate pair would be another name on its way.
    for (const call of [foldb.open("\ud800"), foldb.destroy("a\udc00b"), foldb.importStore("\udc00\ud800", new Blob([]))]) said.push(await soon(call));
    said.push(await soon(foldb.importStore("x", 5)), (await foldb.list()).length);
    const db = await foldb.open("x", { lockTimeoutMs: Infinity });
    await db.close();
    const inWorker = `
      import { openInWorker } from "${location.origin}/node_modules/foldb/dist/index.js";
      const kind = (options) => openInWorker("x", options).then((db) => db.close(), ({ kind, code }) => kind + " " + code);
      const all = [{ lockTimeoutMs: Infinity }, { lockTimeoutMs: NaN }, { persist: false }, { persist: true }];
      const said = [];
      for (const options of all) said.push((await kind(options)) ?? "done");
      postMessage(said);`;
    const worker = new Worker(URL.createObjectURL(new Blob([inWorker], { type: "text/javascript" })), { type: "module" });
    said.push(...(await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)))));
    return said;
  });
  const refused = "Invalid Argument";
  assert.deepEqual(found, [...Array(23).fill(refused), ...Array(5).fill("Invalid Option"), ...Array(3).fill("Invalid Text"), "Invalid Archive", 0, "done", refused, "done", "Unsupported Persist"]);
  await context.close();
});

test("whoever has a store that is locked is called by the right name", async () => {
  const { context, run } = await visit();
  const found = await run(async ({ foldb }) => {
    const inWorker = `
      import { destroy, importStore, openInWorker } from "${location.origin}/node_modules/foldb/dist/index.js";
      const said = (work) => work.then(() => "done", ({ kind, message }) => kind + ": " + message);
      const own = await openInWorker("own");
      const all = [openInWorker("own", { lockTimeoutMs: 50 }), destroy("own"), importStore("own", new Blob([])), openInWorker("page's", { lockTimeoutMs: 50 }), destroy("page's")];
      const told = await Promise.all(all.map(said));
      await own.close();
      told.push(await said(openInWorker("own").then((db) => db.close())));
      postMessage(told);`;
    const db = await foldb.open("page's");
    const worker = new Worker(URL.createObjectURL(new Blob([inWorker], { type: "text/javascript" })), { type: "module" });
    const told = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
    await db.close();
    return told;
  });
  const own = "Locked: this very worker has the store own open; use that handle, or close it first";
  const other = "Locked: another tab or worker has the store page's open; ";
  assert.deepEqual(found, [own, own, own, `${other}close it there, or use the store through it`, `${other}close it before it is destroyed`, "done"]);
  await context.close();
});

test("nothing is fetched but the package's own files", async () => {
  const context = await site.browser.newContext();
  const asked = new Set();
  context.on("request", (request) => asked.add(request.url()));
  const page = await context.newPage();
  await page.goto(`${site.origin}/`);
  await page.evaluate(async () => {
    const foldb = await import("/node_modules/foldb/dist/index.js");
    const db = await foldb.open("fetches");
    await db.kv.put("a", 1);
    await db.stats();
    const archive = await db.export();
    await db.close();
    await foldb.importStore("copy", archive);
    await foldb.list();
    await foldb.destroy("copy");
    await foldb.open("copy", { create: false }).catch(() => {});
    (await foldb.memory()).kv.put("a", 1);
  });
  const own = `${site.origin}/node_modules/foldb/dist/`;
  const others = [...asked].filter((url) => !url.startsWith(own) && url !== `${site.origin}/` && !url.endsWith("/favicon.ico"));
  assert.deepEqual(others, []);
  for (const file of ["index.js", "worker.js", "foldb_wasm_bg.wasm"]) assert.ok(asked.has(own + file), `${file} is seen: ${[...asked].join(", ")}`);
  await context.close();
});
