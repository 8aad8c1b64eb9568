// The package's README, as it is packed: what it shows is run.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";

const readme = readFileSync(new URL("node_modules/foldb/README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

/** The one example with these words, as the inside of a function: what it imports is among the names `foldb`. */
function example(words) {
  const found = examples.filter((code) => code.includes(words));
  assert.equal(found.length, 1, `one example with ${words}`);
  return found[0].replaceAll(/^import (\{.*\}) from "foldb(?:\/node)?";$/gm, "const $1 = foldb;");
}

let site;
before(async () => (site = await Site.start()));
after(() => site?.stop());

/** Runs code on a page and gives back what it returns. */
const run = (code) => site.run(({ foldb }, code) => new (async () => {}).constructor("foldb", code)(foldb), code);

test("the main thread's example keeps what it puts, and replays the run", async () => {
  const replayed = await run(`${example("// Several writes, over")}
    const seen = [await replay.kv.get("position"), await db.kv.get("stock/tea"), (await db.json.get("order/1")).count];
    await db.close();
    return seen.map(String);`);
  assert.deepEqual(replayed, ["17", "9", "1"]);
});

test("pages, announcements and the exported file are as shown", async () => {
  const told = await run(`
    const { open, importStore, list } = foldb;
    const told = [];
    const console = { log: (...words) => told.push(words.length) };
    const db = await open("pages");
    await db.kv.putMany(Array.from({ length: 250 }, (_, n) => ["stock/" + String(n).padStart(3, "0"), n]));
    const run = await db.runs.begin({ name: "heard" });
    ${example("const stop = db.onCommit")}
    await run.kv.put("a", 1);
    await db.sync();
    stop();
    await db.close();
    const copy = await open("copy");
    const count = await copy.kv.count();
    await copy.close();
    return [told.length, count, (await list()).includes("copy")];`);
  assert.deepEqual(told, [251, 250, true]);
});

test("jobs are done and what comes is heard as shown", async () => {
  const told = await run(`
    const told = [];
    const console = { log: (...words) => told.push(words.map((word) => (typeof word === "object" ? word[0].key : word)).join(" ")) };
    const db = await foldb.open("jobs");
    const controller = new AbortController();
    const { signal } = controller;
    const shown = (async () => { ${example("const mails")} })();
    const over = shown.catch(({ kind }) => kind);
    // Until the loop listens.
    while ((await db.kv.get("sent")) !== 1n || (await db.queue("mails").counts()).leased > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let number = 0; told.length === 0; number++) {
      await db.json.set("order/" + number, {});
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    controller.abort();
    const kind = await over;
    await db.close();
    return [kind, told[0].replace(/[0-9]+/g, "n")];`);
  assert.deepEqual(told, ["Cancelled", "commit n order/n"]);
});

test("an error says what the example does with it", async () => {
  const said = await run(`
    const { open } = foldb;
    const said = [];
    const showMessage = (text) => said.push(text);
    ${example("putIfAbsent")}
    ${example("putIfAbsent")}
    return said;`);
  assert.equal(said.length, 1);
  assert.match(said[0], /owner/);
});

test("the worker's example and the one in memory run as they stand", async () => {
  const code = example("openInWorker").replace("openInWorker", "memory").replace('openInWorker("notes")', "memory()");
  assert.equal(await run(`${code}\n return db.kv.get("twice");`), "hellohello");
  assert.equal(await run(`${example("./my-store").split("const { openDirectory }")[0]}\n return db.kv.count();`), 0);
});

test("long work is told of and cancelled as shown", async () => {
  const outcome = await run(`
    const db = await foldb.open("long work");
    await db.kv.put("a", 1);
    const [bar, cancelButton] = [{}, {}];
    ${example("const controller")}
    cancelButton.onclick();
    const cancelled = await db.verify({ signal: controller.signal }).catch(({ kind }) => kind);
    await db.close();
    return [report.violations.length, bar.value, cancelled];`);
  assert.deepEqual(outcome, [0, 1, "Cancelled"]);
});
