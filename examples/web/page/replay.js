// A run as its log makes it, at its end or at any commit before.

import { attempt, el, newest, say } from "./dom.js";
import { count, counted, duration, keyText, shown } from "./format.js";
import { replaying } from "./meter.js";

const SHOWN = 8;
const STEP_MILLIS = 250;

export async function replay(panel, db, run, info) {
  const slider = el("input", { type: "range", id: "at", min: info.firstSeq, max: info.lastSeq, step: 1, value: info.lastSeq });
  const where = el("output", { htmlFor: "at" });
  const took = el("span", { className: "hint" });
  const first = el("button", { type: "button" }, "First");
  const back = el("button", { type: "button" }, "Back");
  const on = el("button", { type: "button" }, "Forward");
  const play = el("button", { type: "button", className: "primary" }, "Play");
  const tiles = el("dl", { className: "tiles" });
  const proof = el("p", { className: "hint", role: "status" });
  const newestDocuments = el("ul", { className: "list" });
  let timer;

  const show = newest(async () => {
    const at = Number(slider.value);
    const begin = performance.now();
    const view = await db.replay(run.id, at);
    try {
      const [documents, streams, pairs, cells, last] = await Promise.all([
        view.json.count(),
        view.events.streams({ limit: 50 }),
        view.kv.count(),
        view.state.count(),
        view.json.list({ limit: SHOWN, reverse: true }),
      ]);
      const millis = performance.now() - begin;
      replaying(view.transactions, millis);
      const place = `commit ${count(at)} of ${count(info.firstSeq)} to ${count(info.lastSeq)}`;
      where.value = `At ${place}`;
      slider.setAttribute("aria-valuetext", place);
      took.textContent = `${counted(view.transactions, "transaction")} folded again in ${duration(millis)}`;
      const events = streams.reduce((sum, { events }) => sum + events, 0);
      const facts = [["Documents", documents], ["Events", events], ["Keys", pairs], ["State cells", cells]];
      tiles.replaceChildren(...facts.map(([name, number]) => el("div", {}, el("dt", {}, name), el("dd", {}, count(number)))));
      newestDocuments.replaceChildren(
        ...last.map(({ key, document }) =>
          el("li", { className: "plain" }, el("code", { className: "name" }, keyText(key)), el("code", { className: "value" }, shown(document).slice(0, 300))),
        ),
      );
      if (last.length === 0) newestDocuments.replaceChildren(el("li", { className: "plain" }, "No documents at this commit."));
      back.disabled = first.disabled = at <= info.firstSeq;
      on.disabled = at >= info.lastSeq;
      if (at < info.lastSeq) proof.textContent = "";
      else await prove(view);
    } finally {
      await view.release();
    }
  });

  async function prove(view) {
    const [replayed, live] = await Promise.all([view.digest(), db.digest(run.id)]);
    const same = replayed === live;
    proof.textContent = same
      ? `The replay and the live state are the same, to the last byte: ${live.slice(0, 16)}…`
      : "The replay differs from the live state. Another commit came meanwhile, or the store is damaged: verify it.";
  }

  const go = (to) => {
    slider.value = to;
    return attempt("The replay", show);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = undefined;
    play.textContent = "Play";
  };
  const steps = Math.max(1, Math.round((info.lastSeq - info.firstSeq) / 40));
  const step = async () => {
    const at = Number(slider.value);
    if (at >= info.lastSeq || !panel.isConnected || panel.hidden) return stop();
    await go(Math.min(info.lastSeq, at + steps));
    if (timer !== undefined) timer = setTimeout(step, STEP_MILLIS);
  };
  slider.addEventListener("input", () => attempt("The replay", show));
  first.addEventListener("click", () => go(info.firstSeq));
  back.addEventListener("click", () => go(Number(slider.value) - 1));
  on.addEventListener("click", () => go(Number(slider.value) + 1));
  play.addEventListener("click", async () => {
    if (timer !== undefined) return stop();
    play.textContent = "Pause";
    if (Number(slider.value) >= info.lastSeq) await go(info.firstSeq);
    timer = setTimeout(step, STEP_MILLIS);
    say("Playing the run from its log.");
  });
  panel.replaceChildren(
    el("p", { className: "hint" }, "Folded from the log and from nothing else. Move through its commits: what did the run know at each?"),
    el(
      "div",
      { className: "timeline" },
      el("label", { htmlFor: "at", className: "where" }, where, took),
      slider,
      el("div", { className: "row" }, first, back, on, play),
    ),
    tiles,
    proof,
    el("h3", {}, "Last documents, by key"),
    newestDocuments,
  );
  await show();
}
