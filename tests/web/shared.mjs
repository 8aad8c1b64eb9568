// What both forms of the API promise, as one list. Every result is awaited, which a synchronous one survives; closures of
// transactions go on by `chain`, which takes either.
//
// Runs in Node, Deno, Bun, pages and workers: nothing in the list needs any of them.

import { causes } from "./causes.mjs";
import { chain, equal, fails, throwsOwn } from "./expect.mjs";
import { expiry } from "./expiry.mjs";
import { listening } from "./listening.mjs";
import { longWork } from "./long-work.mjs";
import { once } from "./once.mjs";
import { queues } from "./queues.mjs";
import { ranges } from "./ranges.mjs";
import { strict } from "./strict.mjs";
import { versions } from "./versions.mjs";

export { chain, equal, fails };

/** The types of the messages that this page sends to its workers from now on, until `stop`. */
export function messages() {
  const sent = [];
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...rest) {
    sent.push(message.type);
    return post.call(this, message, ...rest);
  };
  return { sent, stop: () => (Worker.prototype.postMessage = post) };
}

/** Each case gets a store of its own (or an empty one) and the package. */
export const cases = {
  async pairs_are_put_read_and_deleted(db) {
    equal(await db.kv.get("a"), undefined);
    await db.kv.put("a", "one");
    equal(await db.kv.get("a"), "one");
    equal(await db.kv.exists("a"), true);
    equal(await db.kv.getOr("b", 7), 7);
    equal(await db.kv.delete("a"), true);
    equal(await db.kv.delete("a"), false);
    await db.kv.putMany([["x", 1], ["y", 2], ["x", 3]]);
    equal(await db.kv.getMany(["x", "y", "z"]), [3, 2, undefined]);
    await db.kv.remove("x");
    equal(await db.kv.deleteMany(["x", "y"]), 1);
    equal(await db.kv.count(), 0);
  },

  async null_is_a_value_and_undefined_is_none(db) {
    await db.kv.put("a", null);
    equal(await db.kv.get("a"), null);
    equal(await db.kv.exists("a"), true);
    equal(await db.kv.getOr("a", 1), null);
    await db.kv.casValue("a", null, 2);
    await fails("Precondition", () => db.kv.casValue("a", undefined, 3));
    await db.kv.casValue("b", undefined, null);
    equal(await db.kv.getMany(["a", "b", "c"]), [2, null, undefined]);
  },

  async every_type_comes_back_as_it_went_in(db, { U256, Tagged }) {
    const values = {
      integers: [0n, 1n, -1n, 23n, 24n, 255n, 256n, 65536n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n), -(2n ** 64n)],
      floats: [0, -0, 1, 1.5, -2, 0.1, 65504, 65505, 2 ** -24, 2 ** -25, 1e300, Number.MAX_SAFE_INTEGER, NaN, Infinity, -Infinity],
      text: ["", "plain", "ünïcödé", "😀", "\u0000", "\ufeffmark", "x".repeat(1000)],
      bytes: [new Uint8Array(), new Uint8Array([0, 255]), new Uint8Array(300).fill(7)],
      dates: [new Date(0), new Date(1), new Date(-1), new Date(1_700_000_000_123), new Date(-62_135_596_800_000), new Date(8.64e15 - 1)],
      maps: [new Map(), new Map([["a", 1n]]), new Map([[1n, "x"], ["y", null]])],
      sets: [new Set(), new Set([1n, "x", 1])],
      nested: { list: [[], [[]], {}], empty: {}, "": "empty key", __proto__x: 1n, "2": "b", "1": "a" },
      tagged: new Tagged(32, "https://example.org/"),
    };
    for (const [name, value] of Object.entries(values)) {
      await db.kv.put(name, value);
      equal(await db.kv.get(name), value, name);
    }
    const own = JSON.parse('{"__proto__": 1}');
    await db.kv.put("own", own);
    const back = await db.kv.get("own");
    equal(Object.keys(back), ["__proto__"]);
    equal(Object.getPrototypeOf(back) === Object.prototype, true, "prototype");
    const dates = await db.kv.get("dates");
    equal(dates.every((date) => date instanceof Date), true, "dates");
    await db.kv.put("wei", new U256(2n ** 255n));
    equal((await db.kv.get("wei")) instanceof U256, true, "U256");
    equal((await db.kv.get("wei")).value, 2n ** 255n);
  },

  async what_would_be_coerced_is_refused(db) {
    class Point {}
    const cycle = {};
    cycle.self = cycle;
    const refused = [undefined, { a: undefined }, [1, , 2], () => 1, Symbol("x"), new Point(), new Date(NaN), "\ud800", { "\udc00": 1 }, 2n ** 64n, new Uint16Array(1), new ArrayBuffer(1), /x/, Promise.resolve()];
    for (const value of refused) await fails("Invalid", () => db.kv.put("a", value));
    await fails("Limit", () => db.kv.put("a", cycle));
    await fails("Invalid", () => db.json.set("a", NaN));
    await fails("Invalid", () => db.json.set("a", new Date()));
    await fails("Invalid", () => db.json.set("a", { m: new Map() }));
    await fails("Invalid", () => db.kv.put("\ud800", 1));
    await fails("Invalid", () => db.kv.put(7, 1));
    await fails("Invalid", () => db.kv.addI64("c", 1.5));
    await fails("Invalid", () => db.kv.addI64("c", 2n ** 63n));
    await fails("Invalid", () => db.kv.scan({ limit: -1 }));
    await fails("Invalid", () => db.runs.get("not an id"));
    equal(await db.kv.count(), 0);
    // A refused value leaves nothing behind that the next request could trip over.
    await db.kv.put("a", 1);
    equal(await db.kv.get("a"), 1);
  },

  async limits_are_named(db) {
    const error = await fails("Limit", () => db.kv.put("k".repeat(1025), 1));
    equal(error.message.includes("1025") && error.message.includes("1024"), true, error.message);
    let deep = 1;
    for (let i = 0; i < 128; i++) deep = [deep];
    await db.kv.put("deep", deep);
    await fails("Limit", () => db.kv.put("deeper", [deep]));
    await fails("Limit", () => db.kv.put("large", new Uint8Array((16 << 20) + 1)));
    await db.kv.put("large", new Uint8Array(1 << 20).fill(3));
    const large = await db.kv.get("large");
    equal([large.length, large[12345]], [1 << 20, 3]);
  },

  async scans_go_both_ways_with_cursors(db) {
    await db.kv.putMany(["a", "b/1", "b/2", "b/3", "c"].map((key, at) => [key, BigInt(at)]));
    const keys = async (options) => db.kv.keys(options);
    equal(await keys(), ["a", "b/1", "b/2", "b/3", "c"]);
    equal(await keys({ prefix: "b/" }), ["b/1", "b/2", "b/3"]);
    equal(await keys({ from: "b/2", to: "c" }), ["b/2", "b/3"]);
    equal(await keys({ reverse: true, limit: 2 }), ["c", "b/3"]);
    equal(await keys({ after: "b/1" }), ["b/2", "b/3", "c"]);
    equal(await keys({ after: "b/1", reverse: true }), ["a"]);
    equal(await keys({ prefix: "b/", from: "b/2", to: "b/3" }), ["b/2"]);
    equal(await keys({ limit: 0 }), []);
    equal(await db.kv.count({ prefix: "b/" }), 3);
    const [pair] = await db.kv.scan({ from: "b/3", limit: 1 });
    equal([pair.key, pair.value, pair.version > 0], ["b/3", 3n, true]);
    const bytes = await db.kv.keys({ keys: "bytes", limit: 1 });
    equal(bytes, [new Uint8Array([97])]);
    await db.kv.put(new Uint8Array([255]), 1);
    equal((await fails("Invalid", () => db.kv.keys())).code, "KeyNotText");
    equal((await db.kv.scan({ keys: "bytes", reverse: true, limit: 1 }))[0].key, new Uint8Array([255]));
  },

  async bytes_of_a_scan_are_those_that_were_put_and_do_not_overlap(db) {
    // Sizes around every border: kept inside of the array, in a shared buffer, in one of their own.
    const sizes = [0, 1, 63, 64, 65, 100, 2047, 2048, 2049, 16_383, 16_384, 16_385, 70_000];
    const pairs = Array.from({ length: 150 }, (_, at) => [`key ${String(at).padStart(3, "0")}`, new Uint8Array(sizes[(at * 7) % sizes.length]).fill(at + 1)]);
    await db.kv.putMany(pairs);
    const values = pairs.map(([, value]) => value);
    const scanned = async () => (await db.kv.scan({ prefix: "key" })).map(({ value }) => value);
    for (const found of [await scanned(), (await db.kv.scan({ prefix: "key", reverse: true })).map(({ value }) => value).reverse(), await db.kv.getMany(pairs.map(([key]) => key))]) {
      equal(found.map((value) => [value.length, value.every((byte) => byte === value[0]), value[0]]), values.map((value) => [value.length, true, value[0]]));
      // What is written to one shows in no other, and not in the store.
      found.filter((_, at) => at % 2).forEach((value) => value.fill(255));
      equal(found.filter((_, at) => at % 2 === 0).every((value, at) => value.every((byte) => byte === 2 * at + 1)), true, "the others");
    }
    equal(await scanned(), values);
    const [a, b] = [await db.kv.get("key 003"), await db.kv.get("key 003")];
    equal([a.buffer.byteLength === a.length, a.buffer !== b.buffer], [true, true], "a buffer of its own");
    // Keys as bytes are views as well, and documents and cells are laid out in the same way.
    const long = "k".repeat(100);
    await db.json.setMany(Array.from({ length: 3 }, (_, at) => [`${long}${at}`, { at }]));
    equal(await db.json.keys({ keys: "bytes" }), Array.from({ length: 3 }, (_, at) => new TextEncoder().encode(`${long}${at}`)));
    equal((await db.json.list({ keys: "bytes" })).map(({ key, document }) => [key.length, document]), [0, 1, 2].map((at) => [101, { at }]));
    equal((await db.json.select("/at", 1)).map(({ key, document }) => [key, document]), [[`${long}1`, { at: 1 }]]);
    await db.state.set("bytes", new Uint8Array(100).fill(9));
    await db.state.set("text", "x");
    equal((await db.state.list()).map(({ key, counter, value }) => [key, counter, value]), [["bytes", 1, new Uint8Array(100).fill(9)], ["text", 1, "x"]]);
    equal(await db.kv.scan({ prefix: "none" }), []);
  },

  async pages_visit_every_key_once(db) {
    const keys = Array.from({ length: 250 }, (_, at) => `key ${String(at).padStart(4, "0")}`);
    await db.kv.putMany(keys.map((key) => [key, key.length]));
    const seen = [];
    for (let after; ; ) {
      const page = await db.kv.scan({ limit: 33, after });
      if (page.length === 0) break;
      seen.push(...page.map(({ key }) => key));
      after = page.at(-1).key;
    }
    equal(seen, keys);
  },

  async compare_and_set_decides_by_version_or_value(db) {
    await db.kv.casVersion("a", undefined, 1);
    const { value, version } = await db.kv.getVersioned("a");
    equal(value, 1);
    await db.kv.casVersion("a", version, 2);
    await fails("Precondition", () => db.kv.casVersion("a", version, 3));
    await fails("Precondition", () => db.kv.putIfAbsent("a", 3));
    await db.kv.casValue("a", 2, 4);
    // An integer is never the float of the same size.
    await fails("Precondition", () => db.kv.casValue("a", 4n, 5));
    equal(await db.kv.getAndPut("a", 6), 4);
    await db.kv.rename("a", "b");
    await fails("NotFound", () => db.kv.rename("a", "c"));
    equal(await db.kv.getAndDelete("b"), 6);
    equal(await db.kv.getAndDelete("b"), undefined);
    equal(await db.kv.update("n", (n) => (n ?? 0n) + 1n), 1n);
    equal(await db.kv.update("n", (n) => (n ?? 0n) + 1n), 2n);
  },

  async counters_keep_their_kind(db, { U256 }) {
    await db.kv.addI64("i", -3);
    await db.kv.addI64("i", 5n);
    await db.kv.addU64("u", 2n ** 64n - 1n);
    await db.kv.addF64("f", 0.5);
    await db.kv.addF64("f", 0.25);
    await db.kv.addU256("w", 10n ** 30n);
    await db.kv.addU256("w", 1n);
    equal(await db.kv.getMany(["i", "u", "f"]), [2n, 2n ** 64n - 1n, 0.75]);
    const wei = await db.kv.get("w");
    equal([wei instanceof U256, wei.value], [true, 10n ** 30n + 1n]);
    equal((await fails("Invalid", () => db.kv.addU64("u", 1))).code, "CounterOverflow");
    equal((await fails("Invalid", () => db.kv.addF64("i", 1))).code, "Type");
  },

  async documents_are_changed_at_paths(db) {
    const { json } = db;
    await json.set("o", { items: [{ name: "tea", count: 2 }], total: 9.5, big: 2n ** 63n });
    equal(await json.get("o"), { big: 2n ** 63n, items: [{ count: 2, name: "tea" }], total: 9.5 });
    equal(await json.getAt("o", "/items/0/name"), "tea");
    equal(await json.getAt("o", "$.items[0].count"), 2);
    equal(await json.getAt("o", "/none"), undefined);
    equal(await json.lengthAt("o", "/items"), 1);
    equal(await json.typeAt("o", "/total"), "number");
    equal(await json.typeAt("o", "/none"), undefined);
    equal(await json.keysAt("o", ""), ["big", "items", "total"]);
    equal(await json.setAt("o", "/total", 10), 9.5);
    equal(await json.pushAt("o", "/items", null), 2);
    equal(await json.popAt("o", "/items"), null);
    equal(await json.incrementAt("o", "/items/0/count", 3), 5);
    await json.mergeAt("o", "", { total: null, note: "x" });
    await json.patch("o", [{ op: "test", path: "/note", value: "x" }, { op: "add", path: "/items/-", value: { name: "salt" } }]);
    await fails("Precondition", () => json.patch("o", [{ op: "remove", path: "/items" }, { op: "test", path: "/note", value: "y" }]));
    equal(await json.deleteAt("o", "/big"), 2n ** 63n);
    equal(await json.get("o"), { items: [{ count: 5, name: "tea" }, { name: "salt" }], note: "x" });
    await fails("NotFound", () => json.getAt("none", "/a"));
    await json.setMany([["p/1", { k: 1 }], ["p/2", { k: 2 }], ["p/3", { k: 1 }]]);
    equal((await json.select("/k", 1)).map(({ key }) => key), ["p/1", "p/3"]);
    equal((await json.select("/k", 1, { limit: 1, reverse: true })).map(({ key }) => key), ["p/3"]);
    equal((await json.list({ prefix: "p/", limit: 1 }))[0].document, { k: 1 });
    equal(await json.getMany(["p/2", "none"]), [{ k: 2 }, undefined]);
    equal(await json.count({ prefix: "p/" }), 3);
    equal(await json.delete("p/1"), true);
    equal(await json.deleteMany(["p/1", "p/2"]), 1);
    equal(await json.exists("p/2"), false);
  },

  async events_keep_their_order_and_their_chain(db) {
    const { events } = db;
    equal(await events.append("s", "opened", { door: 7n }), 1);
    equal(await events.appendBatch("s", [{ kind: "closed", payload: null }, { kind: "opened", payload: "again" }]), 2);
    equal(await events.head("s"), 3);
    equal((await events.get("s", 2)).kind, "closed");
    equal(await events.get("s", 9), undefined);
    const kinds = async (range) => (await events.range("s", range)).map(({ seq }) => seq);
    equal(await kinds(), [1, 2, 3]);
    equal(await kinds({ reverse: true, limit: 2 }), [3, 2]);
    equal(await kinds({ from: 2, to: 2 }), [2]);
    const [first] = await events.range("s", { limit: 1 });
    equal([first.payload, first.timeMicros > 1.6e15], [{ door: 7n }, true]);
    equal((await events.verifyChain("s")).events, 3);
    const info = await events.info("s");
    equal([info.head, info.first, info.events, info.link.length], [3, 1, 3, 32]);
    equal(await events.info("none"), undefined);
    await events.trim("s", 3);
    equal([await events.first("s"), await events.length("s")], [3, 1]);
    equal((await events.streams()).map(({ stream }) => stream), ["s"]);
    equal(await events.deleteStream("s"), true);
    equal(await events.head("s"), 0);
    // So many events take several blocks.
    await events.appendBatch("long", Array.from({ length: 3000 }, (_, at) => ({ kind: "tick", payload: BigInt(at) })));
    equal((await events.range("long", { from: 2001, limit: 2 })).map(({ payload }) => payload), [2000n, 2001n]);
  },

  async cells_count_their_changes(db) {
    const { state } = db;
    await state.init("job", "waiting");
    await fails("Precondition", () => state.init("job", "waiting"));
    equal(await state.get("job"), { counter: 1, value: "waiting" });
    equal(await state.set("job", "running"), 2);
    equal(await state.cas("job", 2, "done"), 3);
    await fails("Precondition", () => state.cas("job", 2, "done"));
    equal(await state.transition("job", (value) => `${value}!`), { counter: 4, value: "done!" });
    equal(await state.transitionOrInit("cursor", 0, (at) => at + 10), { counter: 2, value: 10 });
    await fails("NotFound", () => state.transition("none", (value) => value));
    const listed = (await state.list()).map(({ key, counter, value }) => [key, counter, value]);
    equal(listed, [["cursor", 2, 10], ["job", 4, "done!"]]);
    for (let i = 0; i < 200; i++) await state.set("many", i);
    equal(await state.get("many"), { counter: 200, value: 199 });
    equal(await state.delete("many"), true);
    equal(await state.exists("many"), false);
    equal(await state.keys(), ["cursor", "job"]);
  },

  async traces_are_trees(db) {
    const { trace } = db;
    const plan = await trace.record({ kind: "thought", name: "plan", data: { steps: 2n } });
    const call = await trace.record({ kind: "tool_call", name: "search", parent: plan });
    await trace.record({ kind: "retry", name: "again", parent: plan, timeMicros: 1_700_000_000_000_000 });
    equal((await trace.get(plan)).data, { steps: 2n });
    equal((await trace.children(plan)).map(({ name }) => name), ["again", "search"]);
    equal((await trace.children(plan, { reverse: true, limit: 1 }))[0].id, call);
    equal((await trace.roots()).map(({ id }) => id), [plan]);
    equal((await trace.byKind("retry")).length, 1);
    equal((await trace.byTime(0, 1_700_000_000_000_001)).map(({ name }) => name), ["again"]);
    const { data } = await trace.get(call);
    const done = await trace.finish(call, { output: "found", durationMicros: 1500 });
    equal([done.data, done.output, done.durationMicros, done.parent], [data, "found", 1500, plan]);
    equal(await trace.count(), 3);
    equal((await trace.list({ after: plan })).map(({ id }) => id), [call]);
    await fails("NotFound", () => trace.finish("00000000-0000-7000-8000-000000000000"));
    equal(await trace.exists("00000000-0000-7000-8000-000000000000"), false);
  },

  async runs_begin_end_and_are_found(db) {
    const parent = await db.runs.begin({ name: "batch" });
    const run = await db.runs.begin({ name: "import", parent: parent.id, labels: { source: "a" }, metadata: { size: 3n } });
    await run.kv.put("position", 17n);
    equal(await db.kv.get("position"), undefined);
    equal(await (await db.runs.get(run.id)).kv.get("position"), 17n);
    let info = await run.info();
    equal([info.status, info.name, info.parent, info.labels, info.metadata], ["active", "import", parent.id, { source: "a" }, { size: 3n }]);
    equal((await parent.children()).map(({ id }) => id), [run.id]);
    await run.setLabel("step", "2");
    await run.removeLabel("source");
    await run.setMetadata([1n]);
    equal((await db.runs.list({ labels: { step: "2" } })).map(({ id }) => id), [run.id]);
    const { seq, deduplicated } = await run.fail("out of tea");
    equal([seq > 0, deduplicated], [true, false]);
    info = await run.info();
    equal([info.status, info.message, info.labels], ["failed", "out of tea", { step: "2" }]);
    await fails("RunEnded", () => run.kv.put("position", 18n));
    await run.resume();
    await run.kv.put("position", 18n);
    await run.end();
    equal((await db.runs.list({ status: "completed" })).map(({ name }) => name), ["import"]);
    equal((await db.runs.list({ newestFirst: true, limit: 1 }))[0].id, run.id);
    await db.runs.delete(run.id);
    equal((await fails("NotFound", () => db.runs.info(run.id))).code, "UnknownRun");
    await parent.cancel("enough");
  },

  async transactions_are_whole_or_not_at_all(db) {
    await db.kv.put("stock", 1n);
    const value = await db.transaction((tx) =>
      chain(tx.kv.get("stock"), (stock) =>
        chain(tx.kv.put("stock", stock - 1n), () =>
          chain(tx.events.append("orders", "created", "tea"), (seq) => {
            equal(seq, undefined);
            return chain(tx.kv.get("stock"), (own) => [stock, own]);
          }),
        ),
      ),
    );
    equal(value, [1n, 0n]);
    equal([await db.kv.get("stock"), await db.events.head("orders")], [0n, 1]);
    const thrown = await fails("Precondition", () => db.transaction((tx) => chain(tx.kv.put("gone", 1), () => tx.kv.putIfAbsent("stock", 1n))));
    equal(thrown.code, "Precondition");
    let own;
    try {
      await db.transaction((tx) => {
        tx.kv.put("gone", 1);
        throw new RangeError("mine");
      });
    } catch (error) {
      own = error;
    }
    equal(own instanceof RangeError, true, "the error of the closure");
    equal(await db.kv.exists("gone"), false);
  },

  async a_conflict_runs_the_closure_again(db) {
    await db.kv.put("n", 1n);
    let runs = 0;
    await db.transaction((tx) =>
      chain(tx.kv.get("n"), (n) => {
        // Somebody else changes it after it was read, the first time only.
        const other = ++runs === 1 ? db.kv.put("n", 10n) : undefined;
        return chain(other, () => tx.kv.put("n", n + 1n));
      }),
    );
    equal([runs, await db.kv.get("n")], [2, 11n]);
    const tries = { count: 0 };
    const always = (tx) =>
      chain(tx.kv.get("n"), () => {
        tries.count++;
        return chain(db.kv.put("n", BigInt(tries.count)), () => tx.kv.put("n", 0n));
      });
    await fails("Conflict", () => db.transaction(always, { retries: 3 }));
    equal(tries.count, 4);
  },

  async a_transaction_reads_one_version_and_its_own_writes(db) {
    await db.kv.putMany([["a", 1], ["b", 1]]);
    const tx = await db.beginTransaction();
    equal(await tx.kv.get("a"), 1);
    await db.kv.put("c", 2);
    equal(await tx.kv.get("c"), undefined);
    await tx.kv.put("d", 3);
    await tx.kv.addI64("count", 5);
    equal(await tx.kv.keys(), ["a", "b", "count", "d"]);
    equal(await tx.kv.get("count"), 5n);
    equal(await db.kv.get("d"), undefined);
    await fails("Conflict", () => tx.commit());
    await fails("Invalid", () => tx.kv.get("a"));
    const other = await db.beginTransaction();
    await other.kv.put("e", 1);
    await other.rollback();
    equal(await db.kv.exists("e"), false);
  },

  async savepoints_take_back_what_came_after(db) {
    const { receipt } = await db.transactionWith({}, (tx) =>
      chain(tx.kv.put("a", 1), () =>
        chain(tx.savepoint(), (savepoint) =>
          chain(tx.kv.put("a", 2), () => chain(tx.kv.put("b", 2), () => chain(tx.rollbackTo(savepoint), () => tx.kv.put("c", 3)))),
        ),
      ),
    );
    equal(await db.kv.scan().map?.(({ key }) => key) ?? (await db.kv.keys()), ["a", "c"]);
    equal(await db.kv.get("a"), 1);
    equal(receipt.deduplicated, false);
  },

  async a_run_begins_gets_data_and_ends_in_one_commit(db) {
    const { value: id, receipt } = await db.transactionWith({}, (tx) =>
      chain(tx.runs.begin({ name: "whole" }), (run) =>
        chain(run.kv.put("a", 1n), () =>
          chain(tx.run(run.id).json.set("d", { a: 1 }), () => chain(tx.runs.end(run.id, "done"), () => run.id)),
        ),
      ),
    );
    const info = await db.runs.info(id);
    equal([info.status, info.message, info.firstSeq, info.lastSeq], ["completed", "done", receipt.seq, receipt.seq]);
    equal(await (await db.runs.get(id)).kv.get("a"), 1n);
  },

  async views_do_not_change(db) {
    const run = await db.runs.begin({ name: "r" });
    await run.kv.put("a", 1);
    const view = await db.view();
    await run.kv.put("a", 2);
    equal(await view.run(run.id).kv.get("a"), 1);
    equal(await run.kv.get("a"), 2);
    equal((await view.runs()).length, 1);
    await fails("Unsupported", () => view.kv.put?.("a", 1));
    const before = await view.digest(run.id);
    equal(/^[0-9a-f]{64}$/.test(before), true, before);
    equal((await db.digest(run.id)) === before, false, "digests of different contents");
    await view.release();
    await fails("Invalid", () => view.kv.get("a"));
  },

  async replay_gives_the_live_state_and_earlier_ones(db) {
    const run = await db.runs.begin({ name: "r" });
    await run.kv.put("a", 1n);
    await run.json.set("d", { list: [1] });
    const { lastSeq } = await run.info();
    await run.events.append("s", "tick", 1n);
    await run.kv.put("a", 2n);
    const replay = await db.replay(run.id);
    equal(await replay.digest(), await db.digest(run.id));
    equal([await replay.kv.get("a"), replay.transactions], [2n, 5]);
    const earlier = await db.replay(run.id, lastSeq);
    equal([await earlier.kv.get("a"), await earlier.events.head("s")], [1n, 0]);
    const diff = await earlier.diff(replay);
    equal(diff.kv, [{ key: "a", change: { from: 1n, to: 2n } }]);
    equal(diff.events[0].events[0].change.added.payload, 1n);
    await db.kv.put("default", true);
    equal(await (await db.replayDefault()).digest(), await db.digest());
    await replay.release();
    await earlier.release();
  },

  async diffs_go_down_to_places_in_documents(db) {
    const [a, b] = [await db.runs.begin({ name: "a" }), await db.runs.begin({ name: "b" })];
    await a.json.set("doc", { x: 1, y: [1, 2] });
    await b.json.set("doc", { x: 1, y: [1, 3], z: null });
    await a.kv.put("only a", 1);
    await b.state.init("cell", "x");
    const diff = await db.diff(a.id, b.id);
    equal(diff.json, [{ key: "doc", change: { paths: [{ path: "/y/1", change: { from: 2, to: 3 } }, { path: "/z", change: { added: null } }] } }]);
    equal(diff.kv, [{ key: "only a", change: { removed: 1 } }]);
    equal(diff.state, [{ key: "cell", change: { added: { counter: 1, value: "x" } } }]);
    equal((await db.diff(a.id, a.id)).kv, []);
  },

  async commits_are_announced_to_those_who_listen(db) {
    const run = await db.runs.begin({ name: "r" });
    const heard = [];
    const all = [];
    const stop = db.onCommit({ run: run.id }, (commit) => heard.push(commit));
    const stopAll = db.onCommit({}, (commit) => all.push(commit));
    await run.kv.put("a", 1);
    await db.kv.put("elsewhere", 1);
    await db.transaction((tx) => chain(tx.run(run.id).events.append("s", "k", 1), () => tx.kv.put("both", 1)));
    await db.kv.delete("not there");
    // An answer that was asked for later comes behind the announcements.
    await db.kv.get("a");
    const changes = (commits) => commits.map(({ changes }) => changes.map(({ run: id, primitive, key }) => [id === run.id, primitive, key]));
    equal(changes(heard), [[[true, "kv", "a"]], [[true, "events", "s"]]]);
    equal(changes(all), [[[true, "kv", "a"]], [[false, "kv", "elsewhere"]], [[true, "events", "s"], [false, "kv", "both"]]]);
    equal([all[1].seq > all[0].seq, all.every(({ timeMicros }) => timeMicros > 1.6e15)], [true, true], "seqs grow, times are times");
    stop();
    stopAll();
    await run.kv.put("a", 2);
    await db.kv.get("a");
    equal(heard.length, 2);
  },

  async the_store_tells_of_itself(db) {
    await db.kv.put("a", 1);
    const seq = await db.sync();
    equal(await db.durableSeq(), seq);
    equal(await db.refresh(), seq, "a store that is open to write is where it is");
    await db.waitDurable(seq);
    await fails("Invalid", () => db.waitDurable(seq + 1000));
    const stats = await db.stats();
    equal([stats.commits >= 1, stats.logBytes > 0, stats.memoryBytes > 0], [true, true, true]);
    const snapshot = await db.snapshot();
    equal(snapshot.bytes > 0, true, "snapshot");
    equal((await db.verify()).violations, []);
    equal(/^[0-9a-f-]{36}$/.test(db.id), true, db.id);
  },

  async transactions_that_ran_again_are_counted(db) {
    await db.kv.put("n", 0n);
    const { retries } = await db.stats();
    let runs = 0;
    await db.transaction((tx) =>
      chain(tx.kv.get("n"), (n) => chain(++runs < 4 ? db.kv.put("n", n + 10n) : undefined, () => tx.kv.put("n", n + 1n))),
    );
    equal([(await db.stats()).retries - retries, runs, await db.kv.get("n")], [3, 4, 31n]);
  },

  async arguments_of_another_shape_are_invalid_and_change_nothing(db) {
    await db.kv.put("a", 1);
    const tx = await db.beginTransaction();
    const calls = [
      () => db.kv.putMany(5),
      () => db.kv.putMany(),
      () => db.kv.putMany([["b", 1], 5]),
      () => db.kv.putMany([["b", 1], null]),
      () => db.kv.getMany(null),
      () => db.kv.deleteMany({}),
      () => db.json.setMany(7n),
      () => db.events.appendBatch("s", [null]),
      () => db.events.appendBatch("s", true),
      () => db.runs.begin(),
      () => db.runs.begin("name"),
      () => db.runs.begin({ name: "r", labels: null }),
      () => db.runs.list(null),
      () => db.trace.record(),
      () => db.trace.list(null),
      () => db.beginTransaction(null),
      () => db.transaction(5),
      () => tx.rollbackTo(),
      () => tx.rollbackTo({}),
    ];
    for (const call of calls) await fails("Invalid", call);
    await tx.rollback();
    equal([await db.kv.scan(null), await db.kv.count(), await db.runs.list()], [await db.kv.scan(), 1, []]);
    // What an app's own code throws while it is asked for a value is the app's.
    await throwsOwn((own) => db.kv.put("b", { get value() { return own(); } }));
    equal(await db.kv.keys(), ["a"]);
  },

  async requests_that_are_none_are_answered(db) {
    // Ids that are well-formed and unknown, handles that are released, numbers out of range.
    await fails("NotFound", () => db.digest("00000000-0000-7000-8000-000000000000"));
    await fails("NotFound", () => db.replay("00000000-0000-7000-8000-000000000000"));
    await fails("Invalid", () => db.events.range("s", { from: -1 }));
    await fails("Invalid", () => db.events.range("s", { from: 0.5 }));
    await fails("Invalid", () => db.kv.scan({ limit: NaN }));
    await fails("Invalid", () => db.runs.list({ status: "unknown" }));
    await fails("Invalid", () => db.json.getAt("a", "no path"));
    await fails("Invalid", () => db.transaction(() => {}, { durability: "never" }));
    const tricky = { get a() { return this.db.kv.put("x", 1); }, db };
    await fails("Invalid", () => db.kv.put("a", tricky));
    await db.kv.put("a", 1);
    equal(await db.kv.get("a"), 1);
  },

  ...causes,
  ...expiry,
  ...listening,
  ...longWork,
  ...once,
  ...queues,
  ...ranges,
  ...strict,
  ...versions,
};
