// What long work promises in both forms of the API: it tells how far it is, and it can be cancelled. A part of the shared list.

import { equal, fails } from "./expect.mjs";

/** A store of several megabytes, with a few runs. */
async function fill(db) {
  for (let number = 0; number < 5; number++) {
    const run = await db.runs.begin({ name: `run ${number}` });
    await run.kv.putMany(Array.from({ length: 20 }, (_, at) => [`key ${at}`, new Uint8Array(40_000).fill(at)]));
    await run.events.append("log", "line", number);
  }
}

/** Every step is behind the one before, and the last is the end. */
function whole(steps, what) {
  equal(steps.length > 2, true, `${what}: ${steps.length} steps`);
  for (let at = 1; at < steps.length; at++) {
    const [before, step] = [steps[at - 1], steps[at]];
    if (step.done < before.done) throw new Error(`${what}: ${step.done} after ${before.done}`);
    if (step.done > step.total) throw new Error(`${what}: ${step.done} of ${step.total}`);
  }
  const last = steps.at(-1);
  equal(last.done, last.total, `${what}: the end`);
}

/** Runs work in every way in which it can be ended before its time. */
async function ended(work) {
  const early = AbortSignal.abort("not wanted");
  const error = await fails("Cancelled", () => work({ signal: early }));
  equal([error.code, error.cause], ["Cancelled", "not wanted"]);
  for (const steps of [1, 2, 4]) {
    const controller = new AbortController();
    let told = 0;
    const onProgress = () => {
      if (++told === steps) controller.abort(new RangeError("enough"));
    };
    const { cause } = await fails("Cancelled", () => work({ signal: controller.signal, onProgress }));
    equal([cause.message, told], ["enough", steps], "it ends at the step at which it was cancelled");
  }
  let thrown;
  const failing = () => {
    throw new TypeError("a mistake of the caller's");
  };
  try {
    await work({ onProgress: failing });
  } catch (error) {
    thrown = error;
  }
  equal([thrown?.name, thrown?.message], ["TypeError", "a mistake of the caller's"], "what onProgress throws");
}

export const longWork = {
  async a_verification_tells_how_far_it_is_and_can_be_cancelled(db) {
    await fill(db);
    const steps = [];
    const report = await db.verify({ onProgress: (progress) => steps.push(progress) });
    equal([report.violations, report.spaces], [[], 6]);
    whole(steps, "verify");
    equal([...new Set(steps.map(({ phase }) => phase))], ["log", "snapshots", "replaying", "verified"]);
    await ended((options) => db.verify(options));
    equal((await db.verify({ signal: new AbortController().signal })).violations, [], "one that nobody aborts");
    // Whoever is told may use the store.
    let seen = 0;
    await db.verify({ onProgress: () => Promise.resolve(db.kv.put("seen", ++seen)).catch(() => {}) });
    equal(await db.kv.get("seen"), seen);
  },

  async an_export_tells_how_far_it_is_and_can_be_cancelled(db) {
    await fill(db);
    const steps = [];
    const blob = await db.export({ onProgress: (progress) => steps.push(progress) });
    whole(steps, "export");
    equal(blob.size > 4_000_000, true, `${blob.size} bytes`);
    await ended((options) => db.export(options));
    // What was cancelled has left nothing: the next is as if there had been none.
    equal((await db.export()).size, blob.size);
    // Commits go on, and are not part of it.
    let commits = 0;
    const during = await db.export({ onProgress: () => Promise.resolve(db.kv.put(`during ${++commits}`, 1)).catch(() => {}) });
    equal(commits > 2, true);
    equal(during.size < blob.size + 4096 * commits, true);
  },
};
