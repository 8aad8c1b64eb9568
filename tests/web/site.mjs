// A static server for the tests' folder, and a browser that looks at it.

import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const PAGE = "<!doctype html><meta charset=utf-8><title>foldb</title>";

/** What a container without a display, a sandbox or the network needs. */
const FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];

export class Site {
  /** A server, and a browser with more flags, and without some of Playwright's own. */
  static async start({ flags = [], without = [] } = {}) {
    const site = new Site();
    site.server = await serveFolder();
    site.origin = site.server.origin;
    const executablePath = process.env.FOLDB_CHROMIUM ?? "/usr/bin/chromium";
    const { chromium } = await import("playwright-core");
    site.browser = await chromium.launch({ executablePath, args: [...FLAGS, ...flags], ignoreDefaultArgs: ["--headless", ...without] });
    site.context = await site.browser.newContext();
    return site;
  }

  async stop() {
    await this.browser?.close();
    await this.server.stop();
  }

  /** A new tab. */
  async page() {
    const page = await this.context.newPage();
    await page.goto(`${this.origin}/`);
    return page;
  }

  /** Runs a function on a page, with the package and the shared list. */
  on(page, work, argument) {
    return page.evaluate(
      async ({ source, argument }) => {
        const [foldb, shared] = await Promise.all([import("/node_modules/foldb/dist/index.js"), import("/shared.mjs")]);
        return (0, eval)(`(${source})`)({ foldb, shared }, argument);
      },
      { source: String(work), argument },
    );
  }

  /** Runs a function in a new tab. */
  async run(work, argument) {
    const page = await this.page();
    try {
      return await this.on(page, work, argument);
    } finally {
      await page.close();
    }
  }

  /** What the worker of the tests says to a command. */
  inWorker(command) {
    return this.run(
      async (_, command) =>
        new Promise((resolve, reject) => {
          const worker = new Worker("/own-worker.mjs", { type: "module" });
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.onmessage = ({ data }) => resolve(data);
          worker.postMessage(command);
        }),
      command,
    );
  }
}

/** The folder of the tests, over http on a port of its own. */
export async function serveFolder() {
  const server = createServer(serve);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}

function serve(request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
  const file = join(ROOT, normalize(decodeURIComponent(pathname)));
  if (!file.startsWith(ROOT) || !existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
  // No headers that a plain static server would not send.
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
}
