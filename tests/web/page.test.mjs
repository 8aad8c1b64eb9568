// The page of examples/web in the system's Chromium: what a person does with it, by mouse and by keyboard alone.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";

process.env.FOLDB_PACKAGE = fileURLToPath(new URL("node_modules/foldb/dist", import.meta.url));
const { serve } = await import(pathToFileURL(join(process.env.FOLDB_REPOSITORY, "examples/web/serve.mjs")));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let site;
let served;
before(async () => {
  served = await serve();
  site = await Site.start();
});
after(async () => {
  served?.server.closeAllConnections();
  served?.server.close();
  await site?.stop();
});

/** What the page looked like, for whoever wants to look: in `target/web-package/screenshots`. */
const screenshots = fileURLToPath(new URL("screenshots", import.meta.url));
mkdirSync(screenshots, { recursive: true });

/** How light the page is behind everything, from 0 to 765. */
const lightness = (page) =>
  page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0));

/** The page, in a browser that was never there before. */
async function visit(settings = {}) {
  const context = await site.browser.newContext(settings);
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.setDefaultTimeout(60_000);
  await page.goto(served.origin);
  await opened(page);
  return { page, context, complaints };
}

const opened = (page) => page.waitForSelector('body[data-state="open"]');
const imported = (page, runs) =>
  page.waitForFunction((runs) => document.querySelectorAll("#runs button").length === runs && document.querySelector("#importing").hidden, runs);

/** Lines of JSON with numbers. */
const lines = (count) => Array.from({ length: count }, (_, n) => JSON.stringify({ id: `r${String(n).padStart(6, "0")}`, n, text: "x".repeat(40) })).join("\n");

const chooseFile = (page, name, text) => page.setInputFiles("#file", { name, mimeType: "text/plain", buffer: Buffer.from(text) });

/** What axe finds wrong, in words. */
async function problems(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`));
}

test("the sample is imported, replayed, compared, and there after a reload", async () => {
  const { page, context, complaints } = await visit();
  assert.match(await page.textContent("#facts"), /Created/);
  await page.click("#sample-first");
  await imported(page, 1);
  await page.waitForSelector("#documents .list li");
  assert.match(await page.textContent("#documents nav"), /1 to 25 of 4,635 documents/);
  assert.match(await page.textContent("#speed"), /Rows imported[\d,]+\/s/);

  await page.click("#documents nav button:text('Next')");
  await page.waitForFunction(() => /26 to 50/.test(document.querySelector("#documents nav").textContent));
  await page.click("#tab-events");
  await page.waitForSelector("#events .list li");
  assert.match(await page.textContent("#events nav"), /of 4,635 events/);
  await page.click("#tab-keys");
  await page.waitForSelector("#keys .list li");
  assert.match(await page.textContent("#keys"), /rows4635/);

  await page.click("#tab-replay");
  await page.waitForFunction(() => /the same, to the last byte/.test(document.querySelector("#replay").textContent));
  await page.fill("#at", "10");
  await page.waitForFunction(() => /commit 10 of/.test(document.querySelector("#replay output").value));
  const documents = await page.textContent("#replay .tiles dd");
  assert.equal(documents, "180", "nine batches of 20");

  await page.click("#sample");
  await imported(page, 2);
  await page.click("#life");
  await page.waitForFunction(() => document.querySelector("#life").textContent === "End the run");
  await page.click("#tab-documents");
  await page.click("#documents summary >> nth=0");
  await page.fill("#documents form input >> nth=0", "/species");
  await page.fill("#documents form input >> nth=1", '"Barn owl"');
  await page.click("#documents form button");
  await page.waitForFunction(() => /"Barn owl"/.test(document.querySelector("#documents pre").textContent));
  await page.click("#tab-diff");
  await page.click("#diff form button");
  await page.waitForSelector("#diff .tiles");
  assert.match(await page.textContent("#diff"), /1 difference.*\/species.*"Barn owl"/s);

  await page.reload();
  await opened(page);
  assert.match(await page.textContent("#facts"), /Opened/);
  assert.equal(await page.locator("#runs button").count(), 2);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a store is saved as a file and opened again, beside the first", async () => {
  const { page, context, complaints } = await visit();
  await chooseFile(page, "small.jsonl", lines(100));
  await imported(page, 1);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  assert.equal(download.suggestedFilename(), "playground.tar");
  await page.setInputFiles("#import-store", await download.path().then((path) => ({ name: "copy.tar", mimeType: "application/x-tar", buffer: readFileSync(path) })));
  await page.waitForFunction(() => document.querySelector("#store").value === "copy" && document.body.dataset.state === "open");
  await page.waitForSelector("#documents .list li");
  assert.match(await page.textContent("#said"), /every checksum holds/);
  assert.match(await page.textContent("#documents nav"), /of 100 documents/);

  await page.click("#destroy");
  await page.click("#confirm button[value=no]");
  assert.equal(await page.inputValue("#store"), "copy");
  await page.click("#destroy");
  await page.click("#confirm button[value=yes]");
  await page.waitForFunction(() => document.querySelector("#store").value === "playground" && document.body.dataset.state === "open");

  await page.setInputFiles("#import-store", { name: "broken.tar", mimeType: "application/x-tar", buffer: Buffer.from("hello ".repeat(400)) });
  await page.waitForSelector("#error:not([hidden])");
  assert.match(await page.textContent("#error"), /not an archive of a foldb store/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("a line that is not JSON ends the import with its number, and what came before stays", async () => {
  const { page, context } = await visit();
  await chooseFile(page, "bad.jsonl", `${lines(50)}\n{"id": oops}\n`);
  await page.waitForSelector("#error:not([hidden])");
  assert.match(await page.textContent("#error"), /line 51 is not JSON/);
  await imported(page, 1);
  assert.match(await page.textContent("#runs"), /failed/);
  await page.waitForFunction(() => /of 50 documents/.test(document.querySelector("#documents nav")?.textContent ?? ""));
  await page.click("#error button");
  assert.ok(await page.isHidden("#error"));
  await context.close();
});

test("an integer is kept to its last digit, and one of more than 64 bits ends the import with its line and the number", async () => {
  const { page, context } = await visit();
  const exact = "12345678901234567890";
  const toolarge = "18446744073709551616";
  await chooseFile(page, "wei.jsonl", `{"id":"a","wei":${exact},"float":1e300}\n{"id":"b","wei":${toolarge}}\n`);
  await page.waitForSelector("#error:not([hidden])");
  assert.match(await page.textContent("#error"), new RegExp(`line 2 has a number that cannot be kept \\(${toolarge} is an integer of more than 64 bits`));
  await imported(page, 1);
  await page.waitForFunction(() => /of 1 document/.test(document.querySelector("#documents nav")?.textContent ?? ""));
  const kept = await page.evaluate(async () => {
    const { open } = await import("foldb");
    const db = await open(document.querySelector("#store").value);
    const [run] = await db.runs.list();
    const { wei, float } = await (await db.runs.get(run.id)).json.get("a");
    await db.close();
    return [typeof wei, String(wei), float];
  });
  assert.deepEqual(kept, ["bigint", exact, 1e300]);
  await context.close();
});

test("a second tab is told in words that the store is open elsewhere", async () => {
  const { page, context } = await visit();
  const other = await context.newPage();
  await other.goto(served.origin);
  await other.waitForSelector("#error:not([hidden])", { timeout: 60_000 });
  assert.match(await other.textContent("#error"), /Another tab has this store open/);
  assert.match(await other.textContent("#facts"), /Not open/);
  for (const id of ["export", "destroy", "file", "sample"]) assert.ok(await other.isDisabled(`#${id}`), `${id} needs a store`);
  // Other stores are not out of reach.
  await page.evaluate(async () => (await (await import("foldb")).open("spare")).close());
  await other.reload();
  await other.waitForSelector("#error:not([hidden])", { timeout: 60_000 });
  await other.selectOption("#store", "spare");
  await opened(other);
  assert.ok(await other.isHidden("#error"));
  assert.ok(await other.isEnabled("#export"));
  await other.selectOption("#store", "playground");
  await other.waitForSelector("#error:not([hidden])", { timeout: 60_000 });
  await page.close();
  await other.reload();
  await opened(other);
  await context.close();
});

test("a hundred thousand rows are imported without freezing the page", async () => {
  const { page, context } = await visit();
  // Turns of the page's event loop while it imports: an import that froze the page would leave it next to none. Counted, not
  // timed: how long a turn takes is up to the machine.
  await page.evaluate(() => {
    window.turns = 0;
    const look = () => {
      if (!document.querySelector("#importing").hidden) window.turns++;
      setTimeout(look, 0);
    };
    look();
  });
  await chooseFile(page, "many.jsonl", lines(100_000));
  await imported(page, 1);
  await page.waitForFunction(() => /of 100,000 documents/.test(document.querySelector("#documents nav")?.textContent ?? ""));
  await page.click("#tab-replay");
  await page.waitForFunction(() => /the same, to the last byte/.test(document.querySelector("#replay").textContent));
  const turns = await page.evaluate(() => window.turns);
  assert.ok(turns >= 100, `the page had ${turns} turns for about a thousand commits`);
  await context.close();
});

test("everything can be done by keyboard", async () => {
  const { page, context } = await visit();
  /** Presses Tab until the focus is where it should be; it must be visible on the way. */
  const tabTo = async (selector) => {
    for (let presses = 0; presses < 80; presses++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate((selector) => {
        const element = document.activeElement;
        const shown = element.closest(".button") ?? element;
        return { there: element.matches(selector), outline: getComputedStyle(shown).outlineStyle, name: element.id || element.textContent };
      }, selector);
      assert.notEqual(at.outline, "none", `the focus on ${at.name} is visible`);
      if (at.there) return;
    }
    assert.fail(`Tab never comes to ${selector}`);
  };
  await tabTo("#file");
  await tabTo("#sample-first");
  await page.keyboard.press("Enter");
  await imported(page, 1);
  await page.waitForSelector("#documents .list li");
  await page.evaluate(() => document.querySelector("#content").focus());
  await tabTo("#tab-documents");
  await tabTo("#documents summary");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#documents details[open] pre");
  await page.evaluate(() => document.querySelector("#content").focus());
  await tabTo("#tab-documents");
  for (const tab of ["events", "keys", "replay"]) {
    await page.keyboard.press("ArrowRight");
    await page.waitForSelector(`#${tab}:not([hidden])`);
  }
  await page.waitForSelector("#replay .tiles dd");
  await tabTo("#at");
  await page.keyboard.press("Home");
  await page.waitForFunction(() => /commit 1 of/.test(document.querySelector("#replay output").value));
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => /commit 2 of/.test(document.querySelector("#replay output").value));
  await tabTo("#replay button.primary");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => Number(document.querySelector("#at").value) > 10);
  await page.keyboard.press("Enter");
  assert.equal(await page.textContent("#replay button.primary"), "Play");
  await context.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [name, viewport] of [["wide", { width: 1280, height: 900 }], ["narrow", { width: 360, height: 740 }]]) {
    test(`axe finds nothing wrong, and nothing is cut off: ${colorScheme}, ${name}`, async () => {
      const { page, context } = await visit({ colorScheme, viewport });
      assert.deepEqual(await problems(page), [], "empty");
      const light = await lightness(page);
      assert.ok(colorScheme === "light" ? light > 600 : light < 165, `${colorScheme}, and the page's background has ${light} of 765`);
      await chooseFile(page, "small.jsonl", lines(200));
      await imported(page, 1);
      await chooseFile(page, "other.jsonl", lines(190));
      await imported(page, 2);
      for (const tab of ["documents", "events", "keys", "replay", "diff"]) {
        await page.click(`#tab-${tab}`);
        await page.waitForSelector(`#${tab}:not([hidden]) > *`);
        if (tab === "documents") await page.click("#documents summary >> nth=1");
        if (tab === "replay") await page.waitForSelector("#replay .tiles dd");
        if (tab === "diff") {
          await page.click("#diff form button");
          await page.waitForSelector("#diff .tiles");
        }
        assert.deepEqual(await problems(page), [], tab);
        await page.screenshot({ path: join(screenshots, `${tab}-${colorScheme}-${name}.png`), fullPage: true });
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wider, 0, `${tab} does not scroll sideways`);
      }
      await page.click("#destroy");
      assert.deepEqual(await problems(page), [], "the question");
      await context.close();
    });
  }
}
