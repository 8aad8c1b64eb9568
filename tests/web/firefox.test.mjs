// The shared list in Firefox, through geckodriver, which FOLDB_GECKODRIVER names. (Playwright drives builds of its own only.)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";

import { serveFolder } from "./site.mjs";

let site;
let driver;
let session;

/** One command of WebDriver. */
async function command(path, body, method = body ? "POST" : "GET") {
  const answer = await fetch(`http://127.0.0.1:${driver.port}/session${path}`, { method, ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }) });
  const { value } = await answer.json();
  if (value?.error) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

before(async () => {
  site = await serveFolder();
  driver = spawn(process.env.FOLDB_GECKODRIVER ?? "geckodriver", ["--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  driver.port = await new Promise((resolve, reject) => {
    driver.on("error", reject);
    driver.on("exit", (status) => reject(new Error(`geckodriver ended with ${status}`)));
    driver.stdout.on("data", (said) => {
      const port = /Listening on [\d.]+:(\d+)/.exec(said)?.[1];
      if (port) resolve(port);
    });
  });
  const capabilities = { alwaysMatch: { browserName: "firefox", "moz:firefoxOptions": { args: ["-headless"] } } };
  const { sessionId } = await command("", { capabilities });
  session = `/${sessionId}`;
  await command(`${session}/timeouts`, { script: 240_000 });
});

after(async () => {
  if (session) await fetch(`http://127.0.0.1:${driver.port}/session${session}`, { method: "DELETE" });
  driver?.kill();
  await site?.stop();
});

/** Runs a function in a module of a new page, with package and shared list. */
async function inPage(work) {
  await command(`${session}/url`, { url: `${site.origin}/` });
  return here(work);
}

/** The same in the page that is there. (WebDriver runs scripts in a world of their own, so a module is added.) */
async function here(work) {
  const module = `
    import * as foldb from "/node_modules/foldb/dist/index.js";
    import * as shared from "/shared.mjs";
    const said = document.getElementById("said");
    try {
      said.textContent = JSON.stringify({ value: await (${work})({ foldb, shared }) });
    } catch (error) {
      said.textContent = JSON.stringify({ error: error.message + " " + error.stack });
    }`;
  const script = `
    const [module, done] = arguments;
    const said = document.createElement("output");
    document.getElementById("said")?.remove();
    said.id = "said";
    const script = document.createElement("script");
    script.type = "module";
    script.textContent = module;
    document.body.append(said, script);
    setInterval(() => said.textContent && done(said.textContent), 50);`;
  const { value, error } = JSON.parse(await command(`${session}/execute/async`, { script, args: [module] }));
  if (error) throw new Error(error);
  return value;
}

test("every case of the shared list holds on the main thread of Firefox", async () => {
  const failures = await inPage(async ({ foldb, shared }) => {
    const failures = [];
    for (const [name, run] of Object.entries(shared.cases)) {
      const db = await foldb.open(`shared ${name}`, { durability: "buffered", persist: false });
      try {
        await run(db, foldb);
      } catch (error) {
        failures.push(`${name}: ${error.message} ${error.stack}`);
      }
      await db.close();
      await foldb.destroy(`shared ${name}`);
    }
    return failures;
  });
  assert.deepEqual(failures, []);
});

test("every case of the shared list holds in a worker of Firefox", async () => {
  const failures = await inPage(
    async () =>
      new Promise((resolve, reject) => {
        const worker = new Worker("/own-worker.mjs", { type: "module" });
        worker.onerror = ({ message }) => reject(new Error(message));
        worker.onmessage = ({ data }) => resolve(data);
        worker.postMessage("cases");
      }),
  );
  assert.deepEqual(failures, []);
});

test("what was put in Firefox is there after a reload", async () => {
  const first = await inPage(async ({ foldb }) => {
    const db = await foldb.open("reload", { persist: false });
    await db.kv.put("a", 17n);
    return db.created;
  });
  const second = await inPage(async ({ foldb }) => {
    const db = await foldb.open("reload", { persist: false });
    const found = [db.created, String(await db.kv.get("a"))];
    await db.close();
    return found;
  });
  assert.deepEqual([first, second], [true, [false, "17"]]);
});

/** Leaves a page with an open store, and comes back; meanwhile another tab may open it. Returns what the page has then. */
async function leaveAndReturn(meanwhile) {
  await inPage(async ({ foldb }) => {
    globalThis.db = await foldb.open("history", { persist: false });
    await globalThis.db.kv.put("a", 1);
  });
  await command(`${session}/url`, { url: `${site.origin.replace("127.0.0.1", "localhost")}/` });
  await meanwhile?.();
  await command(`${session}/back`, {});
  return here(async ({ foldb }) => {
    const soon = (promise) =>
      Promise.race([promise.then(String, ({ kind }) => kind), new Promise((resolve) => setTimeout(() => resolve("nothing for a minute"), 60_000))]);
    const kept = globalThis.db !== undefined;
    const said = kept ? await soon(globalThis.db.kv.get("a")) : "loaded again";
    if (kept) await globalThis.db.close().catch(() => {});
    const db = await foldb.open("history", { persist: false });
    const value = await db.kv.get("a");
    await db.close();
    return [said, value];
  });
}

test("a page of Firefox that was left gives its store to a tab that opens it", async () => {
  const found = await leaveAndReturn(async () => {
    const first = await command(`${session}/window`);
    const { handle } = await command(`${session}/window/new`, { type: "tab" });
    await command(`${session}/window`, { handle });
    const taken = await inPage(async ({ foldb }) => {
      const db = await foldb.open("history", { persist: false });
      const found = [db.created, await db.kv.get("a")];
      await db.close();
      return found;
    });
    assert.deepEqual(taken, [false, 1]);
    await command(`${session}/window`, undefined, "DELETE");
    await command(`${session}/window`, { handle: first });
  });
  assert.ok(["loaded again", "1", "Crashed"].includes(found[0]), found[0]);
  assert.equal(found[1], 1);
});

test("a page of Firefox that comes back has its store, or loads again and finds it", async () => {
  const found = await leaveAndReturn();
  assert.ok(["loaded again", "1", "Crashed"].includes(found[0]), found[0]);
  assert.equal(found[1], 1);
});
