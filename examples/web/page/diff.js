// What differs between two runs, down to places in documents.

import { attempt, el, say } from "./dom.js";
import { count, counted, keyText, shown } from "./format.js";

const PAGE = 50;

/** A difference as rows: what, where, how. */
function* rows(diff) {
  for (const { key, change } of diff.json) {
    if ("paths" in change) {
      for (const { path, change: at } of change.paths) yield { what: `document ${keyText(key)}`, where: path || "/", change: at };
    } else {
      yield { what: `document ${keyText(key)}`, where: "", change };
    }
  }
  for (const { key, change } of diff.kv) yield { what: `key ${keyText(key)}`, where: "", change };
  for (const { stream, events } of diff.events) {
    for (const { seq, change } of events) yield { what: `event ${count(seq)}`, where: keyText(stream), change: payloads(change) };
  }
  for (const { key, change } of diff.state) yield { what: `cell ${keyText(key)}`, where: "", change };
  for (const { place, change } of diff.trace) yield { what: `trace ${count(place)}`, where: "", change };
}

/** Events without their times: those always differ. */
function payloads(change) {
  return Object.fromEntries(Object.entries(change).map(([how, event]) => [how, event.payload]));
}

const HOW = { added: "added", removed: "removed", from: "changed" };
const howOf = (change) => HOW[Object.keys(change).find((how) => how in HOW)];

function row({ what, where, change }) {
  const how = howOf(change);
  const text = how === "changed" ? `${shown(change.from)}  →  ${shown(change.to)}` : shown(change[how]);
  const name = el("span", { className: "name" }, el("span", { className: how }, { added: "+ ", removed: "− ", changed: "± " }[how]), el("span", { className: "hidden" }, `${how}: `), what);
  return el("li", { className: "plain" }, name, el("code", { className: "value", title: text.slice(0, 2000) }, where ? `${where}   ` : "", text.slice(0, 400)));
}

export async function compare(panel, db, run, info, runs) {
  const others = runs.filter(({ id }) => id !== run.id);
  if (others.length === 0) {
    const text = "There is only one run. Import the same file again, change a document of one of the two, and compare them here.";
    return panel.replaceChildren(el("p", { className: "empty" }, text));
  }
  const option = ({ id, name, number }) => el("option", { value: id }, `${name} (run ${number})`);
  const older = el("select", {}, ...runs.map(option));
  const newer = el("select", {}, ...runs.map(option));
  older.value = (others.find(({ number }) => number < info.number) ?? others[0]).id;
  newer.value = run.id;
  const button = el("button", { className: "primary" }, "Compare");
  const result = el("div", { style: "display: grid; gap: 1rem" });
  const form = el("form", { className: "compare" }, el("label", { className: "field" }, "From", older), el("label", { className: "field" }, "To", newer), button);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("Comparing the runs", async () => {
      const begin = performance.now();
      const found = [...rows(await db.diff(older.value, newer.value))];
      show(result, found, performance.now() - begin);
    });
  });
  panel.replaceChildren(form, result);
}

function show(result, found, millis) {
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const { change } of found) counts[howOf(change)]++;
  const text = found.length === 0 ? "No difference: both hold the same." : counted(found.length, "difference");
  say(text);
  const tiles = Object.entries(counts).map(([how, number]) => el("div", {}, el("dt", { className: how }, how), el("dd", {}, count(number))));
  const list = el("ul", { className: "list wide" }, ...found.slice(0, PAGE).map(row));
  const more = el("button", { type: "button" }, `Show ${PAGE} more`);
  more.hidden = found.length <= PAGE;
  more.addEventListener("click", () => {
    const there = list.childElementCount;
    list.append(...found.slice(there, there + PAGE).map(row));
    more.hidden = list.childElementCount >= found.length;
  });
  const head = el("p", { role: "status" }, el("strong", {}, text), el("span", { className: "hint" }, ` found in ${millis.toFixed(0)} ms`));
  result.replaceChildren(head, ...(found.length ? [el("dl", { className: "tiles" }, ...tiles), list, more] : []));
}
