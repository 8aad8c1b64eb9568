// Ranges of keys and what is done with all that they have, and runs that are found again by a key, in both forms of the API. A part
// of the shared list.

import { chain, equal, fails, throwsOwn } from "./expect.mjs";

/** The three primitives whose entries are under keys, each with a way to fill it. */
const primitives = ({ kv, json, state }) => [
  [kv, (keys) => kv.putMany(keys.map((key) => [key, key]))],
  [json, (keys) => json.setMany(keys.map((key) => [key, { key }]))],
  [state, async (keys) => { for (const key of keys) await state.set(key, key); }],
];

export const ranges = {
  async bounds_take_keys_away_from_a_range_and_leave_its_prefix(db) {
    for (const [primitive, fill] of primitives(db)) {
      await fill(["a", "b/1", "b/2", "b/3", "b/4", "c"]);
      for (const [options, expected] of [
        [{ gt: "b/1" }, ["b/2", "b/3", "b/4", "c"]],
        [{ gte: "b/4" }, ["b/4", "c"]],
        [{ lt: "b/1" }, ["a"]],
        [{ lte: "b/1" }, ["a", "b/1"]],
        [{ prefix: "b/", gt: "b/1" }, ["b/2", "b/3", "b/4"]],
        [{ prefix: "b/", gt: "b/1", lte: "b/3" }, ["b/2", "b/3"]],
        [{ prefix: "b/", gte: "a", lt: "z" }, ["b/1", "b/2", "b/3", "b/4"]],
        [{ prefix: "b/", gte: "b/2", lt: "b/4", reverse: true, limit: 1 }, ["b/3"]],
        [{ gt: "b/1", gte: "b/1", lt: "b/3", lte: "b/3" }, ["b/2"]],
        // Of two bounds of one side both hold, whichever of them is the narrower.
        [{ gte: "b/2", from: "b/3", to: "c", lte: "z" }, ["b/3", "b/4"]],
        [{ gte: "b/3", from: "b/2", to: "c", lt: "b/4" }, ["b/3"]],
        [{ gt: "b/1", after: "b/2", lte: "b/4" }, ["b/3", "b/4"]],
        [{ gt: "c", lt: "a" }, []],
        [{ prefix: "b/", gt: "b/4" }, []],
        [{ gt: new TextEncoder().encode("b/4") }, ["c"]],
      ]) {
        equal(await primitive.keys(options), expected, JSON.stringify(options));
      }
      equal([await primitive.count({ gt: "a", lte: "b/2" }), await primitive.count({ prefix: "b/", gte: "b/2" })], [2, 3]);
    }
    equal((await db.json.select("/key", "b/2", { gt: "a" })).map(({ key }) => key), ["b/2"]);
    equal(await db.json.select("/key", "b/2", { gt: "b/2" }), []);
    for (const stream of ["a", "b", "c"]) await db.events.appendBatch(stream, [1, 2, 3, 4].map((payload) => ({ kind: "k", payload })));
    equal((await db.events.streams({ gt: "a", lte: "c" })).map(({ stream }) => stream), ["b", "c"]);
  },

  async bounds_of_events_are_seqs(db) {
    await db.events.appendBatch("s", [1, 2, 3, 4, 5].map((payload) => ({ kind: "k", payload })));
    for (const [range, expected] of [
      [{ gt: 2 }, [3, 4, 5]],
      [{ gte: 4 }, [4, 5]],
      [{ lt: 3 }, [1, 2]],
      [{ lte: 3 }, [1, 2, 3]],
      [{ gt: 1, lt: 4, reverse: true }, [3, 2]],
      [{ gt: 1, gte: 1, from: 3, to: 4, lte: 9, lt: 9 }, [3, 4]],
      [{ gte: 2, from: 1, to: 9, lte: 3 }, [2, 3]],
      [{ gt: 0, limit: 1 }, [1]],
      [{ lt: 0 }, []],
      [{ gt: Number.MAX_SAFE_INTEGER }, []],
      [{ gt: 4, lt: 3 }, []],
    ]) {
      equal((await db.events.range("s", range)).map(({ seq }) => seq), expected, JSON.stringify(range));
    }
  },

  async what_a_range_has_is_deleted_and_counted(db) {
    for (const [primitive, fill] of primitives(db)) {
      await fill(["a", "b/1", "b/2", "b/3", "c"]);
      equal(await primitive.deleteRange({ prefix: "b/", gt: "b/1" }), { keys: 2, isComplete: true });
      equal(await primitive.keys(), ["a", "b/1", "c"]);
      equal(await primitive.deleteRange({ prefix: "none" }), { keys: 0, isComplete: true });
      equal(await primitive.existsMany(["c", "b/3", "a", "c"]), [true, false, true, true]);
      equal(await primitive.existsMany([]), []);
      // A bound that somebody forgot to set would delete everything.
      for (const range of [undefined, null, { prefix: undefined }, { gte: "a", lt: null }]) await fails("Invalid", () => primitive.deleteRange(range));
      equal(await primitive.count(), 3);
      equal(await primitive.deleteRange({}), { keys: 3, isComplete: true });
      equal(await primitive.count(), 0);
    }
    equal((await fails("Invalid", () => db.kv.deleteRange({ prefix: undefined }))).message.includes("prefix is undefined"), true);
  },

  async a_large_range_is_deleted_in_several_commits(db) {
    await db.kv.putMany(Array.from({ length: 10_001 }, (_, at) => [`k${at}`, at]));
    const before = (await db.view()).seq;
    equal(await db.kv.deleteRange({ prefix: "k" }), { keys: 10_000, isComplete: false });
    equal(await db.kv.deleteRange({ prefix: "k" }), { keys: 1, isComplete: true });
    equal([(await db.view()).seq - before, await db.kv.count()], [2, 0]);
  },

  async a_range_that_is_deleted_in_a_transaction_is_deleted_with_it(db) {
    await db.kv.putMany([["a/1", 1], ["a/2", 2], ["b", 3]]);
    const run = await db.runs.begin({ name: "r" });
    await run.json.set("a/1", {});
    const heard = [];
    const stop = db.onCommit({}, ({ changes }) => heard.push(changes.map(({ key }) => key)));
    await throwsOwn((own) => db.transaction((tx) => chain(tx.kv.deleteRange({ prefix: "a/" }), own)));
    equal(await db.kv.count(), 3);
    const deleted = await db.transaction((tx) =>
      chain(tx.kv.put("a/3", 3), () => chain(tx.kv.deleteRange({ prefix: "a/" }), (pairs) => chain(tx.run(run.id).json.deleteRange({}), (documents) => [pairs, documents]))),
    );
    equal(deleted, [{ keys: 3, isComplete: true }, { keys: 1, isComplete: true }]);
    equal([await db.kv.keys(), await run.json.count()], [["b"], 0]);
    equal(heard, [["a/3", "a/1", "a/2", "a/1"]]);
    stop();
    await fails("Unsupported", () => chain(db.view(), (view) => view.kv.deleteRange({})));
  },

  async a_run_is_begun_once_under_its_key_and_found_ever_after(db) {
    const began = async (options) => db.runs.beginOrGet("import of today", options);
    const parent = await db.runs.begin({ name: "parent" });
    const heard = [];
    const stop = db.onCommit({}, ({ changes }) => heard.push(...changes.map(({ primitive }) => primitive)));
    const run = await began({ name: "import", parent: parent.id, labels: { source: "a" }, metadata: { size: 1n } });
    await run.kv.put("position", 1n);
    const again = await began({ name: "another name" });
    equal([again.id, await again.kv.get("position"), (await db.runs.list()).length], [run.id, 1n, 2]);
    equal(heard, ["run", "kv"]);
    stop();
    const info = await again.info();
    equal([info.status, info.name, info.parent, info.labels, info.metadata], ["active", "import", parent.id, { source: "a" }, { size: 1n }]);
    await run.end();
    equal((await (await began({ name: "import" })).info()).status, "completed");
    // Text is the key of its bytes; the key is any bytes.
    equal((await db.runs.beginOrGet(new TextEncoder().encode("import of today"), { name: "import" })).id, run.id);
    equal((await db.runs.beginOrGet(new Uint8Array([255]), { name: "bytes" })).id === run.id, false, "another key");
    // Of several at a time one begins it.
    const together = await Promise.all([1, 2, 3].map(() => db.runs.beginOrGet("together", { name: "t" })));
    equal([new Set(together.map(({ id }) => id)).size, (await db.runs.list({ name: "t" })).length], [1, 1]);
    await db.runs.delete(run.id);
    const anew = await began({ name: "anew" });
    equal([anew.id, (await anew.info()).name, await anew.kv.get("position")], [run.id, "anew", undefined]);
    await fails("NotFound", () => db.runs.beginOrGet("orphan", { name: "o", parent: "00000000-0000-7000-8000-000000000000" }));
    await fails("Limit", () => db.runs.beginOrGet("long", { name: "n".repeat(1025) }));
  },
};
