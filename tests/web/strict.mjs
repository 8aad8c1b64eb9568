// What is refused because it would else be overlooked, or made into something else, in both forms of the API. A part of the shared list.

import { chain, equal, fails } from "./expect.mjs";

/** Every call that takes options, with one that it does not have; and what its message names. */
const unknown = (db, tx, run, id) => [
  [() => db.kv.scan({ start: "a" }), "start", "gt, gte, lt, lte, from"],
  [() => db.kv.keys({ prefx: "a" }), "prefx", "prefix"],
  [() => db.kv.count({ limit: 1 }), "limit", "prefix, gt, gte, lt, lte, from and to"],
  [() => db.kv.deleteRange({ prefix: "a", limit: 1 }), "limit", "prefix"],
  [() => db.json.deleteRange({ reverse: true }), "reverse", "to"],
  [() => db.state.deleteRange({ keys: "bytes" }), "keys", "to"],
  [() => db.json.list({ start: "a" }), "start", "after"],
  [() => db.json.select("/a", 1, { max: 1 }), "max", "limit"],
  [() => db.json.keys({ less: "a" }), "less", "lt"],
  [() => db.state.list({ order: "desc" }), "order", "reverse"],
  [() => db.state.count({ after: "a" }), "after", "prefix"],
  [() => db.events.range("s", { after: 1 }), "after", "from"],
  [() => db.events.streams({ top: 1 }), "top", "limit"],
  [() => db.events.all({ from: 1 }), "from", "limit, reverse, after and keys"],
  [() => db.events.appendBatch("s", [{ kind: "k", payload: 1, id: 7 }]), "id", "payload"],
  [() => db.trace.list({ kind: "x" }), "kind", "limit"],
  [() => db.trace.byTime(0, 1, { form: 1 }), "form", "reverse"],
  [() => db.trace.record({ kind: "k", name: "n", input: 1 }), "input", "data"],
  [() => db.trace.finish(id, { result: 1 }), "result", "output"],
  [() => db.runs.begin({ name: "r", tags: {} }), "tags", "labels"],
  [() => db.runs.list({ state: "active" }), "state", "status"],
  [() => tx.runs.begin({ name: "r", tag: "x" }), "tag", "labels"],
  [() => db.runs.beginOrGet("key", { name: "r", id }), "id", "name, parent, labels and metadata"],
  [() => run.kv.scan({ begin: "a" }), "begin", "from"],
  [() => db.transaction(() => {}, { retry: 3 }), "retry", "retries"],
  [() => db.transaction(() => {}, { durability: { interval: 5 } }), "interval", "intervalMs"],
  [() => db.transactionWith({ key: "x" }, () => {}), "key", "idempotencyKey"],
  [() => db.beginTransaction({ isolation: 1 }), "isolation", "durability"],
  [() => db.verify({ progress: () => {} }), "progress", "onProgress"],
  [() => db.export({ timeout: 5 }), "timeout", "signal"],
  [async () => db.subscribe({ runs: [] }).next(), "runs", "run, defaultSpace, primitive, key, prefix, durable and orLife"],
  [async () => db.subscribe({}, { timeoutMs: 5 }).next(), "timeoutMs", "signal"],
  [() => db.queue("q").push(1, { delay: 5 }), "delay", "delayMs, priority, attempts, backoffMs and idempotencyKey"],
  [() => db.queue("q").pushIn(tx, 1, { idempotencyKey: "k" }), "idempotencyKey", "delayMs, priority, attempts and backoffMs"],
  [() => db.queue("q").wait(1, { timeout: 5 }), "timeout", "timeoutMs and signal"],
];

/** Every call with an argument more than it takes, but those of one family that are made alike. */
const surplus = (db, tx, view, replay, run) => [
  () => db.replayDefault(3),
  () => db.replay(run.id, 1, 2),
  () => db.view(4),
  () => db.sync(true),
  () => db.durableSeq(1),
  () => db.snapshot("now"),
  () => db.digest(run.id, 3),
  () => db.diff(run.id, run.id, 3),
  () => db.waitDurable(0, 1000),
  () => db.verify({}, 1),
  () => db.refresh(1),
  () => db.queue("q").push(1, {}, 2),
  () => db.queue("q").claim(1, 2),
  () => db.queue("q").wait(1, {}, 2),
  () => db.queue("q").counts(1),
  () => db.kv.put("a", 2, {}, 60),
  () => db.kv.get("a", 0),
  () => db.kv.getOr("a", 0, 1),
  () => db.kv.scan({}, {}),
  () => db.kv.addI64("c", 1n, 2n),
  () => db.kv.update("a", (value) => value, 1),
  () => db.kv.delete("a", "b"),
  () => db.kv.count({}, 1),
  () => db.kv.existsMany(["a"], "b"),
  () => db.kv.deleteRange({}, {}),
  () => db.runs.beginOrGet("key", { name: "r" }, 1),
  () => db.json.set("a", 1, {}, 2),
  () => db.json.getAt("a", "/a", 1),
  () => db.json.pushAt("a", "/a", 1, 2),
  () => db.events.append("s", "k", 1, 2),
  () => db.events.head("s", 1),
  () => db.events.all({}, 1),
  () => db.json.upsert("a", {}, 1),
  () => db.json.casVersion("a", 1, {}, 1),
  () => db.state.getVersioned("a", 1),
  () => db.state.set("a", 1, {}, 2),
  () => db.state.exists("a", 1),
  () => db.trace.count(1),
  () => db.trace.children(run.id, {}, 1),
  () => db.runs.list({}, 1),
  () => db.runs.get(run.id, 1),
  () => run.end("done"),
  () => run.resume("please"),
  () => run.children({ limit: 1 }),
  () => tx.savepoint("name"),
  () => tx.kv.put("a", 1, {}, 2),
  () => tx.runs.end(run.id, "done", 1),
  () => tx.commit({ durability: "strict" }),
  () => view.runs({ limit: 1 }),
  () => view.digest(run.id, 1),
  () => view.release(true),
  () => replay.digest(run.id),
  () => replay.diff(replay, 1),
];

export const strict = {
  async options_that_a_call_does_not_have_are_refused_by_their_names(db) {
    await db.kv.put("a", 1);
    const run = await db.runs.begin({ name: "r" });
    const id = await db.trace.record({ kind: "k", name: "n" });
    const { seq } = await db.view();
    for (const [call, name, ...exist] of unknown(db, await db.beginTransaction(), run, id)) {
      const { code, message } = await fails("Invalid", call);
      equal(code, "Option", message);
      for (const part of [`"${name}"`, ...exist]) equal(message.includes(part), true, `${message}: ${part}`);
    }
    equal((await db.view()).seq, seq, "nothing was done");
    // What is left out may be said to be left out.
    equal(await db.kv.keys({ start: undefined, limit: undefined, prefix: null, gt: undefined }), ["a"]);
  },

  async options_of_another_type_are_refused(db) {
    const run = await db.runs.begin({ name: "r" });
    const calls = [
      () => db.kv.scan("a"),
      () => db.kv.scan(["a"]),
      () => db.kv.count("a"),
      () => db.kv.scan({ gt: 5 }),
      () => db.kv.deleteRange("a"),
      () => db.kv.deleteRange(["a"]),
      () => db.kv.existsMany("abc"),
      () => db.events.range("s", { gt: "5" }),
      () => db.runs.beginOrGet("key"),
      () => db.runs.beginOrGet("key", "name"),
      () => db.runs.beginOrGet({ name: "r" }),
      () => db.kv.scan({ reverse: "false" }),
      () => db.kv.scan({ reverse: 1 }),
      () => db.kv.scan({ keys: "byte" }),
      () => db.kv.scan({ limit: "5" }),
      () => db.kv.scan({ limit: 2 ** 53 }),
      () => db.events.range("s", { reverse: 0 }),
      () => db.events.range("s", 5),
      () => db.trace.list({ reverse: "yes" }),
      () => db.runs.list({ newestFirst: "no" }),
      () => db.runs.list({ status: "done" }),
      () => db.runs.begin({ name: "r", labels: new Map([["a", "b"]]) }),
      () => db.runs.begin({ name: "r", labels: ["a"] }),
      () => db.runs.begin({ name: "r", labels: "a" }),
      () => db.transaction(() => {}, { retries: "3" }),
      () => db.transaction(() => {}, { retries: NaN }),
      () => db.transaction(() => {}, { durability: [] }),
      () => db.transaction(() => {}, { durability: { intervalMs: "10" } }),
      () => db.transactionWith(null, () => {}),
      () => db.verify({ onProgress: 5 }),
      () => db.verify({ signal: {} }),
      () => db.export({ signal: "stop" }),
      () => db.kv.putMany(["ab"]),
      () => db.kv.putMany([["a", 1, 2]]),
      () => db.kv.putMany([["a"]]),
      () => db.json.setMany([["a", 1, 2]]),
      () => db.kv.getMany("abc"),
      () => db.kv.deleteMany("abc"),
      async () => db.subscribe({ run: "not an id" }).next(),
      async () => db.subscribe(run.id).next(),
      async () => db.subscribe({ primitive: "pairs" }).next(),
      async () => db.subscribe({ run: run.id, defaultSpace: true }).next(),
      async () => db.subscribe({ durable: 1 }).next(),
      async () => db.subscribe({ key: 5 }).next(),
      async () => db.subscribe({ signal: AbortSignal.abort() }).next(),
      async () => db.subscribe({}, () => {}),
      async () => db.onCommit({}),
      async () => db.onCommit({}, () => {}, {}),
      async () => db.queue(5).counts(),
    ];
    for (const call of calls) await fails("Invalid", call);
    equal([await db.kv.count(), await db.json.count(), (await db.runs.list()).length], [0, 0, 1]);
    equal((await fails("Invalid", () => db.runs.list({ status: "done" }))).message.includes('"done"'), true);
  },

  async a_durability_is_taken_with_what_makes_sense_for_it_and_nothing_else(db) {
    for (const durability of ["relaxed", "buffered", { mode: "relaxed" }, { mode: "relaxed", intervalMs: 5 }, { mode: "buffered", bytes: 1 }, { intervalMs: 5 }, {}]) {
      await db.transaction((tx) => tx.kv.put("a", 1), { durability });
      equal((await db.transactionWith({ durability: "strict" }, (tx) => tx.kv.put("a", 1))).receipt.durable, true);
    }
    for (const mode of ["relaxed", "buffered"]) {
      const { receipt } = await db.transactionWith({ durability: { mode, intervalMs: 3_600_000 } }, (tx) => tx.kv.put("a", 1));
      equal(receipt.durable, false, mode);
    }
    const { seq } = await db.view();
    const refused = async (durability) => (await fails("Invalid", () => db.transaction((tx) => tx.kv.put("a", 2), { durability }))).code;
    for (const durability of [{ mode: "relaxed", bytes: 1 }, { mode: "relaxed", interval: 5 }, { mode: "buffered", interval: 5 }]) equal(await refused(durability), "Option", JSON.stringify(durability));
    for (const durability of [{ mode: "strict" }, { mode: "strict", intervalMs: 5 }, { mode: "inMemory" }, { mode: "" }, "Relaxed", 3]) equal(await refused(durability), "Argument", JSON.stringify(durability));
    for (const intervalMs of [-1, 0.5, NaN, "5", null]) await refused({ mode: "relaxed", intervalMs });
    equal((await db.view()).seq, seq, "nothing was done");
  },

  async arguments_that_a_call_does_not_take_are_refused(db) {
    await db.kv.put("a", 1);
    await db.json.set("a", { a: [] });
    const run = await db.runs.begin({ name: "r" });
    const [tx, view, replay] = [await db.beginTransaction(), await db.view(), await db.replay(run.id)];
    const { seq } = view;
    for (const call of surplus(db, tx, view, replay, run)) {
      const { code, message } = await fails("Invalid", call);
      equal([code, /takes (no argument|one argument|\d arguments), and was given .* as number \d/.test(message)], ["Argument", true], message);
    }
    await fails("Invalid", async () => tx.run(run.id, 1));
    await fails("Invalid", async () => db.subscribe({}, {}, 1));
    await fails("Invalid", async () => db.onCommit({}, () => {}, () => {}, 1));
    await fails("Invalid", async () => db.queue("q", {}));
    equal((await db.view()).seq, seq, "nothing was done");
    equal((await fails("Invalid", () => db.replayDefault(3))).message, "replayDefault takes no argument, and was given 3 as number 1");
    // `undefined` says nothing, so that a call can be passed on.
    equal(await db.kv.get("a", undefined), 1);
    await (await db.replayDefault(undefined)).release();
    await tx.rollback();
  },

  async what_documents_cannot_hold_is_refused_and_the_rest_has_its_meaning(db) {
    class Point {
      x = 1;
    }
    const refused = [
      [{ a: undefined }, '"a"'],
      [[1, undefined], "1"],
      [[1, , 3], "1"],
      [{ list: [{ f() {} }] }, '"f"'],
      [{ s: Symbol("x") }, "symbol"],
      [{ p: new Point() }, "Point"],
      [new Point(), "Point"],
      [{ d: new Date(0) }, "Date"],
      [{ m: new Map() }, "Map"],
      [{ s: new Set() }, "Set"],
      [{ b: new Uint8Array(1) }, "Uint8Array"],
      [{ r: /x/ }, "RegExp"],
      [{ n: new Number(5) }, "Number"],
      [{ n: NaN }, "NaN"],
      [{ n: Infinity }, "Infinity"],
      [{ n: -Infinity }, "-Infinity"],
      [{ wei: 2n ** 64n }, "18446744073709551616"],
      [{ wei: 10n ** 30n }, "1000000000000000000000000000000"],
      [{ wei: -(2n ** 63n) - 1n }, "-9223372036854775809"],
      [{ t: "\ud800" }, "surrogate"],
      [{ "\udc00": 1 }, "surrogate"],
    ];
    for (const [value, part] of refused) {
      for (const call of [() => db.json.set("a", value), () => db.json.setMany([["a", value]])]) {
        const { message } = await fails("Invalid", call);
        equal(message.includes(part), true, `${message}: ${part}`);
      }
    }
    equal(await db.json.count(), 0);
    const kept = { zero: -0, half: 0.5, large: 2 ** 60, safe: Number.MAX_SAFE_INTEGER, low: -(2n ** 63n), high: 2n ** 64n - 1n, none: null, text: "\u0000", list: [[], {}] };
    await db.json.set("kept", kept);
    const found = await db.json.get("kept");
    equal(found, Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1))));
    equal([Object.is(found.zero, -0), typeof found.large, typeof found.high], [true, "number", "bigint"]);
    // What hangs on an object or an array besides its members and items is no part of it, as for every copy that JavaScript makes.
    const more = Object.assign([1, 2], { name: "x" });
    const hidden = Object.defineProperty({ shown: 1, [Symbol("s")]: 2 }, "hidden", { value: 3 });
    await db.json.set("more", { more, hidden });
    equal(await db.json.get("more"), { hidden: { shown: 1 }, more: [1, 2] });
    const open = Object.assign(Object.create(null), { a: 1 });
    await db.json.set("open", open);
    equal(await db.json.get("open"), { a: 1 });
  },

  async integers_are_never_rounded(db, { U256, Tagged }) {
    const rounded = 2 ** 53;
    for (const call of [
      () => db.kv.put("a", 2n ** 64n),
      () => db.kv.put("a", { deep: [-(2n ** 64n) - 1n] }),
      () => db.kv.addI64("c", rounded),
      () => db.kv.addU64("c", rounded),
      () => db.kv.addU256("c", rounded),
      () => db.kv.addU256("c", 2n ** 256n),
      () => db.kv.addI64("c", 2n ** 63n),
      () => db.kv.addU64("c", -1n),
      () => db.events.get("s", rounded),
      () => db.state.cas("a", rounded, 1),
      async () => new U256(rounded),
      async () => new U256(1.5),
      async () => new U256("7"),
      async () => new Tagged(rounded, 1),
    ]) {
      const { message } = await fails("Invalid", call);
      equal(/\d{2}|1\.5|-1|"7"/.test(message), true, `names the number: ${message}`);
    }
    await db.json.set("n", { integer: 1, large: 2n ** 63n });
    equal((await fails("Invalid", () => db.json.incrementAt("n", "/integer", rounded))).message.includes("9007199254740992"), true);
    equal(await db.json.incrementAt("n", "/integer", BigInt(rounded)), 9007199254740993n);
    equal(await db.json.incrementAt("n", "/large", 1n), 2n ** 63n + 1n);
    equal(await db.json.get("n"), { integer: 9007199254740993n, large: 2n ** 63n + 1n });
  },

  async what_another_program_has_stored_comes_as_it_is_or_with_its_tag(db, { Tagged }) {
    const wrote = [new Tagged(1n, 1.5), new Tagged(1n, 1.00005), new Tagged(1n, 1n), new Tagged(258n, [1n, 1n]), new Tagged(258n, [1n, 2n])];
    await db.kv.put("tagged", wrote);
    const found = await db.kv.get("tagged");
    const sorts = { Date, Tagged, Set };
    const sort = (value) => Object.keys(sorts).find((name) => value instanceof sorts[name]);
    equal(found.map(sort), ["Date", "Tagged", "Date", "Tagged", "Set"]);
    equal([found[0].getTime(), found[1].value, found[3].value], [1500, 1.00005, [1n, 1n]]);
    await db.kv.put("tagged", found);
    equal(await db.kv.get("tagged"), found);
  },

  async a_savepoint_is_of_its_own_transaction(db) {
    const [one, other] = [await db.beginTransaction(), await db.beginTransaction()];
    await one.kv.put("a", 1);
    const first = await one.savepoint();
    await other.savepoint();
    await other.kv.put("b", 1);
    equal((await fails("Invalid", () => other.rollbackTo(first))).code, "Savepoint");
    for (const none of [{ savepoint: 0 }, { savepoint: 2 ** 32 }, 0, null]) await fails("Invalid", () => other.rollbackTo(none));
    await one.rollback();
    await db.kv.put("n", 1);
    let kept;
    let runs = 0;
    const again = (tx) =>
      chain(tx.kv.get("n"), () =>
        chain(tx.kv.put("m", 1), () =>
          chain(tx.savepoint(), (savepoint) => {
            kept ??= savepoint;
            return chain(++runs === 1 ? db.kv.put("n", 2) : undefined, () => tx.rollbackTo(kept));
          }),
        ),
      );
    equal((await fails("Invalid", () => db.transaction(again))).code, "Savepoint", "one of an earlier attempt");
    equal([runs, await db.kv.exists("m")], [2, false]);
  },
};
