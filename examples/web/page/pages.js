// Lists that are read a page at a time: a run with a hundred thousand documents costs what one page costs.

import { attempt, el } from "./dom.js";
import { count, counted, keyText, shown, time } from "./format.js";
import { parseJson } from "./json.js";
import { reading } from "./meter.js";

const PAGE = 25;

/**
 * A pager in `panel`. `read(after, limit)` gives items, of which `mark(item)` is the cursor; `row(item)` shows one; `total`
 * counts them all.
 */
async function pager(panel, { what, nothing, total, read, mark, row }) {
  const all = await total();
  if (all === 0) return panel.replaceChildren(el("p", { className: "empty" }, nothing));
  const list = el("ul", { className: "list" });
  const back = el("button", { type: "button" }, "Previous");
  const on = el("button", { type: "button" }, "Next");
  const where = el("span", { role: "status" });
  // The cursors of the pages before this one.
  const before = [];
  let after;
  const show = async () => {
    const items = await reading(() => read(after, PAGE));
    const first = before.length * PAGE + 1;
    list.replaceChildren(...items.map(row));
    where.textContent = `${count(first)} to ${count(first + items.length - 1)} of ${counted(all, what)}`;
    // A button that loses its use must not lose the keyboard's place.
    const focus = document.activeElement;
    back.disabled = before.length === 0;
    on.disabled = first + items.length > all;
    if (focus === on && on.disabled) back.focus();
    if (focus === back && back.disabled) on.focus();
    show.last = items.at(-1);
  };
  on.addEventListener("click", () =>
    attempt("Reading the next page", async () => {
      before.push(after);
      after = mark(show.last);
      await show();
    }),
  );
  back.addEventListener("click", () =>
    attempt("Reading the page before", async () => {
      after = before.pop();
      await show();
    }),
  );
  const bar = el("nav", { className: "pager", "aria-label": `Pages of ${what}s` }, where, el("span", { className: "row" }, back, on));
  panel.replaceChildren(list, bar);
  await show();
}

/** A line that opens. What is inside is made when it is opened. */
function opening(name, value, inside) {
  const details = el("details", {}, el("summary", {}, el("code", { className: "name" }, name), el("code", { className: "value" }, value)));
  details.addEventListener("toggle", () => details.open && details.childElementCount === 1 && details.append(...inside()), { once: true });
  return el("li", {}, details);
}

const short = (value) => shown(value).slice(0, 300);

export function documents(panel, db, run) {
  return pager(panel, {
    what: "document",
    nothing: "This run has no documents. They are made of lines that have the field that was given as key.",
    total: () => run.json.count(),
    read: (after, limit) => run.json.list({ after, limit }),
    mark: (entry) => entry.key,
    row: (entry) => opening(keyText(entry.key), short(entry.document), () => documentParts(run, entry)),
  });
}

/** A document, and a form that changes one place in it. */
function documentParts(run, entry) {
  const text = el("pre", { tabIndex: 0, "aria-label": `Document ${keyText(entry.key)}` }, shown(entry.document, 2));
  const path = el("input", { value: "", placeholder: "/species", spellcheck: false, autocomplete: "off" });
  const value = el("input", { value: "", placeholder: '"Barn owl"', spellcheck: false, autocomplete: "off" });
  const form = el(
    "form",
    {},
    el("label", { className: "field" }, "Place (JSON Pointer)", path),
    el("label", { className: "field" }, "New value (JSON)", value),
    el("button", {}, "Set"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("Changing the document", async () => {
      await run.json.setAt(entry.key, path.value, parseJson(value.value));
      text.textContent = shown(await run.json.get(entry.key), 2);
    });
  });
  return [text, form];
}

export async function events(panel, db, run) {
  const streams = await reading(() => run.events.streams({ limit: 50 }));
  if (streams.length === 0) {
    return panel.replaceChildren(el("p", { className: "empty" }, "This run has no events."));
  }
  const [stream] = streams;
  const inside = el("div", { role: "group", style: "display: grid; gap: 1rem" });
  const choice = el("select", { id: "stream" }, ...streams.map(({ stream }) => el("option", { value: keyText(stream) }, keyText(stream))));
  const show = (stream) =>
    pager(inside, {
      what: "event",
      nothing: "This stream is empty.",
      total: async () => stream.events,
      read: (after, limit) => run.events.range(stream.stream, { from: (after ?? stream.first - 1) + 1, limit }),
      mark: (event) => event.seq,
      row: (event) =>
        opening(`${count(event.seq)}  ${event.kind}`, short(event.payload), () => [
          el("pre", { tabIndex: 0, "aria-label": `Event ${event.seq}` }, `${time(event.timeMicros)}\n${shown(event.payload, 2)}`),
        ]),
    });
  choice.addEventListener("change", () => attempt("Reading the stream", () => show(streams[choice.selectedIndex])));
  const label = el("label", { htmlFor: "stream", className: "hint" }, "Stream ");
  panel.replaceChildren(...(streams.length > 1 ? [el("div", { className: "row" }, label, choice)] : []), inside);
  await show(stream);
}

export async function keys(panel, db, run) {
  const pairs = el("div", { style: "display: grid; gap: 1rem" });
  const cells = await reading(() => run.state.list({ limit: PAGE }));
  await pager(pairs, {
    what: "key",
    nothing: "This run has no pairs.",
    total: () => run.kv.count(),
    read: (after, limit) => run.kv.scan({ after, limit }),
    mark: (pair) => pair.key,
    row: (pair) => opening(keyText(pair.key), short(pair.value), () => [el("pre", { tabIndex: 0, "aria-label": "Value" }, shown(pair.value, 2))]),
  });
  const rows = cells.map(({ key, counter, value }) =>
    opening(keyText(key), short(value), () => [
      el("pre", { tabIndex: 0, "aria-label": `Cell ${keyText(key)}` }, `changed ${counted(counter, "time")}\n${shown(value, 2)}`),
    ]),
  );
  const nothing = el("p", { className: "empty" }, "This run has no cells.");
  panel.replaceChildren(el("h3", {}, "Pairs"), pairs, el("h3", {}, "State cells"), rows.length ? el("ul", { className: "list" }, ...rows) : nothing);
}
