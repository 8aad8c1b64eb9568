// The types, as a strict program sees them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

function compile(name, source) {
  const file = `${here}/${name}.mts`;
  fs.writeFileSync(file, source);
  const options = ["--noEmit", "--strict", "--target", "ES2022", "--module", "NodeNext", "--moduleResolution", "NodeNext", "--lib", "ES2022,DOM", "--types", "", "--skipLibCheck", "false", file];
  const { status, stdout, error } = spawnSync(`${here}/node_modules/.bin/tsc`, options, { encoding: "utf8" });
  fs.rmSync(file);
  if (error) throw error;
  return { status, stdout };
}

test("a strict program compiles, and results have the types that are told", () => {
  const { status, stdout } = compile("typed", `
    import { open, openInWorker, memory, list, destroy, FoldbError, U256, type AsyncDb, type SyncDb, type Value } from "foldb";
    import { openDirectory } from "foldb/node";
    interface Order { item: string; count: bigint }
    export async function main(): Promise<void> {
      const db: AsyncDb = await open("x", { durability: { intervalMs: 10 }, persist: false });
      const order: Order | undefined = await db.kv.get<Order>("a");
      const any: Value | undefined = await db.kv.get("a");
      const keys: string[] = await db.kv.keys({ prefix: "a" });
      const bytes: Uint8Array[] = await db.kv.keys({ keys: "bytes" });
      const total: number = await db.transaction(async (tx) => {
        await tx.kv.put("a", order);
        const run = await tx.runs.begin({ name: "x" });
        return (await run.kv.get<number>("b")) ?? 0;
      });
      const sync: SyncDb = await openInWorker("x");
      const now: Order | undefined = sync.kv.get<Order>("a");
      const text: string = sync.transaction((tx) => tx.kv.getOr("a", "x"));
      const store: SyncDb = await openDirectory("./x");
      const stop: () => void = db.onCommit({ run: "x" }, ({ seq, changes }) => console.log(seq + 1, changes[0]?.key), ({ kind }) => console.log(kind === "Lagged"));
      for await (const { timeMicros, isDurable, changes } of sync.subscribe({ primitive: ["kv", "json"], prefix: "a/" }, { signal: AbortSignal.timeout(5) })) {
        const run: string | undefined = changes[0]?.run;
        console.log(timeMicros + 1, isDurable, run);
      }
      for await (const { payload, seq } of db.events.tail<Order>("s", 1)) console.log(payload.item, seq + 1);
      const mails = db.queue("mails");
      const pushed: string = await mails.push({ to: "Ada" }, { delayMs: 5, priority: 9, idempotencyKey: "k" });
      const job = await mails.wait<{ to: string }>(1000, { timeoutMs: 5 });
      if (job) await db.transaction(async (tx) => { await mails.pushIn(tx, job.payload.to); await mails.ackIn(tx, job); });
      const claimed: number = sync.queue("q").claimMany(3, 1000).length + (sync.queue("q").claim(1)?.attempt ?? 0);
      const { ready }: { ready: number } = await mails.counts();
      const reading: SyncDb = await openDirectory("./x", { readOnly: true });
      const moved: number = reading.refresh();
      const why = await db.commitInfo(await db.transaction((tx) => tx.because({ trace: "x" }), { because: "Ada" }).then(() => 1));
      const said: string | undefined = why?.cause && ("text" in why.cause ? why.cause.text : why.cause.trace);
      await db.kv.put("a", order, { ttlMs: 5 });
      const counted: number = sync.state.set("a", 1, { expiresAtMicros: 1 }) + ((await (await db.view()).json.ttl("a")) ?? 0);
      const swept: { entries: number; isComplete: boolean } = await (await db.runs.get("x")).sweepExpired(5);
      const [first] = await db.json.list<{ a: number }>({ limit: 1 });
      const a: number | undefined = first?.document.a;
      const deleted: { keys: number; isComplete: boolean } = await db.kv.deleteRange({ prefix: "a", gt: "a/1" });
      const version: number | undefined = (await db.json.getVersioned<Order>("a"))?.version;
      const counter: number | undefined = sync.state.getVersioned<Order>("a")?.value.counter;
      const [event] = await db.events.all<Order>({ limit: 1, after: { version: 1, stream: "s", seq: 1 } });
      const stream: string | undefined = event?.stream;
      const updated: Order = sync.json.update<Order>("a", (before) => before ?? { ...order! });
      const run: string = (await db.runs.beginOrGet("key", { name: "n" })).id;
      try { await destroy("x"); } catch (error) {
        if (error instanceof FoldbError && error.kind === "Locked") console.log(error.code);
      }
      console.log(counted, swept, said, any, keys, bytes, total, now, text, store, stop, a, deleted, version, counter, stream, updated, run, pushed, claimed, ready, moved, await list(), new U256(1n).value, await memory());
    }
  `);
  assert.equal(status, 0, stdout);
});

for (const [what, line] of [
  ["a promise is not a value", "const value: string = db.kv.getOr('a', 'x');"],
  ["a view cannot be written", "(await db.view()).kv.put('a', 1);"],
  ["kinds are known", "if (new FoldbError('Locked', '', '').kind === 'Lockd') {}"],
  ["a range to be deleted is said", "await db.kv.deleteRange();"],
  ["the run of a key has no id of its own", "await db.runs.beginOrGet('a', { name: 'n', id: 'x' });"],
  ["a store of the browser is not read beside another tab", "await open('x', { readOnly: true });"],
  ["a push in a transaction has no key of its own", "await db.transaction((tx) => db.queue('q').pushIn(tx, 1, { idempotencyKey: 'k' }));"],
  ["a cause is a text or a trace entry", "await db.transaction(() => 1, { because: { reason: 'x' } });"],
  ["what is new keeps no time", "await db.kv.putIfAbsent('a', 1, { keepTtl: true });"],
  ["primitives are known", "db.subscribe({ primitive: 'pairs' });"],
  ["keys are text or bytes", "await db.kv.get(7);"],
]) {
  test(`what is wrong does not compile: ${what}`, () => {
    const { status, stdout } = compile("wrong", `import { open, FoldbError } from "foldb";\nexport async function main() { const db = await open("x"); ${line} }`);
    assert.match(stdout, /error TS\d+/);
    assert.equal(stdout.trim().split("\n").filter((line) => line.includes("error TS")).length, 1, stdout);
    assert.notEqual(status, 0);
  });
}

test("every call and every field that the types have is explained", () => {
  const folder = `${here}/node_modules/foldb/dist/api`;
  const unexplained = [];
  let members = 0;
  for (const name of fs.readdirSync(folder)) {
    let before = "";
    let inside = false;
    for (const line of fs.readFileSync(`${folder}/${name}`, "utf8").split("\n")) {
      if (/^export (interface|type) /.test(line) && !before.endsWith("*/")) unexplained.push(`${name}: ${line}`);
      if (/^export interface /.test(line)) inside = true;
      if (line === "}") inside = false;
      const [, member] = (inside && /^    (?:readonly )?(\w+)[?(<:]/.exec(line)) || [];
      if (member) members++;
      // Of several signatures of one call the first is explained.
      if (member && !before.endsWith("*/") && !new RegExp(`^    ${member}[(<]`).test(before)) unexplained.push(`${name}: ${line.trim()}`);
      if (line.trim()) before = line;
    }
  }
  assert.deepEqual(unexplained, []);
  assert.ok(members > 250, `${members} members`);
});
