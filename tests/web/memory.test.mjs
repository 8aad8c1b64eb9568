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
    store.callAll(random() % 3, 0, bytes.length);
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

test("a durability travels as its number, and what goes with it", async () => {
  const { encodeOptions } = await parts();
  for (const [durability, code, ...numbers] of [
    ["strict", 0],
    ["buffered", 1, 100, 1 << 20],
    [{ bytes: 7 }, 1, 100, 7],
    [{ mode: "buffered", intervalMs: 5 }, 1, 5, 1 << 20],
    ["inMemory", 2],
    ["relaxed", 3, 100],
    [{ mode: "relaxed" }, 3, 100],
    [{ mode: "relaxed", intervalMs: 5 }, 3, 5],
  ]) {
    const bytes = encodeOptions({ durability });
    const view = new DataView(bytes.buffer);
    const sent = numbers.map((_, at) => view.getFloat64(1 + 8 * at, true));
    // Behind it is whether a store is created: yes.
    equal([bytes[0], ...sent, bytes[1 + 8 * numbers.length]], [code, ...numbers, 1], JSON.stringify(durability));
  }
});

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

/** Sends requests to a store as one message, and gives the answers of each part that they come in. */
async function messages(store) {
  const { memory, Reader, Writer, writeHead, readAnswer } = await parts();
  return (requests) => {
    const out = new Writer((least) => {
      const at = store.reserve(least);
      return new Uint8Array(memory.buffer, at, least);
    });
    for (const { place, operation, write } of requests) {
      const start = out.at;
      out.u32(0);
      writeHead(out, place, operation, false);
      write?.(out);
      out.patch(start, out.at - start - 4);
    }
    const parts = [];
    for (let from = 0; from < out.at; from = store.answeredTo()) {
      const length = store.callAll(1, from, out.at) & 0x1fffffff;
      const answers = Reader.of(new Uint8Array(memory.buffer.slice(store.outputAt(), store.outputAt() + length)));
      const found = [];
      while (!answers.done) {
        const size = answers.u32();
        try {
          found.push(readAnswer(answers.part(size), (answer) => answer.bytes.slice(answer.at, answer.end)));
        } catch ({ kind }) {
          found.push(kind);
        }
        answers.at += size;
      }
      parts.push(found);
    }
    return parts;
  };
}

test("answers that are large together come in parts, each to its request", async () => {
  const { Store, encodeOptions, STORE, Operation } = await parts();
  const store = Store.openMemory(encodeOptions({}));
  const send = await messages(store);
  const put = (key, value) => ({ place: STORE, operation: Operation.KvPut, write: (out) => (out.key(key), out.value(value)) });
  const get = (key) => ({ place: STORE, operation: Operation.EntryGet, write: (out) => (out.u8(0), out.key(key)) });
  send([put("large", new Uint8Array(9 << 20)), put("small", 1)]);
  const found = send([get("small"), get("large"), get("large"), put("after", 2), get("large"), get("small"), get("after")]);
  // Four bytes more for the head of so many bytes, and one for the head of a number, which takes two.
  const [small, large] = [3, (9 << 20) + 5];
  equal(found.map((part) => part.map((answer) => answer.length)), [[small, large, large], [0, large, small, small]]);
  store.free();
});

test("a message that is cut off is answered as far as it goes, and it is told how far that is", async () => {
  const { memory, Store, encodeOptions } = await parts();
  const store = Store.openMemory(encodeOptions({}));
  const at = store.reserve(16);
  // Two requests of one byte each, and the length of a third that is not there.
  new Uint8Array(memory.buffer, at, 16).set([1, 0, 0, 0, 255, 1, 0, 0, 0, 255, 9, 0, 0, 0]);
  store.callAll(1, 0, 14);
  equal(store.answeredTo(), 10);
  store.callAll(1, 10, 14);
  equal(store.answeredTo(), 10);
  store.free();
});

test("a write of a transaction that has ended leaves nothing behind", async () => {
  const { Store, encodeOptions, Operation } = await parts();
  const store = Store.openMemory(encodeOptions({}));
  const send = await messages(store);
  // 3: as 1, a transaction, but nobody waits for the answer.
  const put = { place: { target: 3, handle: 1, run: undefined }, operation: Operation.KvPut, write: (out) => (out.key("a"), out.value(1)) };
  const begin = { place: { target: 1, handle: 1, run: undefined }, operation: Operation.TransactionBegin, write: (out) => (out.flag(false), out.flag(false), out.flag(false), out.flag(false)) };
  const commit = { place: begin.place, operation: Operation.TransactionCommit };
  const kinds = send([put, begin, put, commit, put, commit])[0].map((answer) => (typeof answer === "string" ? answer : "done"));
  equal(kinds, ["Invalid", "done", "done", "done", "Invalid", "Invalid"]);
  store.free();
});

test("durable commits of one message share one sync, and all fail with it", async () => {
  const { Store, encodeOptions, STORE, Operation } = await parts();
  const directory = new Directory();
  const store = Store.openNode(directory, encodeOptions({}));
  const message = await messages(store);
  const send = (from, count) => {
    const requests = Array.from({ length: count }, (_, n) => {
      const i = from + n;
      const write = (out) => {
        out.key(i % 2 ? `k${i}` : "s");
        if (i % 2 === 0) out.text("kind");
        out.value(BigInt(i));
      };
      return { place: STORE, operation: i % 2 ? Operation.KvPut : Operation.EventAppend, write };
    });
    const seq = (bytes) => new DataView(bytes.buffer).getFloat64(1, true);
    return message(requests)[0].map((answer) => (typeof answer === "string" ? answer : answer.length === 0 ? "done" : seq(answer)));
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

test("durable transactions of one message share one sync, and are told to be durable after it", async () => {
  const { Store, encodeOptions, STORE, Operation, open } = await parts();
  const directory = new Directory();
  const store = Store.openNode(directory, encodeOptions({}));
  const send = await messages(store);
  let syncs = 0;
  directory.fail = (action) => void (action === "sync" && syncs++);
  let handles = 0;
  const transaction = (key, durability) => {
    const place = { target: 1, handle: ++handles, run: undefined };
    return [
      { place, operation: Operation.TransactionBegin, write: (out) => (out.flag(durability !== undefined), durability?.(out), out.flag(false), out.flag(false), out.flag(false)) },
      { place, operation: Operation.KvPut, write: (out) => (out.key(key), out.value(1)) },
      { place, operation: Operation.TransactionCommit },
    ];
  };
  const receipts = (parts) => parts[0].filter((answer) => answer.length === 14).map((answer) => [new DataView(answer.buffer).getFloat64(0, true), answer[8]]);
  send(transaction("first"));
  syncs = 0;
  const several = receipts(send(["a", "b", "c", "d"].flatMap((key) => transaction(key))));
  equal(several, [[2, 1], [3, 1], [4, 1], [5, 1]]);
  equal(syncs, 1);
  // Begun in one message and committed in another.
  const [begin, put, commit] = transaction("e", (out) => out.u8(0));
  send([begin]);
  equal(receipts(send([put, commit])), [[6, 1]]);
  equal(syncs, 2);
  // A read is no reason to sync; a transaction that does not want to wait does not.
  send([{ place: STORE, operation: Operation.EntryGet, write: (out) => (out.u8(0), out.key("a")) }]);
  const buffered = (out) => (out.u8(1), out.number(100), out.number(1 << 20));
  equal(receipts(send(transaction("f", buffered))), [[7, 0]]);
  equal(syncs, 2);
  // The next one takes it along; if its sync fails, both answers of the message say that nobody knows.
  directory.fail = (action) => (action === "sync" ? "EIO" : undefined);
  equal([...new Set(send([...transaction("g"), ...transaction("h")])[0])], ["OutcomeUnknown"]);
  directory.fail = () => undefined;
  store.free();
  const again = open(directory);
  equal(["a", "b", "c", "d", "e"].map((key) => again.kv.get(key)), [1, 1, 1, 1, 1]);
});

test("what a write would have announced that failed at its commit is not announced with the next event", async () => {
  const { open } = await parts();
  const directory = new Directory();
  const db = open(directory, { segmentBytes: 65_536 });
  db.events.append("s", "k", 1);
  const heard = [];
  db.onCommit({}, ({ changes }) => heard.push(...changes.map(({ key }) => key)));
  directory.fail = (action) => (action === "setSize" || action === "create" ? "ENOSPC" : undefined);
  let refused = 0;
  for (let i = 0; refused === 0; i++) {
    try {
      db.kv.put(`k${i}`, new Uint8Array(20_000));
    } catch (error) {
      equal(error.kind, "StorageFull");
      refused = i;
    }
  }
  db.events.append("s", "k", 2);
  await new Promise((resolve) => setTimeout(resolve, 1));
  equal(heard, [...Array.from({ length: refused }, (_, i) => `k${i}`), "s"]);
  directory.fail = () => undefined;
  await db.close();
});

test("pushes, claims and acknowledgements of one message share one sync", async () => {
  const { Store, encodeOptions, STORE, Operation, Reader } = await parts();
  const directory = new Directory();
  const store = Store.openNode(directory, encodeOptions({}));
  const send = await messages(store);
  let syncs = 0;
  directory.fail = (action) => void (action === "sync" && syncs++);
  const ask = (operation, write) => ({ place: STORE, operation, write: (out) => (out.text("q"), write(out)) });
  const push = (payload) => ask(Operation.QueuePush, (out) => [1, 2, 3, 4, 5, 6].forEach((option) => (option < 6 ? out.flag(false) : out.value(payload))));
  send([push(0)]);
  syncs = 0;
  send([1, 2, 3].map(push));
  equal(syncs, 1);
  const claim = ask(Operation.QueueClaim, (out) => (out.flag(true), out.number(2), out.number(60_000)));
  const jobs = send([claim, claim])[0].flatMap((bytes) => {
    const answer = Reader.of(bytes);
    return answer.list(() => [answer.hex(16), answer.value(), answer.u32(), answer.number()]);
  });
  equal([jobs.map(([, payload, attempt]) => [payload, attempt]), syncs], [[[0, 1], [1, 1], [2, 1], [3, 1]], 2]);
  send(jobs.map(([id, , attempt]) => ask(Operation.QueueAck, (out) => (out.id(id), out.number(attempt)))));
  equal(syncs, 3);
  store.free();
});

test("whoever listens hears what was committed before the store was closed, and then that it is over", async () => {
  const db = await foldb.memory();
  const [subscription, durable, tail] = [db.subscribe(), db.subscribe({ durable: true }), db.events.tail("s", 1)];
  const first = tail.next();
  db.events.append("s", "k", 1);
  equal((await first).value.seq, 1);
  const [waiting, following] = [db.queue("q").wait(1000), tail.next()];
  waiting.catch(() => {});
  db.kv.put("a", 1);
  const closing = db.close();
  const heard = [];
  for await (const { changes } of subscription) heard.push(changes[0].key);
  for await (const { changes, isDurable } of durable) heard.push([changes[0].key, isDurable]);
  equal([heard, (await following).done], [["s", "a", ["s", true], ["a", true]], true]);
  await fails("Closed", () => waiting);
  await closing;
  await fails("Closed", async () => db.subscribe());
  await fails("Closed", () => db.queue("q").wait(1000));
});

test("a commit that is not on the medium yet is told later to whoever wants to hear of durable ones only", async () => {
  const { open } = await parts();
  const directory = new Directory();
  const db = open(directory, { durability: { mode: "relaxed", intervalMs: 3_600_000 } });
  const heard = [];
  db.onCommit({}, ({ isDurable }) => heard.push(["shown", isDurable]));
  db.onCommit({ durable: true }, ({ isDurable }) => heard.push(["durable", isDurable]));
  db.kv.put("a", 1);
  await Promise.resolve();
  equal(heard, [["shown", false]]);
  db.sync();
  await Promise.resolve();
  equal(heard, [["shown", false], ["durable", true]]);
  await db.close();
});

test("those who listen are told why a store takes no more writes, and of nothing that may be lost", async () => {
  const { open, memory, Store, encodeOptions, Operation, Reader, STORE } = await parts();
  const directory = new Directory();
  const db = open(directory);
  const [heard, errors] = [[], []];
  db.onCommit({}, ({ changes }) => heard.push(changes[0].key), ({ kind }) => errors.push(kind));
  const subscription = db.subscribe();
  db.kv.put("a", 1);
  directory.fail = (action) => (action === "sync" ? "EIO" : undefined);
  await fails("OutcomeUnknown", () => db.kv.put("b", 1));
  await Promise.resolve();
  equal([heard, errors], [["a"], ["Poisoned"]]);
  equal((await subscription.next()).value.changes[0].key, "a");
  await fails("Poisoned", () => subscription.next());
  equal((await subscription.next()).done, true);
  await db.close().catch(() => {});

  // Of a message whose sync fails, as a page sends it.
  const another = new Directory();
  const store = Store.openNode(another, encodeOptions({}));
  const send = await messages(store);
  const everything = (out) => [false, false, 0, 0, 0, false, false].forEach((part) => (part === 0 ? out.u32(0) : out.flag(part)));
  send([{ place: { ...STORE, target: 2, handle: 7 }, operation: Operation.Subscribe, write: everything }]);
  const commit = (answer) => {
    const isCommit = answer.flag();
    if (!isCommit) return [answer.text(), answer.text(), answer.text()][0];
    [answer.number(), answer.number(), answer.flag(), answer.u8()];
    return answer.list(() => (answer.optional(() => answer.id()), answer.u8(), answer.anyKey())).join();
  };
  const told = (...keys) => {
    send(keys.map((key) => ({ place: STORE, operation: Operation.KvPut, write: (out) => (out.key(key), out.value(1)) })));
    const length = store.announcements() & 0x1fffffff;
    const answer = Reader.of(new Uint8Array(memory.buffer.slice(store.outputAt(), store.outputAt() + length)));
    return answer.list(() => [answer.u32(), ...answer.list(() => commit(answer)), answer.flag()]);
  };
  equal(told("a", "b"), [[7, "a", "b", false]]);
  another.fail = (action) => (action === "sync" ? "EIO" : undefined);
  equal(told("c"), [[7, "Poisoned", true]]);
  equal(told("d"), []);
  store.free();
});

test("an iterator or a getter that uses another store loses nothing of what it is written into", async () => {
  const { memory } = await parts();
  const [db, other] = [await foldb.memory(), await foldb.memory()];
  let filled = 0;
  const fill = () => {
    // Until the module's memory has to grow, and is elsewhere for JavaScript.
    const before = memory.buffer.byteLength;
    while (memory.buffer.byteLength === before) other.kv.put(`fill ${filled++}`, new Uint8Array(1 << 20).fill(1));
  };
  const pairs = function* () {
    yield ["a", 1];
    yield ["b", 2];
    fill();
  };
  db.kv.putMany(pairs());
  equal([db.kv.get("a"), db.kv.get("b"), db.kv.count()], [1, 2, 2]);
  const getter = {
    get last() {
      fill();
      return 3;
    },
  };
  db.kv.put("c", getter);
  equal(db.kv.get("c"), { last: 3 });
});

test("a request with a byte too many is refused, and changes nothing", async () => {
  const { LocalCaller, STORE, Operation } = await parts();
  const { call } = LocalCaller.prototype;
  const tried = new Set();
  LocalCaller.prototype.call = function (place, operation, write, read) {
    const seq = () => call.call(this, STORE, Operation.StoreStats, undefined, (answer) => (answer.text(), answer.number()));
    const before = seq();
    let refused = "";
    try {
      call.call(this, place, operation, (out) => (write?.(out), out.u8(0)), () => undefined);
    } catch (error) {
      // What an app's own code throws while it is written.
      if (error.name !== "FoldbError") throw error;
      refused = error.message;
    }
    if (!refused) throw new Error(`operation ${operation} takes a byte too many`);
    if (/longer/.test(refused)) tried.add(operation);
    equal(seq(), before, `seq after a refused operation ${operation}`);
    return call.call(this, place, operation, write, read);
  };
  try {
    for (const [name, run] of Object.entries(cases)) {
      if (name.includes("refused") || name.includes("limits")) continue;
      const db = await foldb.memory();
      await run(db, foldb);
      equal(db.transaction((tx) => tx.seq()) >= 0, true);
      await db.close();
    }
  } finally {
    LocalCaller.prototype.call = call;
  }
  const missing = Object.entries(Operation).filter(([, number]) => !tried.has(number)).map(([name]) => name);
  equal(missing, []);
});

/** Collects what nobody holds, until that has been seen to: the engine does so in its own time. */
async function collect(isSeen = () => true) {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc");
  for (let i = 0; i < 5 || (!isSeen() && i < 1000); i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Lets the collector take what nobody holds, until the module was told so often to end something by this operation. How often it was.
 * It counts from the call on: nothing is awaited before.
 */
async function collected(LocalCaller, operation, times) {
  const { call } = LocalCaller.prototype;
  let told = 0;
  LocalCaller.prototype.call = function (place, asked, ...rest) {
    if (asked === operation) told++;
    return call.call(this, place, asked, ...rest);
  };
  try {
    await collect(() => told >= times);
  } finally {
    LocalCaller.prototype.call = call;
  }
  return told;
}

test("a view lives as long as any part of it is held, and no longer", async () => {
  const { LocalCaller, Operation } = await parts();
  const db = await foldb.memory();
  const { id } = db.runs.begin({ name: "r" });
  db.kv.put("a", 1);
  db.runs.get(id).kv.put("b", 2);
  const held = [db.view().kv, db.view().run(id), db.replay(id).kv, db.replayDefault().kv];
  await collect();
  equal([held[0].get("a"), held[1].kv.get("b"), held[2].get("b"), held[3].get("a")], [1, 2, 2, 1]);
  held.length = 0;
  const released = await collected(LocalCaller, Operation.Release, 4);
  equal(released, 4);
});

test("a transaction that was begun by hand and is held by nobody is rolled back", async () => {
  const { LocalCaller, Operation } = await parts();
  const db = await foldb.memory();
  const held = db.beginTransaction().kv;
  db.beginTransaction().kv.put("a", 1);
  db.beginTransaction().commit();
  const ended = await collected(LocalCaller, Operation.TransactionRollback, 1);
  equal(ended, 1);
  held.put("b", 2);
  equal(held.get("b"), 2);
});

test("a subscription that nobody holds is ended, and what is waited for or called back is not", async () => {
  const { LocalCaller, Operation } = await parts();
  const db = await foldb.memory();
  const heard = [];
  db.onCommit({}, () => heard.push("called back"));
  const waited = (async () => {
    for await (const _ of db.subscribe()) return heard.push("waited for");
  })();
  const tailed = db.events.tail("s", 1).next();
  // Of one a commit is waiting for nobody.
  db.subscribe();
  db.subscribe().next();
  db.kv.put("a", 1);
  await waited;
  const released = await collected(LocalCaller, Operation.Release, 2);
  equal(released, 2);
  db.events.append("s", "k", 1);
  equal([(await tailed).value.seq, heard], [1, ["called back", "waited for", "called back"]]);
  await db.close();
});

test("a request that is too long is refused before it takes memory, and what a long one took is given back", async () => {
  const [a, b] = [await foldb.memory(), await foldb.memory()];
  const memoryBytes = async () => (await a.stats()).memoryBytes;
  const before = await memoryBytes();
  await fails("Limit", () => a.kv.put("a", new Uint8Array(300 << 20)));
  await fails("Limit", () => a.kv.put("a", "x".repeat(300 << 20)));
  equal(await memoryBytes(), before);
  await fails("Limit", () => a.kv.put("a", new Uint8Array(60 << 20)));
  a.kv.put("a", 1);
  const after = await memoryBytes();
  // The room that the other store has given back is enough.
  await fails("Limit", () => b.kv.put("a", new Uint8Array(60 << 20)));
  b.kv.put("a", 2);
  equal([await memoryBytes(), a.kv.get("a"), b.kv.get("a")], [after, 1, 2]);
});
