#!/usr/bin/env node
// Drives Firefox for the tests: WebDriver over HTTP on one side, as far as the tests and the runner of wasm-bindgen speak it, and on
// the other side Marionette, which is part of every Firefox. That is what geckodriver does; building that one takes longer than
// most steps of a test run.
//
// xtask/src/web/firefox-driver.mjs [--port N]
//
// One session at a time. A command of WebDriver is one of Marionette with the same parameters, so there is nothing to keep but the
// browser itself and the folder of its profile, which go together: at the end of the session, and at the end of this program.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** How long Firefox may take to listen, or to end, on a machine that is busy. */
const PATIENCE_MS = 60_000;

/** What a browser does by itself that no test asked for. Marionette sets more of this, once it runs. */
const PREFERENCES = {
  "marionette.port": 0,
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** Commands of WebDriver by method and path, and what Marionette calls them. */
const COMMANDS = {
  "GET /url": "WebDriver:GetCurrentURL",
  "POST /url": "WebDriver:Navigate",
  "POST /back": "WebDriver:Back",
  "POST /refresh": "WebDriver:Refresh",
  "POST /timeouts": "WebDriver:SetTimeouts",
  "POST /execute/sync": "WebDriver:ExecuteScript",
  "POST /execute/async": "WebDriver:ExecuteAsyncScript",
  "GET /window": "WebDriver:GetWindowHandle",
  "POST /window": "WebDriver:SwitchToWindow",
  "POST /window/new": "WebDriver:NewWindow",
  "DELETE /window": "WebDriver:CloseWindow",
};

/** What is told to a client in the words of WebDriver. */
class DriverError extends Error {
  constructor(error, message) {
    super(message);
    this.error = error;
  }
}

/** A running Firefox, with the connection to its Marionette. */
class Browser {
  #process;
  #profile;
  #socket;
  #received = Buffer.alloc(0);
  #waiting = new Map();
  #lastId = 0;
  #ended;

  static async start(options) {
    const browser = new Browser();
    try {
      await browser.#start(options);
      return browser;
    } catch (error) {
      await browser.end();
      throw error;
    }
  }

  async #start({ binary = "firefox", args = [] }) {
    this.#profile = mkdtempSync(join(tmpdir(), "foldb-firefox-"));
    const preferences = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
    writeFileSync(join(this.#profile, "user.js"), preferences.join(""));
    const all = ["--marionette", "--no-remote", "--profile", this.#profile, ...args];
    this.#process = spawn(binary, all, { stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, MOZ_NO_REMOTE: "1" } });
    this.#ended = new Promise((resolve) => {
      this.#process.on("exit", (status, signal) => resolve(`Firefox has ended (${status ?? signal})`));
      this.#process.on("error", ({ message }) => resolve(`Firefox cannot be started: ${message}`));
    });
    const why = await Promise.race([this.#ended, this.#connect().then(() => undefined)]);
    if (why) throw new DriverError("session not created", why);
    this.#ended.then((why) => this.#fail(new DriverError("invalid session id", why)));
  }

  /** Connects to the port that Firefox has chosen and written into its profile. */
  async #connect() {
    const file = join(this.#profile, "MarionetteActivePort");
    for (const begin = Date.now(); !existsSync(file) || !readFileSync(file, "utf8").trim(); ) {
      if (Date.now() - begin > PATIENCE_MS) throw new DriverError("session not created", "Firefox does not listen");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    this.#socket = connect(Number(readFileSync(file, "utf8")), "127.0.0.1");
    // It greets first; that is answer number 0.
    const greeting = this.#answer(0);
    this.#socket.on("data", (bytes) => this.#read(bytes));
    this.#socket.on("error", ({ message }) => this.#fail(new DriverError("unknown error", message)));
    await greeting;
  }

  #answer(id) {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  /** Messages are JSON with their length in front, as in `4:null`. */
  #read(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (let colon; (colon = this.#received.indexOf(":")) > 0; ) {
      const end = colon + 1 + Number(this.#received.toString("utf8", 0, colon));
      if (this.#received.length < end) return;
      const message = JSON.parse(this.#received.toString("utf8", colon + 1, end));
      this.#received = this.#received.subarray(end);
      const [, id, error, result] = Array.isArray(message) ? message : [1, 0, null, message];
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new DriverError(error.error, error.message));
      else waiting?.resolve(result);
    }
  }

  async send(name, parameters = {}) {
    const id = ++this.#lastId;
    const answer = this.#answer(id);
    const message = JSON.stringify([0, id, name, parameters]);
    this.#socket.write(`${Buffer.byteLength(message)}:${message}`);
    return answer;
  }

  /** Ends the browser, by force where it does not listen, and removes its profile. */
  async end() {
    if (this.#socket) {
      this.send("Marionette:Quit", { flags: ["eForceQuit"] }).catch(() => {});
      const late = setTimeout(() => this.kill(), PATIENCE_MS);
      await this.#ended;
      clearTimeout(late);
    }
    this.kill();
    await this.#ended;
    if (this.#profile) rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10 });
  }

  kill() {
    this.#process?.kill("SIGKILL");
  }
}

let browser;
let session;

async function newSession({ capabilities = {} }) {
  if (browser) throw new DriverError("session not created", "there is a session already");
  const options = capabilities.alwaysMatch?.["moz:firefoxOptions"] ?? {};
  browser = await Browser.start(options);
  session = await browser.send("WebDriver:NewSession", {});
  return session;
}

async function endSession() {
  const ending = browser;
  browser = session = undefined;
  await ending?.end();
  return null;
}

/** What a request of WebDriver comes to. */
async function perform(method, path, parameters) {
  if (method === "GET" && path === "/status") return { ready: !browser, message: "" };
  if (method === "POST" && path === "/session") return newSession(parameters);
  const [, id, rest] = /^\/session\/([^/]+)(.*)$/.exec(path) ?? [];
  if (!browser || id !== session?.sessionId) throw new DriverError("invalid session id", `there is no session ${id}`);
  if (rest === "" && method === "GET") return session;
  if (rest === "" && method === "DELETE") return endSession();
  const command = COMMANDS[`${method} ${rest}`];
  if (!command) throw new DriverError("unknown command", `${method} ${rest} is nothing that the tests need so far`);
  const result = await browser.send(command, parameters);
  // Without a window there is no session.
  if (command === "WebDriver:CloseWindow" && Array.isArray(result) && result.length === 0) await endSession();
  return result !== null && Object.hasOwn(result, "value") ? result.value : result;
}

const server = createServer(async (request, response) => {
  let status = 200;
  let value;
  try {
    let body = "";
    for await (const piece of request.setEncoding("utf8")) body += piece;
    value = await perform(request.method, request.url, body ? JSON.parse(body) : {});
  } catch (error) {
    status = error.error === "invalid session id" || error.error === "unknown command" ? 404 : 500;
    value = { error: error.error ?? "unknown error", message: error.message, stacktrace: error.stack };
  }
  const body = JSON.stringify({ value: value ?? null });
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, async () => {
    browser?.kill();
    await endSession();
    process.exit(1);
  });
}

const { values } = parseArgs({ options: { port: { type: "string", default: "0" } } });
server.listen(Number(values.port), "127.0.0.1", () => console.log(`Listening on 127.0.0.1:${server.address().port}`));
