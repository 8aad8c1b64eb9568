// Measures all of it in one run and prints a table, and with `--json FILE` the figures.
//
// Rounds are interleaved: in each, every engine does every work once, so that whatever the machine does meanwhile hits all
// alike. A figure is the median of its rounds. `--only a,b` and `--rounds N` make a run shorter.

import { createReadStream, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { brotliCompressSync } from "node:zlib";

import { chromium } from "playwright-core";

import { shippedFiles } from "../../bindings/sizes.mjs";
import { ENGINES } from "./shared.mjs";

const { values: options } = parseArgs({
  options: { json: { type: "string" }, rounds: { type: "string", default: "5" }, only: { type: "string" }, work: { type: "string" }, verbose: { type: "boolean" } },
});
const ROOT = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html", ".json": "application/json" };
const FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const IN_FLIGHT = 64;
const PAGE = "<!doctype html><link rel=icon href=data:,><title>bench</title>";
/** A page of its own origin's process has a clock of 5 µs; everywhere else it is one of 100 µs. No engine here uses what else that allows. */
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** Rows in the order of the targets: name, title, unit, and whether less is better. */
const ROWS = [
  ["put-durable", "durable put, p50", "µs", true],
  ["put-relaxed", "relaxed put", "µs", true],
  ["batch-durable", "1000 puts, one durable transaction", "ms", true],
  ["bulk", "bulk load of 100K", "ms", true],
  ["get-worker", "random get, worker", "K/s", false],
  ["get-main", `random get, main thread, ${IN_FLIGHT} in flight`, "K/s", false],
  ["range", "range of 100", "µs", true],
  ["first-get", "navigation to first get, 100K", "ms", true],
  ["size", "shipped, brotli", "KiB", true],
];

/** What an app ships of each, in the form that its bundler would take. */
const SHIPPED = {
  // The files that `cargo xtask npm` counts.
  foldb: { folder: "foldb/dist", files: [...new Set(Object.values(shippedFiles()).flat())] },
  sahpool: { folder: "@sqlite.org/sqlite-wasm/dist", pattern: /^(index\.mjs|sqlite3\.wasm)$/ },
  "wa-sqlite": { folder: "wa-sqlite", files: ["dist/wa-sqlite.mjs", "dist/wa-sqlite.wasm", "src/sqlite-api.js", "src/sqlite-constants.js", "src/VFS.js", "src/examples/AccessHandlePoolVFS.js"] },
  pglite: { folder: "@electric-sql/pglite/dist", pattern: /^(index\.js|chunk-.*\.js|pglite\.(wasm|data)|initdb\.(js|wasm))$/ },
  dexie: { folder: "dexie/dist", pattern: /^dexie\.min\.js$/ },
};

function shipped({ folder, pattern, files }) {
  const base = join(ROOT, "node_modules", folder);
  const names = files ?? readdirSync(base).filter((name) => pattern.test(name));
  if (names.length === 0) throw new Error(`nothing of ${folder} is what an app would ship`);
  const bytes = names.map((name) => brotliCompressSync(readFileSync(join(base, name))).length);
  return bytes.reduce((sum, part) => sum + part, 0) / 1024;
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
  if (pathname === "/isolated") return response.writeHead(200, { "content-type": "text/html", ...ISOLATED }).end(PAGE);
  const file = join(ROOT, normalize(decodeURIComponent(pathname)));
  if (!file.startsWith(ROOT) || !existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cross-origin-embedder-policy": "require-corp" });
  createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = `http://127.0.0.1:${server.address().port}/`;

const names = Object.keys(ENGINES).filter((name) => !options.only || options.only.split(",").includes(name));
const wanted = (work) => !options.work || options.work.split(",").includes(work);
const rounds = Number(options.rounds);
const samples = {};
const note = (row, name, sample) => ((samples[row] ??= {})[name] ??= []).push(sample);
const profile = mkdtempSync(join(tmpdir(), "foldb-bench-"));
const executablePath = process.env.FOLDB_CHROMIUM ?? "/usr/bin/chromium";
const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, ignoreDefaultArgs: ["--headless"] });
const version = context.browser()?.version() ?? "Chromium";
const began = Date.now();
const progress = (text) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (options.verbose) console.error(((Date.now() - began) / 1000).toFixed(1), text);
};

/** Does something on the page with the module of the page. */
const on = (page, call, ...given) =>
  page.evaluate(async ([call, given]) => (await import("/page.mjs"))[call](...given), [call, given]);

async function newPage(path = "") {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(String(error)));
  await page.goto(address + path);
  return page;
}

try {
  const page = await newPage("isolated");
  for (const name of names) await on(page, "start", name);
  for (let round = 0; round < rounds; round++) {
    for (const work of ["put-durable", "put-relaxed", "batch-durable", "bulk", "get-worker", "range"]) {
      // The store that is read is loaded in the first round.
      if (!wanted(work) && !(work === "bulk" && round === 0)) continue;
      for (const name of names) {
        // Minutes of loading would say nothing new.
        if (work === "bulk" && round > 1 && ENGINES[name].slow) continue;
        progress(`round ${round + 1} of ${rounds}: ${work}, ${ENGINES[name].title}`);
        note(work, name, await on(page, "measure", name, work));
      }
    }
  }
  // The stores are free for other pages from here on.
  for (const name of names) await on(page, "measure", name, "close");
  await page.close();
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      if (name === "floor") continue;
      progress(`round ${round + 1} of ${rounds}: main thread, ${ENGINES[name].title}`);
      if (wanted("first-get")) {
        const opened = await newPage();
        note("first-get", name, await on(opened, "firstGet", name));
        await opened.close();
      }
      if (wanted("get-main")) {
        const opened = await newPage();
        note("get-main", name, await on(opened, "mainThread", name, IN_FLIGHT, ENGINES[name].slow ? 3000 : 30_000));
        await opened.close();
      }
    }
    if (wanted("get-main") && names.includes("floor")) {
      const opened = await newPage();
      await on(opened, "start", "floor");
      await on(opened, "measure", "floor", "bulk");
      note("get-main", "floor", await on(opened, "mainThread", "floor", IN_FLIGHT, 30_000));
      await opened.close();
    }
  }
  for (const [name, what] of Object.entries(SHIPPED)) if (wanted("size")) note("size", name, shipped(what));
} finally {
  await context.close();
  server.closeAllConnections();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  progress("");
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const figures = {};
for (const [row, , unit] of ROWS) {
  for (const [name, list] of Object.entries(samples[row] ?? {})) {
    (figures[row] ??= {})[name] = unit === "K/s" ? median(list) / 1000 : median(list);
  }
}
const columns = [...names, ...("size" in figures ? ["dexie"] : [])];
const shown = (figure) => (figure === undefined ? "" : figure >= 100 ? figure.toFixed(0) : figure >= 10 ? figure.toFixed(1) : figure.toFixed(2));
const table = [["", "unit", ...columns], ...ROWS.filter(([row]) => row in figures).map(([row, title, unit]) => [title, unit, ...columns.map((name) => shown(figures[row][name]))])];
const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
for (const line of table) console.log(line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join("  "));
console.log(`\n${version}, ${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, medians of ${rounds} interleaved rounds`);
if (options.json) writeFileSync(options.json, `${JSON.stringify({ version, rounds, figures, samples }, null, 2)}\n`);
