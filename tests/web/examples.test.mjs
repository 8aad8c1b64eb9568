// The small examples as somebody else builds them: in a folder of their own, with the packed package.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { after, before, test } from "node:test";

import { Site } from "./site.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const EXAMPLES = join(process.env.FOLDB_REPOSITORY, "examples/web");
const { serve } = await import(pathToFileURL(join(EXAMPLES, "serve.mjs")));

let site;
before(async () => (site = await Site.start()));
after(() => site?.stop());

/** A copy of an example with the package as it was installed here, and with what it is built with. */
function prepare(name) {
  const folder = join(HERE, "examples", name);
  const modules = join(folder, "node_modules");
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  cpSync(join(EXAMPLES, name), folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
  const wanted = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  delete wanted.dependencies.foldb;
  writeFileSync(join(folder, "package.json"), JSON.stringify(wanted));
  const built = Object.keys(wanted.devDependencies ?? {});
  if (built.some((tool) => !existsSync(join(modules, tool)))) {
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock"], { cwd: folder, stdio: "inherit" });
  }
  mkdirSync(modules, { recursive: true });
  rmSync(join(modules, "foldb"), { recursive: true, force: true });
  cpSync(join(HERE, "node_modules/foldb"), join(modules, "foldb"), { recursive: true });
  return folder;
}

/** Opens a page twice: the second time it has what the first one wrote. */
async function visitTwice(folder) {
  const { server, origin } = await serve(folder);
  const context = await site.browser.newContext();
  try {
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.setDefaultTimeout(60_000);
    for (const [visits, state] of [[1, "created"], [2, "found again"]]) {
      await page.goto(origin);
      await page.waitForFunction((visits) => document.querySelector("#visits").textContent.startsWith(`Visits: ${visits},`), visits).catch((error) => {
        throw new Error(`${error.message}; the page says: ${complaints}`);
      });
      assert.match(await page.textContent("#state"), new RegExp(state));
    }
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
    server.closeAllConnections();
    server.close();
  }
}

test("a plain page with modules from a static server keeps its store over a reload", async () => {
  await visitTwice(prepare("plain"));
});

test("an app built with Vite keeps its store over a reload", async () => {
  const folder = prepare("vite");
  execFileSync("npx", ["vite", "build"], { cwd: folder, stdio: "inherit" });
  await visitTwice(join(folder, "dist"));
});

test("an app built with webpack 5 keeps its store over a reload", async () => {
  const folder = prepare("webpack");
  execFileSync("npx", ["webpack"], { cwd: folder, stdio: "inherit" });
  await visitTwice(folder);
});

test("Vite's development server serves the package as it is", async () => {
  const folder = prepare("vite");
  const { createServer } = await import(pathToFileURL(join(folder, "node_modules/vite/dist/node/index.js")));
  const server = await createServer({ root: folder, logLevel: "error", server: { port: 0, host: "127.0.0.1" } });
  await server.listen();
  const context = await site.browser.newContext();
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(server.resolvedUrls.local[0]);
    await page.waitForFunction(() => document.querySelector("#visits").textContent.startsWith("Visits: 1,"));
  } finally {
    await context.close();
    await server.close();
  }
});
