// The page: which store is open, which run is chosen, what is shown of it.
//
// Invariant: nothing is kept here that the store does not have. What is shown was read from it, and is read again whenever
// it says that something was committed.

import { destroy, importStore, list, open } from "foldb";

import { compare } from "./diff.js";
import { $, attempt, complain, el, hush, say } from "./dom.js";
import { count, counted, duration, size, time } from "./format.js";
import { importLines } from "./importer.js";
import * as meter from "./meter.js";
import { documents, events, keys } from "./pages.js";
import { replay } from "./replay.js";

const FIRST_STORE = "playground";
/** The one thing that is not in a store: which one was open last. */
const CHOSEN = "foldb-example-store";
const PANELS = { documents, events, keys, replay, diff: compare };

let db;
let openedMillis = 0;
let runs = [];
let chosen;
let panel = "documents";
let cancel;

/** What needs an open store. */
const NEEDS_STORE = ["export", "destroy", "file", "sample", "sample-first"];

/** Opens a store and shows it. */
async function show(name) {
  const begin = performance.now();
  db = undefined;
  chosen = undefined;
  runs = [];
  settle("opening");
  try {
    db = await open(name);
  } catch (error) {
    // Nothing of the store before stays: whoever sees it would work on it. Another one can still be chosen.
    settle("closed");
    for (const id of ["welcome", "run"]) $(id).hidden = true;
    showRuns();
    $("facts").replaceChildren(el("div", {}, el("dt", {}, "State"), el("dd", {}, "Not open", el("small", {}, name))));
    await showStores(name);
    throw error;
  }
  openedMillis = performance.now() - begin;
  localStorage.setItem(CHOSEN, name);
  db.onCommit({}, hear);
  await Promise.all([showStores(name), refresh()]);
  settle("open");
}

function settle(state) {
  for (const id of NEEDS_STORE) $(id).disabled = state !== "open";
  document.body.dataset.state = state;
}

async function showStores(name) {
  const names = new Set([...(await list()), name]);
  $("store").replaceChildren(...[...names].sort().map((other) => el("option", { value: other, selected: other === name }, other)));
}

/** Shows everything anew. */
async function refresh() {
  await refreshAround();
  if (chosen) await showRun();
}

/** Shows anew what surrounds the run's content: nobody loses the place where they are. */
async function refreshAround() {
  runs = await db.runs.list({ newestFirst: true });
  if (!runs.some(({ id }) => id === chosen)) chosen = runs[0]?.id;
  $("welcome").hidden = runs.length > 0;
  $("run").hidden = runs.length === 0;
  showRuns();
  await Promise.all([showFacts(), chosen ? showHead(chosen) : undefined]);
}

let heard;

/** Something was committed. An import commits often; figures that change twice a second are enough for anybody. */
function hear() {
  const store = db;
  heard ??= setTimeout(() => {
    heard = undefined;
    if (db === store && store) refreshAround().catch(() => {});
  }, 500);
}

async function showFacts() {
  const stats = await db.stats();
  const bytes = stats.logBytes + stats.snapshots.reduce((sum, [, bytes]) => sum + bytes, 0);
  const kept = stats.persisted ? ["Kept", "the browser has promised not to evict it"] : ["Evictable", "if the disk fills, the browser may delete it"];
  const facts = [
    ["State", db.created ? "Created" : "Opened", `in ${duration(openedMillis)}, ${db.created ? "nothing was there" : `with ${counted(db.recovery.seq, "commit")}`}`],
    ["Commits", count(stats.seq), `${count(stats.durableSeq)} on stable media`],
    ["On disk", size(bytes), `${counted(stats.segments.length, "segment")}, ${counted(stats.snapshots.length, "snapshot")}`],
    ["This site's storage", stats.usageBytes === undefined ? "unknown" : size(stats.usageBytes), stats.quotaBytes ? `of ${size(stats.quotaBytes)}` : ""],
    ["Persistence", ...kept],
  ];
  $("facts").replaceChildren(...facts.map(([name, value, more]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, el("small", {}, more)))));
}

function showRuns() {
  const focused = document.activeElement?.dataset?.run;
  if (runs.length === 0) return $("runs").replaceChildren(el("li", { className: "hint" }, db ? "None yet." : "No store is open."));
  $("runs").replaceChildren(
    ...runs.map(({ id, name, status, commits, beganMicros }) => {
      const button = el(
        "button",
        { type: "button", "aria-current": String(id === chosen) },
        el("strong", {}, name),
        el("span", { className: "status", "data-status": status }, status),
        el("small", {}, `${counted(commits, "commit")}, ${time(beganMicros)}`),
      );
      button.dataset.run = id;
      button.addEventListener("click", () => attempt("Showing the run", () => choose(id)));
      return el("li", {}, button);
    }),
  );
  if (focused) $("runs").querySelector(`[data-run="${focused}"]`)?.focus();
}

async function choose(id) {
  chosen = id;
  for (const button of $("runs").querySelectorAll("button")) button.setAttribute("aria-current", String(button.dataset.run === id));
  await showRun();
}

async function showRun() {
  const id = chosen;
  const shown = await showHead(id);
  if (shown && id === chosen) await showPanel(shown.run, shown.info);
}

async function showHead(id) {
  const run = await db.runs.get(id);
  const info = await run.info();
  if (id !== chosen) return undefined;
  $("run-name").textContent = info.name;
  const end = info.endedMicros ? `${info.status} ${time(info.endedMicros)}` : info.status;
  $("run-facts").textContent = `Run ${info.number}, ${end}${info.message ? `: ${info.message}` : ""}. Commits ${count(info.firstSeq)} to ${count(info.lastSeq)}.`;
  $("life").textContent = info.status === "active" ? "End the run" : "Resume the run";
  $("life").onclick = () => attempt("Changing the run", () => changeLife(run, info));
  return { run, info };
}

async function changeLife(run, info) {
  await (info.status === "active" ? run.end() : run.resume());
  say(info.status === "active" ? "The run has ended." : "The run is active again and takes writes.");
  await refreshAround();
}

async function showPanel(run, info) {
  for (const name of Object.keys(PANELS)) {
    $(name).hidden = name !== panel;
    const tab = $(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === panel));
    tab.tabIndex = name === panel ? 0 : -1;
  }
  await PANELS[panel]($(panel), db, run, info, runs);
}

/** Tabs: arrows move and choose, as in every tab list. */
function listenToTabs() {
  const names = Object.keys(PANELS);
  for (const [place, name] of names.entries()) {
    const select = (name) => {
      panel = name;
      return attempt("Showing the run", showRun);
    };
    $(`tab-${name}`).addEventListener("click", () => select(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: names.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = names[(to + names.length) % names.length];
      $(`tab-${next}`).focus();
      select(next);
    });
  }
}

async function importFile(blob, name) {
  if (cancel || !db) return;
  cancel = new AbortController();
  const begin = performance.now();
  $("importing").hidden = false;
  $("progress").value = 0;
  const told = (bytes, rows) => {
    $("progress").value = blob.size ? bytes / blob.size : 1;
    $("progress-text").textContent = `${counted(rows, "row")} of ${name}`;
    meter.show();
  };
  try {
    const done = await importLines(db, blob, { name, key: $("key").value.trim(), told, signal: cancel.signal });
    chosen = done.id;
    say(`${done.outcome} from ${name} in ${duration(performance.now() - begin)}.`);
  } catch (error) {
    chosen = error.run ?? chosen;
    complain(error, `Importing ${name}`);
  } finally {
    cancel = undefined;
    $("importing").hidden = true;
    meter.show();
    await attemptQuietly(refresh);
  }
}

/** Keeps the message that is shown. */
async function attemptQuietly(work) {
  try {
    await work();
  } catch (error) {
    complain(error, "Reading the store");
  }
}

async function importSample() {
  const response = await fetch("/data/strikes.jsonl");
  if (!response.ok) throw new Error(`the server has no sample (status ${response.status}); start the page by cargo xtask web`);
  await importFile(await response.blob(), "strikes.jsonl");
}

async function exportStore() {
  const begin = performance.now();
  const blob = await db.export();
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: `${db.name}.tar` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  say(`Saved ${size(blob.size)} in ${duration(performance.now() - begin)}: a tar that foldb import-store and this page read.`);
}

async function openFile(file) {
  const wanted = file.name.replace(/\.tar$/, "").toLowerCase().replace(/[^a-z0-9-]+/g, "-") || "imported";
  const names = await list();
  let name = wanted;
  for (let number = 2; names.includes(name); number++) name = `${wanted}-${number}`;
  const begin = performance.now();
  const { seq } = await importStore(name, file);
  const took = duration(performance.now() - begin);
  await db?.close();
  await show(name);
  say(`Opened ${file.name} as ${name}: ${counted(seq, "commit")}, every checksum holds, in ${took}.`);
}

async function destroyStore() {
  const { name } = db;
  $("confirm-text").textContent = `${name} and all that it holds will be gone from this browser. Nothing brings it back.`;
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  await new Promise((resolve) => $("confirm").addEventListener("close", resolve, { once: true }));
  if ($("confirm").returnValue !== "yes") return;
  await db.close();
  await destroy(name);
  const [next] = await list();
  await show(next ?? FIRST_STORE);
  say(`${name} was deleted.`);
}

/** Listens to a file chooser; the same file can be chosen again. */
function onFile(id, what, work) {
  $(id).addEventListener("change", async () => {
    const [file] = $(id).files;
    if (file) await attempt(what, () => work(file));
    $(id).value = "";
  });
}

function listen() {
  onFile("file", "Importing the file", (file) => importFile(file, file.name));
  onFile("import-store", "Opening the file", openFile);
  for (const id of ["sample", "sample-first"]) $(id).addEventListener("click", () => attempt("Importing the sample", importSample));
  $("cancel").addEventListener("click", () => cancel?.abort());
  $("export").addEventListener("click", () => attempt("Saving the store", exportStore));
  $("destroy").addEventListener("click", () => attempt("Deleting the store", destroyStore));
  $("store").addEventListener("change", () =>
    attempt("Opening the store", async () => {
      await db?.close();
      await show($("store").value);
    }),
  );
  listenToTabs();
}

listen();
meter.show();
hush();
await attempt("Opening the store", () => show(localStorage.getItem(CHOSEN) ?? FIRST_STORE));
