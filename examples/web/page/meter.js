// What this page has really done: commits, rows, entries read, and how long each took.

import { $, el } from "./dom.js";
import { count, duration } from "./format.js";

const done = { commits: 0, rows: 0, commitMillis: 0, read: 0, reads: 0, readMillis: 0 };
let replayed;

/** Waits for a commit of so many rows. */
export async function committing(rows, work) {
  const begin = performance.now();
  const result = await work();
  done.commitMillis += performance.now() - begin;
  done.commits++;
  done.rows += rows;
  return result;
}

/** Waits for a read; `entries` says how many entries came of it. */
export async function reading(work, entries = (result) => result.length) {
  const begin = performance.now();
  const result = await work();
  done.readMillis += performance.now() - begin;
  done.reads++;
  done.read += entries(result);
  show();
  return result;
}

export function replaying(transactions, millis) {
  replayed = { transactions, millis };
  show();
}

const rate = (number, millis) => (millis > 0 ? `${count(Math.round((number * 1000) / millis))}/s` : "none yet");

export function show() {
  const rows = [
    ["Rows imported", rate(done.rows, done.commitMillis)],
    ["Commits", rate(done.commits, done.commitMillis)],
    ["Entries read", rate(done.read, done.readMillis)],
    ["One read", done.reads ? duration(done.readMillis / done.reads) : "none yet"],
    ["Last replay", replayed ? `${count(replayed.transactions)} in ${duration(replayed.millis)}` : "none yet"],
  ];
  $("speed").replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
