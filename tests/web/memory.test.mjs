// The synchronous API in memory, in Node.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import * as foldb from "foldb";
import { openDirectory } from "foldb/node";

import { cases, equal, fails } from "./shared.mjs";

for (const [name, run] of Object.entries(cases)) {
  test(name, async () => {
    const db = await foldb.memory();
    await run(db, foldb);
    await db.close();
  });
}

test("results come at once", async () => {
  const db = await foldb.memory();
  db.kv.put("a", 1);
  assert.equal(db.kv.get("a"), 1);
  assert.equal(db.transaction((tx) => tx.kv.get("a")), 1);
});

test("a transaction cannot wait in the synchronous API", async () => {
  const db = await foldb.memory();
  await fails("Invalid", () => db.transaction(async (tx) => tx.kv.put("a", 1)));
  equal(db.kv.exists("a"), false);
});

test("nothing can be asked of a closed store", async () => {
  const db = await foldb.memory();
  await db.close();
  await db.close();
  await fails("Closed", () => db.kv.get("a"));
});

test("stores in memory do not share anything", async () => {
  const [a, b] = [await foldb.memory(), await foldb.memory()];
  a.kv.put("a", 1);
  equal(b.kv.exists("a"), false);
  const view = a.view();
  await fails("Invalid", () => b.replayDefault().diff(view));
});

test("random values come back as they went in", async () => {
  const db = await foldb.memory();
  // SplitMix64, so that a failing value can be had again.
  let state = 42n;
  const next = (below) => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let mixed = state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return Number((mixed ^ (mixed >> 31n)) % BigInt(below));
  };
  const floats = new DataView(new ArrayBuffer(8));
  const float = () => {
    floats.setUint32(0, next(2 ** 32));
    floats.setUint32(4, next(2 ** 32));
    if (next(2)) return floats.getFloat32(0);
    return next(2) ? floats.getFloat64(0) : (next(65536) - 32768) / 2 ** next(24);
  };
  const text = () => String.fromCodePoint(...Array.from({ length: next(40) }, () => (next(3) ? 32 + next(90) : 0xe000 + next(0x10000))));
  const value = (depth) => {
    switch (next(depth > 4 ? 8 : 12)) {
      case 0: return null;
      case 1: return next(2) === 0;
      case 2: return float();
      case 3: return BigInt.asIntN(64, BigInt(next(2 ** 32)) << BigInt(next(33)));
      case 4: return text();
      case 5: return new Uint8Array(next(50)).map(() => next(256));
      case 6: return new Date(next(2 ** 42) - 2 ** 41);
      case 7: return new foldb.U256(BigInt(next(2 ** 32)) << BigInt(next(224)));
      case 8: return Array.from({ length: next(6) }, () => value(depth + 1));
      case 9: return Object.fromEntries(Array.from({ length: next(6) }, () => [`k${text()}`, value(depth + 1)]));
      case 10: return new Map(Array.from({ length: next(6) }, () => [next(2) ? text() : BigInt(next(9)), value(depth + 1)]));
      default: return new Set(Array.from({ length: next(6) }, () => BigInt(next(100))));
    }
  };
  for (let round = 0; round < 3000; round++) {
    const given = value(0);
    db.kv.put("v", given);
    assert.deepStrictEqual(db.kv.get("v"), given, `round ${round}`);
  }
});

test("hostile bytes of the module's memory do not stop it", async () => {
  // The same message that a broken page could send to a worker: any bytes as requests.
  const { encodeOptions, load, Store } = await import(new URL("./node_modules/foldb/dist/internal.js", import.meta.url));
  const { memory } = await load();
  const store = Store.openMemory(encodeOptions({}));
  let state = 7;
  const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: random() % 60 }, random);
    if (bytes.length > 6 && round % 2) {
      // Past the head: a known operation on a known target, with anything behind.
      new DataView(bytes.buffer).setUint32(0, bytes.length - 4, true);
      bytes[4] = random() % 180;
      bytes[5] = random() % 4;
    }
    const at = store.reserve(bytes.length);
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    store.callAll(random() % 3, bytes.length);
  }
  const db = await foldb.memory();
  db.kv.put("a", 1);
  equal(db.kv.get("a"), 1);
});

/** A directory in JavaScript's memory, as `foldb/node` gives one to the module, that fails on demand. */
class Directory {
  files = new Map();
  opened = [];
  fail = () => undefined;

  #check(action, name) {
    const code = this.fail(action, name);
    if (code) throw Object.assign(new Error(`${code} while ${action}`), { code });
  }

  list() {
    return [...this.files.keys()];
  }

  create(name) {
    this.#check("create", name);
    this.files.set(name, new Uint8Array());
    return this.open(name);
  }

  open(name) {
    if (!this.files.has(name)) throw Object.assign(new Error("none"), { code: "ENOENT" });
    return this.opened.push(name) - 1;
  }

  remove(name) {
    this.files.delete(name);
  }

  close() {}

  size(file) {
    return this.files.get(this.opened[file]).length;
  }

  read(file, bytes, offset) {
    this.#check("read", this.opened[file]);
    // Short reads, as a system may give them.
    const piece = this.files.get(this.opened[file]).subarray(offset, offset + Math.min(bytes.length, 1000));
    bytes.set(piece);
    return piece.length;
  }

  write(file, bytes, offset) {
    this.#check("write", this.opened[file]);
    const wrote = Math.min(bytes.length, 1000);
    if (this.size(file) < offset + wrote) this.#resize(file, offset + wrote);
    this.files.get(this.opened[file]).set(bytes.subarray(0, wrote), offset);
    return wrote;
  }

  #resize(file, size) {
    const bytes = new Uint8Array(size);
    bytes.set(this.files.get(this.opened[file]).subarray(0, size));
    this.files.set(this.opened[file], bytes);
  }

  setSize(file, size) {
    this.#check("setSize", this.opened[file]);
    this.#resize(file, size);
  }

  sync(file) {
    this.#check("sync", this.opened[file]);
  }
}

/** The parts of the package that a test of failures needs. */
async function parts() {
  const { encodeOptions, load, localDb, LocalCaller, Operation, readAnswer, Reader, STORE, Store, writeHead, Writer } = await import(
    new URL("./node_modules/foldb/dist/internal.js", import.meta.url)
  );
  const { memory } = await load();
  const open = (directory, options = {}) => localDb({ name: "fake", store: Store.openNode(directory, encodeOptions(options)), memory, options: { durability: "inMemory" } });
  return { memory, Store, encodeOptions, LocalCaller, Reader, Writer, writeHead, readAnswer, STORE, Operation, open };
}

test("a full disk is StorageFull, nothing is changed, and the store goes on", async () => {
  const { open } = await parts();
  const directory = new Directory();
  const db = open(directory, { segmentBytes: 65_536 });
  db.kv.put("before", 1n);
  directory.fail = (action) => (action === "setSize" || action === "create" ? "ENOSPC" : undefined);
  await fails("StorageFull", () => {
    for (let i = 0; i < 1000; i++) db.kv.put(`k${i}`, new Uint8Array(1000));
  });
  equal(db.kv.get("before"), 1n);
  directory.fail = () => undefined;
  db.kv.put("after", 1n);
  await db.close();
  const again = open(directory);
  equal([again.kv.get("before"), again.kv.get("after")], [1n, 1n]);
  equal(again.verify().violations, []);
});

test("a failed sync is an unknown outcome, and poisons the store", async () => {
  const { open } = await parts();
  const directory = new Directory();
  const db = open(directory);
  db.kv.put("before", 1n);
  directory.fail = (action) => (action === "sync" ? "EIO" : undefined);
  await fails("OutcomeUnknown", () => db.kv.put("lost", 1n));
  directory.fail = () => undefined;
  await fails("Poisoned", () => db.kv.put("later", 1n));
  equal([db.kv.get("before"), db.kv.get("lost")], [1n, undefined]);
  await db.close().catch(() => {});
  equal(open(directory).kv.get("before"), 1n);
});

test("durable commits of one message share one sync, and all fail with it", async () => {
  const { memory, Store, encodeOptions, Reader, Writer, writeHead, readAnswer, STORE, Operation } = await parts();
  const directory = new Directory();
  const store = Store.openNode(directory, encodeOptions({}));
  const send = (from, count) => {
    const out = new Writer((least) => new Uint8Array(memory.buffer, store.reserve(least), least));
    for (let i = from; i < from + count; i++) {
      const start = out.at;
      out.u32(0);
      writeHead(out, STORE, i % 2 ? Operation.KvPut : Operation.EventAppend, false);
      out.key(i % 2 ? `k${i}` : "s");
      if (i % 2 === 0) out.text("kind");
      out.value(BigInt(i));
      out.patch(start, out.at - start - 4);
    }
    const length = store.callAll(1, out.at) & 0x1fffffff;
    const answers = Reader.of(new Uint8Array(memory.buffer.slice(store.outputAt(), store.outputAt() + length)));
    const found = [];
    while (!answers.done) {
      const size = answers.u32();
      try {
        found.push(readAnswer(answers.part(size), (answer) => (answer.done ? "done" : answer.optional(() => answer.number()))));
      } catch ({ kind }) {
        found.push(kind);
      }
      answers.at += size;
    }
    return found;
  };
  send(0, 2);
  let syncs = 0;
  directory.fail = (action) => void (action === "sync" && syncs++);
  const answers = send(2, 40);
  equal(answers.length, 40);
  equal([answers[0], answers[1], answers[2]], [2, "done", 3]);
  equal(syncs, 1);
  directory.fail = (action) => (action === "sync" ? "EIO" : undefined);
  equal([...new Set(send(42, 40))], ["OutcomeUnknown"]);
  store.free();
});

test("after the module has stopped, no store of its memory is used any more, and no other is opened in it", async () => {
  const worker = new Worker(new URL("./trap.mjs", import.meta.url));
  const { said, directory } = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  equal(said, Array(11).fill("Crashed"));
  await worker.terminate();
  // A module of its own reads what was committed: the lock was given back, and nothing was written from that memory.
  const db = await openDirectory(directory);
  equal(db.kv.keys(), ["a"]);
  await db.close();
});

test("what this place cannot do is Unsupported, whichever call asks for it", async () => {
  const calls = [() => foldb.open("x"), () => foldb.openInWorker("x"), () => foldb.list(), () => foldb.destroy("x"), () => foldb.importStore("x", new Uint8Array())];
  for (const call of calls) equal(await call().then(() => "done", ({ kind, code }) => `${kind} ${code}`), "Unsupported Platform", String(call));
  for (const directory of [5, undefined, "a\0b"]) await fails("Invalid", () => openDirectory(directory));
  await fails("Invalid", () => openDirectory(mkdtempSync(join(tmpdir(), "foldb-")), null));
});
