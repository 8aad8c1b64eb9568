// A browser that is to be killed, with a profile that outlives it, and the server that it gets the package from.

import { spawn } from "node:child_process";
import { createReadStream, existsSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
// `--no-sandbox` for root; the rest keeps a browser without a display and without a network quiet.
const FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--remote-debugging-port=0"];

/**
 * Serves the package. `told` has what is done when a page asks for a path, with the parameters, before it is answered; what that
 * returns is the answer.
 */
export async function serve(told) {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    if (pathname === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>kill</title>");
    if (Object.hasOwn(told, pathname)) {
      const answer = told[pathname](searchParams);
      return response.writeHead(answer ? 200 : 204).end(answer);
    }
    const file = join(ROOT, normalize(pathname));
    if (!file.startsWith(ROOT) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Whatever has become of a test: no process, no server and no profile is left of it. */
export async function clearAway(victim, server, profile) {
  victim?.kill();
  await victim?.dead;
  server.closeAllConnections();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** A browser in a process group of its own, with its profile in `profile`. */
export class Victim {
  constructor(profile) {
    const program = process.env.FOLDB_CHROMIUM ?? "/usr/bin/chromium";
    this.port = join(profile, "DevToolsActivePort");
    rmSync(this.port, { force: true });
    // The lock of a browser that was killed names a process that is gone; the next one takes it over.
    this.process = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], { detached: true, stdio: "ignore" });
    this.dead = new Promise((resolve) => this.process.once("exit", resolve));
  }

  async page(address) {
    const deadline = Date.now() + 120_000;
    while (!existsSync(this.port) || !readFileSync(this.port, "utf8").includes("\n")) {
      if (Date.now() > deadline) throw new Error("the browser does not start");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const [port] = readFileSync(this.port, "utf8").split("\n");
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${port}`);
    const page = browser.contexts()[0].pages()[0] ?? (await browser.contexts()[0].newPage());
    await page.goto(address);
    return page;
  }

  /** Every process of the browser, at once, with no chance to clean up. */
  kill() {
    try {
      process.kill(-this.process.pid, "SIGKILL");
    } catch (error) {
      if (error.code !== "ESRCH") throw error;
    }
  }
}
