// The end of a process whose store is buffered: everything is there afterwards, and the process has ended as it would have ended
// without a store.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { openDirectory } from "foldb/node";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const ENGINES = { node: [process.execPath, "--expose-gc"], bun: [here("./node_modules/.bin/bun")], deno: [here("./node_modules/.bin/deno"), "run", "--allow-all", "--node-modules-dir=manual"] };

/** Runs `ender.mjs`, sends it signals as it asks for them, and gives how it ended. */
async function ends(way, stores, { signals = [], engine = "node" } = {}) {
  const [program, ...options] = ENGINES[engine];
  const child = spawn(program, [...options, here("./ender.mjs"), way, ...stores], { cwd: here("."), stdio: ["ignore", "pipe", "pipe"] });
  const left = [...signals];
  let [said, complained] = ["", ""];
  let heard = 0;
  child.stderr.on("data", (text) => (complained += text));
  child.stdout.on("data", (text) => {
    said += text;
    // One signal for each thing that it says, so that no two of them are taken for one.
    const lines = said.split("\n").length - 1;
    for (; heard < lines && left.length > 0; heard++) child.kill(left.shift());
  });
  const [status, signal] = await once(child, "close");
  return { status, signal, said: said.trim(), complained };
}

const fresh = () => join(mkdtempSync(join(tmpdir(), "foldb-end-")), "store");

async function count(store) {
  const db = await openDirectory(store, { create: false });
  const found = db.kv.count();
  assert.deepEqual(db.verify().violations, []);
  await db.close();
  return found;
}

/** Ends a process with stores and one without, in the same way: the ends are the same, and nothing of the stores is lost. */
async function same(way, { expected = 100, stores = [fresh()], ...options } = {}) {
  const [withStores, without] = [await ends(way, stores, options), await ends(way, [], options)];
  const shown = ({ status, signal, said }) => ({ status, signal, said });
  assert.deepEqual(shown(withStores), shown(without), withStores.complained);
  for (const store of stores) assert.equal(await count(store), expected, `${way}: ${withStores.complained}`);
  return withStores;
}

for (const [what, way, status] of [["a program that comes to its end", "end", 0], ["process.exit", "exit", 3], ["an uncaught error", "throw", 1], ["an unhandled rejection", "reject", 1]]) {
  test(`${what} loses nothing that was buffered`, async () => {
    assert.equal((await same(way)).status, status);
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  test(`${signal} ends the process as ever, and loses nothing that was buffered`, async () => {
    assert.equal((await same("wait", { signals: [signal] })).signal, signal);
  });
}

test("kill -9 takes nothing of what is relaxed, and what is buffered in the process", async () => {
  for (const way of ["relaxed", "relaxedTransaction", "half"]) {
    const store = fresh();
    assert.equal((await ends(way, [store], { signals: ["SIGKILL"] })).signal, "SIGKILL");
    assert.equal(await count(store), 100, way);
  }
});

test("a process with a relaxed store ends by a signal as ever", async () => {
  for (const way of ["relaxed", "relaxedTransaction"]) assert.equal((await same(way, { signals: ["SIGTERM"] })).signal, "SIGTERM");
});

test("a program that sees to a signal itself is left to it, and loses nothing", async () => {
  assert.equal((await same("handler", { signals: ["SIGTERM"] })).status, 7);
  const told = await same("once", { signals: ["SIGTERM"] });
  assert.deepEqual([told.signal, told.said], ["SIGTERM", "ready\nlisteners 0"]);
  // Of two who each wait for the other to go, none would.
  assert.deepEqual((await same("only", { signals: ["SIGTERM"] })).signal, "SIGTERM");
  assert.deepEqual(await same("deaf", { signals: ["SIGTERM", "SIGTERM"] }).then(({ status, said }) => [status, said]), [5, "ready\ntold 1\ntold 2"]);
  assert.equal((await same("removed", { signals: ["SIGTERM"] })).signal, "SIGTERM");
});

test("what is written by those who hear of the exit is kept, whoever hears of it first", async () => {
  await same("late", { expected: 300 });
});

test("several stores are all kept, also where one was closed and nobody holds the others", async () => {
  await same("wait", { stores: [fresh(), fresh(), fresh()], signals: ["SIGINT"] });
  await same("closed", { stores: [fresh(), fresh()], signals: ["SIGTERM"] });
  await same("forgotten", { stores: [fresh(), fresh()], signals: ["SIGTERM"] });
});

test("several copies of the package do not wait for each other", async () => {
  cpSync(here("./node_modules/foldb/dist"), here("./another-copy"), { recursive: true });
  await same("copies", { stores: [fresh(), fresh()], signals: ["SIGTERM"] });
});

test("a buffered transaction of a strict store is kept as well", async () => {
  await same("strict", { signals: ["SIGHUP"] });
});

test("a worker thread loses nothing at its own end", async () => {
  await same("thread");
  await same("threadExit");
});

test("stores that are closed leave no listener behind", async () => {
  const store = fresh();
  assert.equal((await ends("listeners", [store])).said, "left nothing");
});

test("a disk that fails at the end is told of, and changes no exit status", async () => {
  const store = fresh();
  const { status, complained } = await ends("failing", [store]);
  assert.equal(status, 3);
  assert.match(complained, /^foldb: what was buffered is not on stable media: .*the disk is gone/m);
});

for (const engine of ["deno", "bun"]) {
  test(`in ${engine} nothing that was buffered is lost either`, async () => {
    assert.ok(existsSync(ENGINES[engine][0]), `${engine} is not installed`);
    for (const way of ["end", "exit", "throw", "reject"]) await same(way, { engine });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) assert.equal((await same("wait", { engine, signals: [signal] })).signal, signal);
    await same("handler", { engine, signals: ["SIGTERM"] });
    await same("deaf", { engine, signals: ["SIGTERM", "SIGTERM"] });
    // Bun does not tell that a listener was removed.
    for (const way of engine === "bun" ? [] : ["once", "only", "removed"]) await same(way, { engine, signals: ["SIGTERM"] });
    await same("late", { engine, expected: 300 });
    await same("strict", { engine, signals: ["SIGHUP"] });
    for (const way of ["thread", "threadExit"]) await same(way, { engine });
  });
}

test("a loop that leaves no timer a turn keeps the interval", async () => {
  const store = fresh();
  const db = await openDirectory(store, { durability: { intervalMs: 10, bytes: 1 << 30 } });
  // Not one turn of the event loop from here on.
  let [number, durable] = [0, 0];
  for (; durable < 3 && number < 5_000_000; number++) {
    const before = db.durableSeq();
    db.kv.put(`key ${number % 1000}`, number);
    if (db.durableSeq() > before) durable++;
  }
  assert.equal(durable, 3, `${number} commits, and not on stable media three times`);
  assert.ok(number > 30, `synced for every ${number / 3} commits`);
  await db.close();
});
