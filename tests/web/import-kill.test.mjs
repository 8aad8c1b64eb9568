// The whole browser is killed while it imports a store, before one write or sync of its files after the other, on one profile.
// Whatever the moment, the next browser finds the store whole, or none that opens; and it imports the store again in its place.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { memory } from "foldb";

import { clearAway, serve, Victim } from "./victim.mjs";

/** Kills, spread over what an import writes and syncs: the first before anything, the last once it has ended. */
const ROUNDS = 12;

/** A store of many files, each of which an import makes, writes and syncs; and what is to be found in it. */
async function archive() {
  const db = await memory({ segmentBytes: 262_144 });
  for (let number = 0; number < 80; number++) db.kv.put(`key ${number}`, new Uint8Array(100_000).fill(number));
  db.snapshot();
  const run = db.runs.begin({ name: "run" });
  run.kv.put("a", 1);
  run.end();
  const expected = { count: 80, digest: db.digest(), runs: 1, violations: 0 };
  const bytes = new Uint8Array(await (await db.export()).arrayBuffer());
  await db.close();
  return { bytes, expected };
}

/** In the page: what is there; and where it is no store, after another import. */
async function look() {
  const foldb = await import("/node_modules/foldb/dist/index.js");
  const whole = async () => {
    const db = await foldb.open("imported", { create: false });
    const [count, digest] = [await db.kv.count(), await db.digest()];
    const [runs, { violations }] = [await db.runs.list(), await db.verify()];
    await db.close();
    return { count, digest, runs: runs.length, violations: violations.length };
  };
  const found = await whole().catch(({ kind, code, message }) => ({ kind, code, message }));
  if (!found.kind) return { found };
  // Not even with everything accepted, and not by creating one over it.
  const others = [];
  if (found.code === "ImportUnfinished") {
    for (const options of [{ recovery: "salvage" }, { recovery: "strict" }, { create: true }]) {
      others.push(await foldb.open("imported", options).then(() => "opened", ({ code }) => code));
    }
  }
  const archive = await (await fetch("/archive")).blob();
  await foldb.importStore("imported", archive);
  return { found, others, again: await whole() };
}

/** In the page: imports, in a worker that tells the server of each step, and tells when it has ended. */
async function begin() {
  const foldb = await import("/node_modules/foldb/dist/index.js");
  await foldb.destroy("imported");
  const archive = await (await fetch("/archive")).blob();
  const Native = Worker;
  globalThis.Worker = class extends Native {
    constructor(url, options) {
      const both = [`${location.origin}/telling.mjs`, url].map((module) => `import ${JSON.stringify(String(module))};`).join("");
      super(URL.createObjectURL(new Blob([both], { type: "text/javascript" })), options);
    }
  };
  await fetch("/began");
  void foldb.importStore("imported", archive).then(() => fetch("/ended"), (error) => fetch(`/failed?why=${encodeURIComponent(error)}`));
}

test(`a browser that is killed during an import leaves a whole store or none, ${ROUNDS} times`, { timeout: 300_000 }, async () => {
  const { bytes, expected } = await archive();
  const profile = mkdtempSync(join(tmpdir(), "foldb-import-kill-"));
  let victim;
  /** Steps of the import that is under way, and what is done at each, and at its end. */
  let steps = 0;
  let [stepped, ended, failed] = [() => {}, () => {}, () => {}];
  const server = await serve({
    "/archive": () => bytes,
    "/began": () => void (steps = 0),
    "/step": () => void stepped(steps++),
    "/ended": () => void ended(),
    "/failed": (parameters) => void failed(new Error(parameters.get("why"))),
  });
  const outcomes = { whole: 0, unfinished: 0, none: 0 };
  try {
    const address = `http://127.0.0.1:${server.address().port}/`;
    victim = new Victim(profile);
    let page = await victim.page(address);
    // One that nobody disturbs, for the number of its steps.
    const all = await new Promise((resolve, reject) => {
      [ended, failed] = [() => resolve(steps), reject];
      page.evaluate(begin).catch(reject);
    });
    assert.ok(all > ROUNDS, `${all} steps`);
    assert.deepEqual((await page.evaluate(look)).found, expected);
    for (let round = 0; round < ROUNDS; round++) {
      const last = round === ROUNDS - 1;
      const at = Math.round((all * round) / (ROUNDS - 1));
      stepped = (step) => step === at && !last && victim.kill();
      ended = () => last && victim.kill();
      // The page goes with its browser.
      page.evaluate(begin).catch(() => {});
      await victim.dead;
      [stepped, ended] = [() => {}, () => {}];
      victim = new Victim(profile);
      page = await victim.page(address);
      const { found, others, again } = await page.evaluate(look);
      const moment = last ? "behind the end" : `before step ${at} of ${all}`;
      if (!found.kind) {
        assert.deepEqual(found, expected, `${moment}: whole`);
        outcomes.whole++;
        continue;
      }
      assert.ok(!last, `${moment}: it had ended, and the store is ${found.message}`);
      assert.equal(found.kind, "NotAStore", `${moment}: ${found.code}: ${found.message}`);
      if (found.code === "ImportUnfinished") {
        assert.deepEqual(others, ["ImportUnfinished", "ImportUnfinished", "ImportUnfinished"], moment);
        outcomes.unfinished++;
      } else {
        outcomes.none++;
      }
      assert.deepEqual(again, expected, `${moment}: imported again`);
    }
    assert.ok(outcomes.unfinished > 0 && outcomes.whole > 0, JSON.stringify(outcomes));
    console.log(`killed at ${ROUNDS} of ${all} steps: ${JSON.stringify(outcomes)}`);
  } finally {
    await clearAway(victim, server, profile);
  }
});
