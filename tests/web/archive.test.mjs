// The same bytes everywhere: a store that was written natively opens in Node and in Chromium, and what they hold and export is
// what is pinned in testkit/src/sameness.rs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { importStore, openDirectory } from "foldb/node";

import { findings } from "./findings.mjs";
import { Site } from "./site.mjs";

const native = readFileSync(new URL("same-store.tar", import.meta.url));
const expected = JSON.parse(readFileSync(new URL("same-store.json", import.meta.url), "utf8"));
const program = process.env.FOLDB_PROGRAM;
const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");

let site;
let place;
before(async () => {
  place = mkdtempSync(join(tmpdir(), "foldb-archive-"));
  site = await Site.start();
});
after(async () => {
  rmSync(place, { recursive: true });
  await site?.stop();
});

/** What this API can find of what is pinned. */
function pinned() {
  const { "first and second, differences": _, "first and second, diff": __, ...rest } = expected.findings;
  return rest;
}

test("the native archive is the pinned one", () => {
  assert.equal(sum(native), expected.sha256);
});

let diffInNode;

test("Node finds in a native store what is pinned, and exports the same bytes", async () => {
  const directory = join(place, "node");
  assert.deepEqual(await importStore(directory, new Blob([native])), { seq: expected.seq, bytes: native.length });
  const db = await openDirectory(directory);
  const { found, diff } = await findings(db);
  diffInNode = diff;
  assert.deepEqual(found, pinned());
  assert.equal(sum(new Uint8Array(await (await db.export()).arrayBuffer())), expected.sha256);
  await db.close();
  // The native program opens what Node has written.
  const runs = execFileSync(program, ["runs", "--store", directory, "--json"], { encoding: "utf8" });
  assert.equal(runs.trim().split("\n").length, 3);
});

test("Chromium finds in a native store what is pinned, and exports the same bytes", async () => {
  const bytes = native.toString("base64");
  const { imported, found, diff, archive } = await site.run(
    async ({ foldb }, bytes) => {
      const { findings } = await import("/findings.mjs");
      const native = Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
      await foldb.destroy("same");
      const imported = await foldb.importStore("same", native);
      const db = await foldb.open("same");
      const of = await findings(db);
      const blob = await db.export();
      await db.close();
      await foldb.destroy("same");
      const text = await new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
        reader.readAsDataURL(blob);
      });
      return { imported, ...of, archive: text };
    },
    bytes,
  );
  assert.deepEqual(imported, { seq: expected.seq, bytes: native.length });
  assert.deepEqual(found, pinned());
  assert.equal(diff, diffInNode, "the diff, part by part");
  assert.equal(sum(Buffer.from(archive, "base64")), expected.sha256);
});

test("a store that a browser has written opens natively, and its digests are the same there", async () => {
  const { archive, digest } = await site.run(async ({ foldb }) => {
    const db = await foldb.open("made here");
    const run = await db.runs.begin({ name: "browser" });
    for (let number = 0; number < 50; number++) {
      await db.transaction(async (tx) => {
        const space = tx.run(run.id);
        space.kv.put(`key ${number}`, { number, big: BigInt(number) << 40n, at: new Date(number), bytes: new Uint8Array(2000) });
        space.json.set(`document ${number}`, { number, list: [number, "ü"] });
        await space.events.append("log", "line", number);
      });
    }
    await db.snapshot();
    await run.end();
    const digest = await db.digest(run.id);
    const blob = await db.export();
    await db.close();
    await foldb.destroy("made here");
    const bytes = new Uint8Array(await blob.arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    return { archive: btoa(text), digest };
  });
  const file = join(place, "browser.tar");
  writeFileSync(file, Buffer.from(archive, "base64"));
  const directory = join(place, "browser");
  execFileSync(program, ["import-store", file, directory]);
  const replay = JSON.parse(execFileSync(program, ["replay", "browser", "--store", directory, "--json"], { encoding: "utf8" }).split("\n")[0]);
  assert.equal(replay.digest, digest);
  execFileSync(program, ["verify", "--store", directory]);
  execFileSync(program, ["export", directory, join(place, "again.tar")]);
  assert.ok(readFileSync(join(place, "again.tar")).equals(readFileSync(file)), "looked at, and the same bytes again");
});

test("damaged, cut and foreign archives make no store", async () => {
  const outcomes = await site.run(
    async ({ foldb }, bytes) => {
      const native = Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0));
      const damaged = native.slice();
      damaged[9000] ^= 1;
      const outcomes = [];
      for (const archive of [damaged, native.slice(0, 20000), new TextEncoder().encode("hello ".repeat(500)), new TextEncoder().encode('{"a":1}')]) {
        outcomes.push(await foldb.importStore("broken", archive).then(() => "imported", ({ kind, code }) => `${kind} ${code}`));
      }
      outcomes.push((await foldb.list()).includes("broken"));
      await foldb.importStore("broken", native);
      outcomes.push(await foldb.importStore("broken", native).catch(({ kind, code }) => `${kind} ${code}`));
      const db = await foldb.open("broken");
      outcomes.push((await db.runs.list()).length);
      await db.close();
      await foldb.destroy("broken");
      return outcomes;
    },
    native.toString("base64"),
  );
  assert.deepEqual(outcomes, ["Corrupt ArchiveDamaged", "Corrupt ArchiveTruncated", "Invalid NotAnArchive", "Invalid NotAnArchive", false, "Precondition NotEmpty", 3]);
});

test("an archive comes as a stream, too", async () => {
  const directory = join(place, "stream");
  await importStore(directory, new Blob([native]).stream());
  await assert.rejects(importStore(directory, native), { kind: "Precondition", code: "NotEmpty" });
  const db = await openDirectory(directory, { create: false });
  assert.equal((await db.runs.list()).length, 3);
  await db.close();
});
