// Pages that are left and come back: browsers keep them for a while as they are, with their workers and their locks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";

let site;
// Playwright turns the cache for pages that were left off, which no browser of a user does.
before(async () => (site = await Site.start({ without: ["--disable-back-forward-cache"] })));
after(() => site?.stop());

/** A page with an open store, which has been left for a page of another origin. */
async function leave(store, options) {
  const context = await site.browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    globalThis.soon = (promise) =>
      Promise.race([Promise.resolve(promise).catch(({ kind }) => kind), new Promise((resolve) => setTimeout(() => resolve("nothing for a minute"), 60_000))]);
    addEventListener("pageshow", ({ persisted }) => (globalThis.cameBack = persisted));
  });
  await page.goto(`${site.origin}/`);
  await site.on(
    page,
    async ({ foldb }, { store, options }) => {
      globalThis.db = await foldb.open(store, options);
      await globalThis.db.kv.put("a", 1);
      // On its way when the page is left.
      addEventListener("pagehide", () => void (globalThis.last = globalThis.db.kv.put("last", 1)));
    },
    { store, options },
  );
  await page.goto(`${site.origin.replace("127.0.0.1", "localhost")}/`);
  /** Playwright's own way back waits for a load that does not happen. */
  const back = async () => {
    await page.evaluate(() => history.back()).catch(() => {});
    await page.waitForURL(`${site.origin}/`, { waitUntil: "commit" });
    for (let waited = 0; waited < 600; waited++) {
      const shown = await page.evaluate(() => globalThis.cameBack).catch(() => undefined);
      if (shown !== undefined) return shown;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("the page is not shown");
  };
  return { context, page, back };
}

test("a page that was left gives its store to a tab that opens it, and begins anew when it comes back", async () => {
  const { context, page, back } = await leave("given");
  const other = await context.newPage();
  await other.goto(`${site.origin}/`);
  const taken = await site.on(other, async ({ foldb }) => {
    globalThis.db = await foldb.open("given");
    await globalThis.db.kv.put("b", 2);
    return [globalThis.db.created, await globalThis.db.kv.get("a")];
  });
  assert.deepEqual(taken, [false, 1], "the page that was left does not keep the store from others");
  assert.equal(await back(), false, "the browser has let go of it, and loads it again");
  const locked = await site.on(page, async ({ foldb }) => soon(foldb.open("given", { lockTimeoutMs: 100 })));
  assert.equal(locked, "Locked", "now the other one has the store, as with any second tab");
  assert.equal(await site.on(other, async () => (await globalThis.db.kv.get("b"))), 2);
  await other.close();
  assert.deepEqual(await site.on(page, async ({ foldb }) => (await foldb.open("given")).kv.count({ prefix: "b" })), 1);
  await context.close();
});

for (const durability of ["strict", "buffered"]) {
  test(`a page that comes back goes on with its store, or begins anew with all that was promised: ${durability}`, async () => {
    const { context, page, back } = await leave("returned", { durability });
    const kept = await back();
    const found = await site.on(page, async ({ foldb }) => {
      const kept = globalThis.db !== undefined;
      globalThis.db ??= await foldb.open("returned");
      const said = [await soon(globalThis.db.kv.get("a")), await soon(globalThis.db.kv.put("b", 2).then(() => "done"))];
      if (kept) said.push(await soon(globalThis.last.then(() => "done")));
      const keys = await soon(globalThis.db.kv.keys());
      await globalThis.db.close();
      return { kept, said, keys };
    });
    assert.equal(found.kept, kept);
    assert.deepEqual(found.said, [1, "done", ...(kept ? ["done"] : [])]);
    assert.ok(["a,b,last", ...(kept ? [] : ["a,b"])].includes(String(found.keys)), String(found.keys));
    await context.close();
  });
}
