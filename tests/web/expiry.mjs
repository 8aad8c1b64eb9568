// What both forms of the API promise of times to live. Part of the list in shared.mjs. Nothing here waits: what is to be over is given a
// time that is past.

import { chain, equal, fails } from "./expect.mjs";

const HOUR_MS = 3_600_000;
/** A time far ahead, and one long past, in microseconds. */
const LATER = 4_000_000_000_000_000;
const PAST = 1_000_000;

/** Pairs, documents and cells of a place, each with how one is written. */
const families = (place) => [
  [place.kv, (key, value, options) => place.kv.put(key, value, options), (key) => place.kv.get(key)],
  [place.json, (key, value, options) => place.json.set(key, value, options), (key) => place.json.get(key)],
  [place.state, (key, value, options) => place.state.set(key, value, options), async (key) => (await place.state.get(key))?.value],
];

export const expiry = {
  async pairs_documents_and_cells_are_over_at_their_time(db) {
    const run = await db.runs.begin({ name: "r" });
    for (const [store, put, get] of [...families(db), ...families(run)]) {
      await put("a", "plain");
      equal([await store.expiresAt("a"), await store.ttl("a"), await store.expiresAt("none"), await store.ttl("none")], [undefined, undefined, undefined, undefined]);
      await put("a", "for an hour", { ttlMs: HOUR_MS });
      const [left, until] = [await store.ttl("a"), await store.expiresAt("a")];
      equal([left > HOUR_MS - 600_000, left <= HOUR_MS, until > 1.6e15, await get("a")], [true, true, true, "for an hour"]);
      await put("a", "until then", { expiresAtMicros: LATER });
      equal(await store.expiresAt("a"), LATER);
      await put("a", "as long", { keepTtl: true });
      equal([await store.expiresAt("a"), await get("a")], [LATER, "as long"]);
      equal([await store.persist("a"), await store.persist("a"), await store.expiresAt("a")], [true, false, undefined]);
      equal([await store.touch("a", HOUR_MS), await store.touch("none", HOUR_MS)], [true, false]);
      equal((await store.ttl("a")) > HOUR_MS - 600_000, true);
      equal([await store.expireAt("a", LATER), await store.expireAt("none", LATER), await store.expiresAt("a")], [true, false, LATER]);
      equal(await get("a"), "as long", "the value, whose time was moved");
      await put("a", "for ever", {});
      equal(await store.expiresAt("a"), undefined);
      equal(await store.touch("a", HOUR_MS), true);
      await put("a", "for ever", { keepTtl: false, ttlMs: undefined });
      equal(await store.expiresAt("a"), undefined);
      equal(await store.expireAt("a", PAST), true);
      equal([await get("a"), await store.exists("a"), await store.count(), await store.keys(), await store.expiresAt("a")], [undefined, false, 0, [], undefined]);
      equal([await store.touch("a", HOUR_MS), await store.persist("a")], [false, false], "what is over is not there");
    }
  },

  async what_changes_a_value_leaves_its_time_and_what_replaces_it_does_not(db) {
    const kept = { expiresAtMicros: LATER };
    await db.kv.put("a", 1, kept);
    await db.state.set("a", 1, kept);
    await db.json.set("a", { n: 1 }, kept);
    equal(await db.kv.update("a", (value) => value + 1), 2);
    equal(await db.state.update("a", (value) => value + 1), { counter: 2, value: 2 });
    equal(await db.state.transition("a", (value) => value + 1), { counter: 3, value: 3 });
    equal(await db.state.transitionOrInit("a", 0, (value) => value + 1), { counter: 4, value: 4 });
    equal(await db.json.update("a", ({ n }) => ({ n: n + 1 })), { n: 2 });
    await db.json.setAt("a", "/n", 3);
    equal([await db.kv.expiresAt("a"), await db.state.expiresAt("a"), await db.json.expiresAt("a")], [LATER, LATER, LATER]);
    equal(await db.state.transitionOrInit("new", 0, (value) => value + 1), { counter: 2, value: 1 });
    await db.kv.rename("a", "b");
    equal(await db.kv.expiresAt("b"), LATER);
    await db.kv.getAndPut("b", 3);
    equal([await db.kv.expiresAt("b"), await db.state.cas("a", 4, 5), await db.state.expiresAt("a")], [undefined, 5, undefined]);
  },

  async a_lock_that_is_over_can_be_taken(db) {
    await db.kv.putIfAbsent("lock", "one", { ttlMs: HOUR_MS });
    await db.state.init("leader", "one", { ttlMs: HOUR_MS });
    await fails("Precondition", () => db.kv.putIfAbsent("lock", "two", { ttlMs: HOUR_MS }));
    await fails("Precondition", () => db.state.init("leader", "two", { ttlMs: HOUR_MS }));
    await db.kv.expireAt("lock", PAST);
    await db.state.expireAt("leader", PAST);
    await db.kv.putIfAbsent("lock", "two", { ttlMs: HOUR_MS });
    await db.state.init("leader", "two", { ttlMs: HOUR_MS });
    equal([await db.kv.get("lock"), await db.state.get("leader")], ["two", { counter: 1, value: "two" }]);
    equal([(await db.kv.ttl("lock")) > 0, (await db.state.ttl("leader")) > 0], [true, true]);
    await db.kv.putIfAbsent("other", 1, {});
    await db.state.init("other", 1, {});
    equal([await db.kv.expiresAt("other"), await db.state.expiresAt("other")], [undefined, undefined]);
  },

  async a_transaction_writes_times_whole_or_not_at_all(db) {
    const write = (tx) =>
      chain(tx.kv.put("a", 1, { expiresAtMicros: LATER }), () =>
        chain(tx.json.set("a", {}, { ttlMs: HOUR_MS }), () =>
          chain(tx.state.set("a", 1, { keepTtl: true }), () =>
            chain(tx.kv.putIfAbsent("b", 1, { ttlMs: HOUR_MS }), () => chain(tx.kv.touch("a", HOUR_MS), (there) => chain(tx.kv.expireAt("a", LATER + 1), () => chain(tx.kv.expiresAt("a"), (micros) => [there, micros])))),
          ),
        ),
      );
    const own = new Error("mine");
    let thrown;
    try {
      await db.transaction((tx) => chain(write(tx), () => { throw own; }));
    } catch (error) {
      thrown = error;
    }
    equal([thrown === own, await db.kv.count(), await db.json.count()], [true, 0, 0]);
    equal(await db.transaction(write), [true, LATER + 1]);
    equal([await db.kv.expiresAt("a"), (await db.json.ttl("a")) > 0, await db.state.expiresAt("a"), (await db.kv.ttl("b")) > 0], [LATER + 1, true, undefined, true]);
    const view = await db.view();
    equal([await view.kv.expiresAt("a"), (await view.json.ttl("a")) > 0], [LATER + 1, true]);
    await fails("Unsupported", () => view.kv.touch("a", HOUR_MS));
  },

  async a_sweep_removes_what_is_over_and_says_how_much(db) {
    const run = await db.runs.begin({ name: "r" });
    const ended = await db.runs.begin({ name: "e" });
    for (const [, put] of [...families(db), ...families(run), ...families(ended)]) {
      await put("over", 1, { expiresAtMicros: PAST });
      await put("stays", 1, { ttlMs: HOUR_MS });
    }
    await ended.end();
    const heard = db.subscribe();
    equal(await run.sweepExpired(2), { entries: 2, isComplete: false });
    equal((await heard.next()).value.changes.map(({ run, key }) => [run, key]), [[run.id, "over"], [run.id, "over"]]);
    await heard.return();
    equal(await db.sweepExpired(100), { entries: 4, isComplete: true });
    equal(await db.sweepExpired(100), { entries: 0, isComplete: true });
    await fails("RunEnded", () => ended.sweepExpired(1));
    equal([await db.kv.keys(), await run.state.keys()], [["stays"], ["stays"]]);
  },

  async a_time_that_is_none_is_refused_before_anything_is_written(db) {
    for (const [store, put] of families(db)) {
      const refused = [{ ttlMs: 0 }, { ttlMs: -1 }, { ttlMs: 0.5 }, { ttlMs: "1" }, { expiresAtMicros: 0 }, { expiresAtMicros: new Date() }];
      for (const options of [...refused, { keepTtl: 1 }, { ttlMs: 1, keepTtl: true }, { ttlMs: 1, expiresAtMicros: LATER }, { ttl: 1 }, 7, null]) {
        await fails("Invalid", () => put("a", 1, options));
      }
      await fails("Invalid", () => store.touch("a", 0));
      await fails("Invalid", () => store.touch("a"));
      await fails("Invalid", () => store.expireAt("a", 0));
      await fails("Invalid", () => store.touch("a", 1, 2));
      equal(await store.count(), 0);
    }
    for (const options of [{ ttlMs: 0 }, { keepTtl: true }, { expiresAtMicros: LATER }, null]) {
      await fails("Invalid", () => db.kv.putIfAbsent("a", 1, options));
      await fails("Invalid", () => db.state.init("a", 1, options));
    }
    await fails("Invalid", () => db.sweepExpired(-1));
    await fails("Invalid", () => db.sweepExpired());
    equal((await db.view()).seq, 0);
    await db.kv.put("a", 1);
  },
};
