// `foldb/node`: real directories, beside the native program, which FOLDB_PROGRAM names.

import assert from "node:assert/strict";
import { fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as foldb from "foldb/node";
import { memory } from "foldb";

import { cases, equal, fails } from "./shared.mjs";

const { openDirectory } = foldb;
const program = process.env.FOLDB_PROGRAM;

const fresh = () => path.join(fs.mkdtempSync(path.join(os.tmpdir(), "foldb-")), "store");

function native(directory, ...options) {
  const { status, stdout, stderr, error } = spawnSync(program, ["--store", directory, "--json", ...options], { encoding: "utf8" });
  if (error) throw error;
  return { status, stdout, stderr };
}

for (const [name, run] of Object.entries(cases)) {
  test(name, async () => {
    // Buffered, but for what is about durability: on a slow disk each commit is milliseconds.
    const directory = fresh();
    const db = await openDirectory(directory, { durability: "buffered" });
    await run(db, foldb);
    const digest = db.digest();
    await db.close();
    const again = await openDirectory(directory);
    equal(again.digest(), digest, "digest after reopening");
    equal(again.created, false);
    equal(again.verify().violations, []);
    await again.close();
  });
}

test("what is over is hidden, unless the opening says otherwise, until it is swept", async () => {
  const directory = fresh();
  const db = await openDirectory(directory, { hideExpired: false });
  db.kv.put("a", 1, { expiresAtMicros: 1 });
  equal([db.kv.get("a"), db.kv.expiresAt("a"), db.kv.ttl("a")], [1, 1, 0]);
  await db.close();
  const again = await openDirectory(directory);
  equal([again.kv.get("a"), again.kv.expiresAt("a")], [undefined, undefined]);
  equal(again.sweepExpired(10), { entries: 1, isComplete: true });
  await again.close();
  await fails("Invalid", () => openDirectory(directory, { hideExpired: 1 }));
  const last = await openDirectory(directory, { hideExpired: false });
  equal(last.kv.get("a"), undefined);
  await last.close();
});

test("a store is found again, and created is told from opened", async () => {
  const directory = fresh();
  const db = await openDirectory(directory);
  equal(db.created, true);
  db.kv.put("a", 1n);
  const { id } = db;
  await db.close();
  const again = await openDirectory(directory);
  equal([again.created, again.id, again.kv.get("a")], [false, id, 1n]);
  await again.close();
});

test("the native program reads what was written here, and the other way round", async () => {
  const directory = fresh();
  const db = await openDirectory(directory);
  db.kv.put("greeting", "hello");
  const run = db.runs.begin({ name: "from node" });
  run.kv.put("integer", 17n);
  run.json.set("doc", { b: 1, a: [1.5, "x", null] });
  run.events.append("s", "tick", { at: 3n });
  run.state.init("cell", true);
  const digest = db.digest(run.id);
  run.end();
  await db.close();
  assert.match(native(directory, "get", "greeting").stdout, /hello/);
  const replayed = JSON.parse(native(directory, "replay", "from node").stdout);
  equal([replayed.digest, replayed.equals_live], [digest, true]);
  equal(native(directory, "verify").status, 0, "verify");
  equal(native(directory, "put", "native", "yes").status, 0, "put");
  const again = await openDirectory(directory);
  equal([again.kv.get("native"), again.digest(run.id)], ["yes", digest]);
  equal(again.runs.info(run.id).status, "completed");
  await again.close();
});

test("the same work has the same digest in memory, in a directory and natively", async () => {
  const work = (db) => {
    db.kv.putMany([["a", 1n], ["b", 2.5], ["c", [null, true, "x"]]]);
    db.json.set("d", { z: 1, a: { list: [1, 2, 3] } });
    db.events.appendBatch("s", [{ kind: "k", payload: 1n }, { kind: "l", payload: "p" }]);
    db.state.set("cell", 7);
    return db.digest();
  };
  const directory = fresh();
  const [here, there] = [await memory(), await openDirectory(directory)];
  const digest = work(here);
  equal(work(there), digest);
  await there.close();
  equal(JSON.parse(native(directory, "replay").stdout).digest, digest);
});

test("a store that is open here is opened by nobody else, and the native program can look at it", async () => {
  const directory = fresh();
  const db = await openDirectory(directory);
  db.kv.put("a", 1);
  equal(native(directory, "put", "b", "2").status, 3);
  // Looking writes nothing and takes no lock.
  equal(JSON.parse(native(directory, "get", "a").stdout).value, 1);
  const twice = await fails("Locked", () => openDirectory(directory));
  assert.match(twice.message, /this program has the store open already; use that handle/);
  assert.match((await fails("Locked", () => foldb.importStore(directory, new Blob([])))).message, /this program/);
  const child = fork(fileURLToPath(new URL("./opener.mjs", import.meta.url)), [directory], { stdio: "pipe" });
  const [said] = await once(child, "message");
  equal(said.kind, "Locked");
  assert.match(said.message, /another process/);
  equal(db.kv.keys(), ["a"]);
  await db.close();
  equal(native(directory, "put", "b", "2").status, 0);
});

test("a store that the native program has open is locked here", async () => {
  const directory = fresh();
  const first = await openDirectory(directory);
  first.kv.put("a", 1);
  await first.close();
  // It reads lines until its input ends, and holds the store meanwhile.
  const hold = () => {
    const importing = spawn(program, ["--store", directory, "import", "-", "--name", "held"], { stdio: ["pipe", "ignore", "ignore"] });
    importing.stdin.on("error", () => {});
    importing.stdin.write('{"a":1}\n');
    return importing;
  };
  let importing = hold();
  let failure;
  for (const end = Date.now() + 60_000; Date.now() < end && !failure; ) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    // Where it came while this process was looking, it was told that the store is locked, and ended.
    if (importing.exitCode !== null) importing = hold();
    try {
      await (await openDirectory(directory)).close();
    } catch (error) {
      failure = error;
    }
  }
  equal([failure?.kind, failure?.code], ["Locked", "Locked"]);
  importing.stdin.end();
  await once(importing, "close");
  const db = await openDirectory(directory);
  equal(db.runs.list({ name: "held" }).length, 1);
  await db.close();
});

test("what was acknowledged is there after the process was killed", async () => {
  for (let round = 0; round < 5; round++) {
    const directory = fresh();
    const child = fork(fileURLToPath(new URL("./writer.mjs", import.meta.url)), [directory], { stdio: "pipe" });
    let acknowledged = 0;
    child.on("message", (count) => (acknowledged = count));
    await once(child, "message");
    await new Promise((resolve) => setTimeout(resolve, 40 * (round + 1)));
    child.kill("SIGKILL");
    await once(child, "close");
    // The lock of a killed process is free at once.
    const db = await openDirectory(directory);
    const found = db.kv.count();
    assert.ok(found >= acknowledged && acknowledged > 0, `${acknowledged} acknowledged, ${found} found`);
    for (let i = 0; i < acknowledged; i++) equal(db.kv.get(`key ${i}`), BigInt(i));
    equal(db.verify().violations, []);
    await db.close();
  }
});

test("directories that hold other things are left alone", async () => {
  const directory = fresh();
  fs.mkdirSync(directory);
  fs.writeFileSync(path.join(directory, "letter.txt"), "dear");
  const error = await fails("NotAStore", () => openDirectory(directory));
  assert.match(error.message, /letter\.txt/);
  equal(fs.readdirSync(directory), ["letter.txt"]);
  await fails("NotAStore", () => openDirectory(path.join(directory, "letter.txt")));
  await fails("NotFound", () => openDirectory(path.join(directory, "none"), { create: false }));
  const empty = fresh();
  fs.mkdirSync(empty);
  await fails("NotAStore", () => openDirectory(empty, { create: false }));
});

test("a path that is no text, and a file that is no archive, are told as what they are", async () => {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), "foldb-"));
  for (const call of [openDirectory, (directory) => foldb.importStore(directory, new Blob([]))]) {
    equal((await fails("Invalid", () => call(path.join(place, "half \ud800")))).code, "Text");
  }
  equal(fs.readdirSync(place), []);
  for (const bytes of ['{"a":1}', "PK\x03\x04", "x".repeat(400)]) {
    const { code, message } = await fails("Invalid", () => foldb.importStore(path.join(place, "archive"), new Blob([bytes])));
    equal(code, "NotAnArchive", message);
  }
  await fails("Invalid", () => openDirectory(place, {}, 1));
  await fails("Invalid", () => foldb.importStore(place, new Blob([]), {}, 1));
  equal((await fails("Invalid", () => openDirectory(path.join(place, "new"), { durabilty: "buffered" }))).code, "Option");
  equal(fs.existsSync(path.join(place, "new")), false);
});

test("a relaxed commit is with the system when it returns, and not on the medium yet", async () => {
  for (const [mode, isSeen] of [["relaxed", true], ["buffered", false]]) {
    const directory = fresh();
    const db = await openDirectory(directory, { durability: { mode, intervalMs: 3_600_000 } });
    db.kv.put("first", 1);
    const durable = db.sync();
    const { receipt } = db.transactionWith({}, (tx) => tx.kv.put("a", 1));
    equal([receipt.durable, db.durableSeq()], [false, durable], mode);
    // Whoever reads the files sees it, unless it lies in this process.
    equal(native(directory, "get", "a").status === 0, isSeen, `${mode}: read by another process`);
    equal(db.transactionWith({ durability: "strict" }, (tx) => tx.kv.put("b", 1)).receipt.durable, true);
    await db.close();
  }
});

test("jobs that a program in Rust pushes are done here, and the other way round", async () => {
  const directory = fresh();
  const jobs = (what) => {
    const { status, stdout, stderr } = spawnSync(process.env.FOLDB_JOBS, [directory, what], { encoding: "utf8" });
    equal(status, 0, stderr);
    return stdout.trim().split("\n");
  };
  const [dies, first, second] = jobs("push")[0].split(" ");
  const db = await openDirectory(directory);
  const mails = db.queue("mails");
  equal(mails.counts(), { ready: 2, delayed: 1, leased: 0, dead: 1 });
  equal(mails.push("again", { idempotencyKey: "key" }), first);
  const [one, other] = mails.claimMany(5, 600_000);
  equal([one.id, one.payload, other.id, other.payload], [first, 17n, second, "from Rust"]);
  db.transaction((tx) => mails.ackIn(tx, one));
  mails.nack(other, "not today");
  equal(mails.dead(5), [{ id: dies, payload: "dies", attempts: 1, error: "no answer" }]);
  mails.revive(dies);
  mails.nack(mails.claim(600_000), "never");
  const third = mails.push([1n, null], { priority: 255 });
  await db.close();
  equal(jobs("consume"), [
    `${third} 1 [1, null]`,
    `${second} 2 "from Rust"`,
    `${dies} 2 never`,
    "QueueCounts { ready: 0, delayed: 1, leased: 0, dead: 1 }",
  ]);
});

test("a store that is open elsewhere is read here, moves on when it is asked to, and is left as it was", async () => {
  const directory = fresh();
  const db = await openDirectory(directory, { durability: "relaxed" });
  db.kv.put("a", 1);
  const names = fs.readdirSync(directory).sort();
  const reader = await openDirectory(directory, { readOnly: true });
  equal([reader.kv.get("a"), reader.created, reader.id === db.id], [1, false, true]);
  db.kv.put("a", 2);
  const view = reader.view();
  equal(reader.kv.get("a"), 1, "before it moves on");
  equal(reader.refresh(), db.view().seq);
  equal([reader.kv.get("a"), view.kv.get("a"), reader.refresh()], [2, 1, db.view().seq]);
  const run = db.runs.begin({ name: "r" });
  run.events.append("s", "k", 1);
  reader.refresh();
  equal(reader.replay(run.id).events.get("s", 1).payload, 1);
  equal(reader.verify().violations, []);
  for (const write of [() => reader.kv.put("a", 3), () => reader.runs.begin({ name: "r" }), () => reader.transaction((tx) => tx.kv.put("a", 3)), () => reader.queue("q").push(1), () => reader.snapshot(), () => reader.subscribe(), () => reader.onCommit({}, () => {})]) {
    const { code, message } = await fails("ReadOnly", write);
    equal(code, "ReadOnly", message);
  }
  await fails("ReadOnly", () => reader.events.tail("s", 1).next());
  await fails("ReadOnly", () => reader.queue("q").wait(1));
  equal(db.refresh(), db.view().seq, "a store that is open to write is where it is");
  // Several look at once, and one goes without the others.
  const another = await openDirectory(directory, { readOnly: true, durability: "strict" });
  await reader.close();
  equal(another.kv.get("a"), 2);
  await another.close();
  equal(fs.readdirSync(directory).sort(), names);
  db.kv.put("a", 4);
  await db.close();
});

test("looking at what is no store makes none, and what may not be written can be read", async () => {
  const directory = fresh();
  await fails("NotFound", () => openDirectory(directory, { readOnly: true }));
  equal(fs.existsSync(directory), false);
  fs.mkdirSync(directory);
  await fails("NotAStore", () => openDirectory(directory, { readOnly: true }));
  equal(fs.readdirSync(directory), []);
  const db = await openDirectory(directory, { readOnly: false });
  db.kv.put("a", 1);
  await db.close();
  // A copy without its lock, as from a backup, whose files may not be written.
  fs.rmSync(path.join(directory, "lock"));
  const names = fs.readdirSync(directory).sort();
  for (const name of names) fs.chmodSync(path.join(directory, name), 0o444);
  const reader = await openDirectory(directory, { readOnly: true });
  equal(reader.kv.get("a"), 1);
  await reader.close();
  equal(fs.readdirSync(directory).sort(), names);
  await fails("Invalid", () => openDirectory(directory, { readOnly: 1 }));
  equal((await fails("Invalid", () => memory({ readOnly: true }))).code, "Option");
});

test("an interval longer than any timer is a long one, and not none", async () => {
  const warnings = [];
  const hear = (warning) => warnings.push(warning.name);
  process.on("warning", hear);
  const db = await openDirectory(fresh(), { durability: { intervalMs: 1e12, bytes: 1 << 20 } });
  db.kv.put("a", 1);
  // Warnings come with the next turn.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", hear);
  equal([warnings, db.durableSeq()], [[], 0]);
  await db.close();
});

test("damage to what was promised is corruption, and nothing is changed", async () => {
  const directory = fresh();
  const db = await openDirectory(directory);
  for (let i = 0; i < 50; i++) db.kv.put(`key ${i}`, "x".repeat(100));
  await db.close();
  const segment = path.join(directory, fs.readdirSync(directory).find((name) => name.startsWith("log-")));
  const bytes = fs.readFileSync(segment);
  bytes[1000] ^= 1;
  fs.writeFileSync(segment, bytes);
  const error = await fails("Corrupt", () => openDirectory(directory));
  assert.match(error.message, /log-0+1, offset \d+/);
  assert.deepEqual(fs.readFileSync(segment), bytes);
  const salvaged = await openDirectory(directory, { recovery: "salvage" });
  assert.ok(salvaged.recovery.damage.length > 0);
  await salvaged.close();
});
