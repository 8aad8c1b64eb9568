// Long work beyond the shared list: opening a store and importing one, in a page and in Node, with progress and cancelled.

import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { memory } from "foldb";
import { importStore, openDirectory } from "foldb/node";

import { Site } from "./site.mjs";

let site;
let place;
before(async () => {
  place = mkdtempSync(join(tmpdir(), "foldb-work-"));
  site = await Site.start();
});
after(async () => {
  rmSync(place, { recursive: true });
  await site?.stop();
});

/** The archive of a store of several megabytes. */
async function archive() {
  const db = await memory();
  for (let number = 0; number < 60; number++) db.kv.put(`key ${number}`, new Uint8Array(100_000).fill(number));
  const blob = await db.export();
  await db.close();
  return blob;
}

test("recovery in Node tells how far it is, and a cancelled opening lets go of the directory", async () => {
  const directory = join(place, "recovered");
  const db = await openDirectory(directory, { durability: "buffered", snapshotOnClose: false });
  for (let number = 0; number < 40; number++) db.kv.put(`key ${number}`, new Uint8Array(200_000).fill(number));
  await db.close();
  const steps = [];
  const again = await openDirectory(directory, { onProgress: (step) => steps.push(step) });
  assert.ok(steps.length > 1, `${steps.length} steps`);
  for (const { phase, done, total } of steps) assert.ok(phase && done <= total, `${phase}: ${done} of ${total}`);
  assert.equal(again.kv.count(), 40);
  await again.close();
  await assert.rejects(openDirectory(directory, { signal: AbortSignal.abort("no") }), { kind: "Cancelled", cause: "no" });
  const controller = new AbortController();
  const onProgress = () => controller.abort("enough");
  await assert.rejects(openDirectory(directory, { signal: controller.signal, onProgress }), { kind: "Cancelled", cause: "enough" });
  const failing = () => {
    throw new TypeError("a mistake");
  };
  await assert.rejects(openDirectory(directory, { onProgress: failing }), { name: "TypeError", message: "a mistake" });
  const last = await openDirectory(directory);
  assert.deepEqual(last.verify().violations, []);
  await last.close();
});

test("an import in Node that is cancelled anywhere leaves no store, and the next one works", async () => {
  const blob = await archive();
  const directory = join(place, "imported");
  for (const steps of [1, 3, 5]) {
    const controller = new AbortController();
    let told = 0;
    const onProgress = () => {
      if (++told === steps) controller.abort(steps);
    };
    await assert.rejects(importStore(directory, blob, { signal: controller.signal, onProgress }), { kind: "Cancelled", cause: steps });
    await assert.rejects(openDirectory(directory, { create: false }), { kind: "NotAStore" });
    const left = existsSync(directory) ? readdirSync(directory).filter((name) => name !== "lock") : [];
    assert.deepEqual(left, [], "everything was cleared away");
  }
  const failing = () => {
    throw new TypeError("a mistake");
  };
  await assert.rejects(importStore(directory, blob, { onProgress: failing }), { name: "TypeError", message: "a mistake" });
  const seen = [];
  const { bytes } = await importStore(directory, blob, { onProgress: (step) => seen.push(step) });
  assert.equal(bytes, blob.size);
  assert.deepEqual(seen.at(-1), { phase: "archive", done: blob.size, total: blob.size });
  const db = await openDirectory(directory);
  assert.equal(db.kv.count(), 60);
  await db.close();
});

test("an import from a stream that has stopped flowing is cancelled at once, and the stream too", async () => {
  const blob = await archive();
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let heard;
  let pulled = 0;
  const controller = new AbortController();
  const stalled = new ReadableStream(
    {
      start: (stream) => stream.enqueue(bytes.subarray(0, 2_000_000)),
      // More is wanted once all of that is imported. None comes.
      pull: () => {
        pulled++;
        setTimeout(() => controller.abort("too slow"));
        return new Promise(() => {});
      },
      cancel: () => (heard = true),
    },
    { highWaterMark: 0 },
  );
  const directory = join(place, "stalled");
  const importing = importStore(directory, stalled, { signal: controller.signal });
  await assert.rejects(importing, { kind: "Cancelled", cause: "too slow" });
  assert.ok(heard && pulled === 1, "whoever fills the stream hears of it");
  await assert.rejects(openDirectory(directory, { create: false }), { kind: "NotAStore" });
});

test("an error of the stream is told as it is", async () => {
  const broken = new ReadableStream({ start: (stream) => stream.error(new RangeError("the disk is gone")) });
  await assert.rejects(importStore(join(place, "broken"), broken), { name: "RangeError", message: "the disk is gone" });
});

test("a file that has changed since it was chosen is an archive that cannot be read, and the store is none", async () => {
  const file = join(place, "chosen.tar");
  // Chromium tells a file that has changed by the second of its time, and not by its length.
  const changed = (second) => utimesSync(file, second, second);
  writeFileSync(file, new Uint8Array(await (await archive()).arrayBuffer()));
  changed(1_700_000_000);
  const page = await site.page();
  await page.setContent("<input type=file>");
  await page.setInputFiles("input", file);
  // The browser looks at it when the page does.
  assert.equal(await page.evaluate(() => document.querySelector("input").files[0].lastModified), 1_700_000_000_000);
  appendFileSync(file, "more");
  changed(1_700_000_100);
  const found = await site.on(page, async ({ foldb }) => {
    const [file] = document.querySelector("input").files;
    const outcome = await foldb.importStore("chosen", file).then(() => "imported", ({ kind, code, message }) => [kind, code, message]);
    return [outcome, (await foldb.list()).includes("chosen")];
  });
  await page.close();
  assert.deepEqual(found[0].slice(0, 2), ["Io", "Archive"], String(found[0]));
  assert.match(found[0][2], /cannot be read: \w+Error/);
  assert.equal(found[1], false);
});

test("a page hears how far an import is, and cancels it", async () => {
  const found = await site.run(async ({ foldb }) => {
    const source = await foldb.open("source", { durability: "buffered" });
    for (let number = 0; number < 60; number++) await source.kv.put(`key ${number}`, new Uint8Array(100_000).fill(number));
    const blob = await source.export();
    await source.close();
    const steps = [];
    const { bytes } = await foldb.importStore("target", blob, { onProgress: (step) => steps.push(step) });
    const whole = bytes === blob.size && steps.length > 2 && steps.at(-1).done === blob.size && steps.at(-1).total === blob.size;
    await foldb.destroy("target");
    const outcomes = [];
    for (const at of [1, 2, steps.length - 1]) {
      const controller = new AbortController();
      let told = 0;
      const onProgress = () => {
        if (++told === at) controller.abort(`at ${at}`);
      };
      const work = foldb.importStore("target", blob, { signal: controller.signal, onProgress });
      outcomes.push(await work.then(() => "imported", ({ kind, cause }) => `${kind} ${cause}`));
      // It may come too late: then the store is there, whole.
      const there = (await foldb.list()).includes("target");
      const late = outcomes.at(-1) === "imported";
      outcomes.push(there === late);
      if (late) await foldb.destroy("target");
    }
    outcomes.push(await foldb.importStore("target", blob, { signal: AbortSignal.abort(1) }).catch(({ kind }) => kind));
    const failing = () => {
      throw new TypeError("a mistake");
    };
    outcomes.push(await foldb.importStore("target", blob, { onProgress: failing }).catch(({ name }) => name));
    outcomes.push((await foldb.list()).includes("target"));
    await foldb.importStore("target", blob);
    const db = await foldb.open("target");
    outcomes.push(await db.kv.count());
    await db.close();
    for (const name of ["source", "target"]) await foldb.destroy(name);
    return { whole, outcomes };
  });
  assert.ok(found.whole, "all of it was told");
  const [first, none, ...others] = found.outcomes;
  assert.deepEqual([first, none], ["Cancelled at 1", true]);
  assert.ok(others[1] && others[3], String(others));
  assert.deepEqual(others.slice(4), ["Cancelled", "TypeError", false, 60]);
});

test("a page hears of recovery, and gives up an opening", async () => {
  const found = await site.run(async ({ foldb }) => {
    const db = await foldb.open("opened", { durability: "buffered", snapshotOnClose: false });
    for (let number = 0; number < 40; number++) await db.kv.put(`key ${number}`, new Uint8Array(200_000).fill(number));
    await db.close();
    const outcomes = [];
    const steps = [];
    const again = await foldb.open("opened", { onProgress: (step) => steps.push(step) });
    outcomes.push(steps.length > 1 && steps.every(({ phase, done, total }) => phase && done <= total));
    await again.close();
    outcomes.push(await foldb.open("opened", { signal: AbortSignal.abort("no") }).catch(({ kind, cause }) => `${kind} ${cause}`));
    const controller = new AbortController();
    const opening = foldb.open("opened", { signal: controller.signal });
    controller.abort("enough");
    outcomes.push(await opening.catch(({ kind, cause }) => `${kind} ${cause}`));
    const failing = () => {
      throw new TypeError("a mistake");
    };
    outcomes.push(await foldb.open("opened", { onProgress: failing }).catch(({ name }) => name));
    // One that gives up does not take it from the other.
    const one = new AbortController();
    const [first, second] = [foldb.open("opened", { signal: one.signal }), foldb.open("opened")];
    one.abort("not me");
    outcomes.push(await first.catch(({ kind }) => kind));
    const last = await second;
    outcomes.push(await last.kv.count());
    // A signal that is aborted once the store is open is of no meaning any more.
    const late = new AbortController();
    const other = await foldb.open("opened", { signal: late.signal });
    late.abort();
    outcomes.push(await other.kv.count());
    await other.close();
    await last.close();
    await foldb.destroy("opened");
    return outcomes;
  });
  assert.deepEqual(found, [true, "Cancelled no", "Cancelled enough", "TypeError", "Cancelled", 40, 40]);
});

test("what is asked of a store in a page is answered while it is verified and exported", async () => {
  const found = await site.run(async ({ foldb }) => {
    const db = await foldb.open("busy", { durability: "buffered" });
    for (let number = 0; number < 20; number++) {
      const run = await db.runs.begin({ name: `run ${number}` });
      await run.kv.putMany(Array.from({ length: 10 }, (_, at) => [`key ${at}`, new Uint8Array(50_000).fill(at)]));
    }
    const answered = [];
    for (const work of ["verify", "export"]) {
      let done = false;
      const working = db[work]().then(() => (done = true));
      let count = 0;
      while (!done) {
        await db.kv.put("during", count);
        if (!done) count++;
      }
      await working;
      answered.push(count);
    }
    await db.close();
    await foldb.destroy("busy");
    return answered;
  });
  for (const count of found) assert.ok(count > 3, String(found));
});
