// Which commit each thing that is read came with, what is decided by it, and documents and cells that are made of what is there, in both
// forms of the API. A part of the shared list.

import { chain, equal, fails, throwsOwn } from "./expect.mjs";

/** Seq of the last commit. */
const last = async (db) => (await db.view()).seq;

export const versions = {
  async what_is_read_says_which_commit_it_came_with(db) {
    await db.json.set("d", { a: 1 });
    const ofDocument = await last(db);
    await db.state.init("c", "x");
    const ofCell = await last(db);
    await db.events.appendBatch("s", [{ kind: "k", payload: 1 }, { kind: "k", payload: 2 }]);
    const ofEvents = await last(db);
    const id = await db.trace.record({ kind: "thought", name: "plan" });
    const ofEntry = await last(db);
    await db.kv.put("later", 1);
    equal(await db.json.getVersioned("d"), { value: { a: 1 }, version: ofDocument });
    equal(await db.state.getVersioned("c"), { value: { counter: 1, value: "x" }, version: ofCell });
    equal((await db.state.list()).map(({ version }) => version), [ofCell]);
    equal((await db.events.range("s")).map(({ version }) => version), [ofEvents, ofEvents]);
    equal((await db.events.get("s", 2)).version, ofEvents);
    equal([(await db.trace.get(id)).version, (await db.trace.list())[0].version], [ofEntry, ofEntry]);
    equal([await db.json.getVersioned("none"), await db.state.getVersioned("none")], [undefined, undefined]);
    equal((await db.trace.finish(id)).version, 0, "before its commit");
    equal((await db.trace.get(id)).version, await last(db));
    // What a transaction has written itself has no commit yet.
    await db.transaction((tx) =>
      chain(tx.json.set("d", 2), () =>
        chain(tx.state.set("c", "y"), () =>
          chain(tx.events.append("s", "k", 3), () =>
            chain(tx.json.getVersioned("d"), (document) =>
              chain(tx.state.getVersioned("c"), (cell) =>
                chain(tx.events.get("s", 3), (event) => equal([document, cell, event.version], [{ value: 2, version: 0 }, { value: { counter: 2, value: "y" }, version: 0 }, 0])),
              ),
            ),
          ),
        ),
      ),
    );
    equal((await db.json.getVersioned("d")).version, await last(db));
  },

  async a_document_is_set_where_its_version_is_still_the_one_that_was_read(db) {
    await db.json.casVersion("d", undefined, { n: 1 });
    const { version } = await db.json.getVersioned("d");
    await db.json.casVersion("d", version, { n: 2 });
    equal((await fails("Precondition", () => db.json.casVersion("d", version, { n: 3 }))).message.includes(String(version)), true);
    await fails("Precondition", () => db.json.casVersion("d", undefined, { n: 3 }));
    await fails("Precondition", () => db.json.casVersion("none", version, { n: 3 }));
    equal([await db.json.get("d"), await db.json.exists("none")], [{ n: 2 }, false]);
  },

  async a_document_is_merged_into_or_made(db) {
    equal(await db.json.upsert("user", { name: "Ada", visits: 1 }), false);
    equal(await db.json.upsert("user", { visits: 2, name: null, more: { deep: 1n } }), true);
    equal(await db.json.get("user"), { more: { deep: 1 }, visits: 2 });
    await fails("Invalid", () => db.json.upsert("user", { at: new Date() }));
    equal(await db.transaction((tx) => chain(tx.json.upsert("user", { visits: 3 }), (there) => chain(tx.json.get("user"), ({ visits }) => [there, visits]))), [true, 3]);
  },

  async a_document_is_updated_by_a_function(db) {
    const more = (document) => ({ items: [...(document?.items ?? []), "tea"] });
    equal(await db.json.update("order", more), { items: ["tea"] });
    equal(await db.json.update("order", more), { items: ["tea", "tea"] });
    equal(await db.json.get("order"), { items: ["tea", "tea"] });
    const before = await last(db);
    await throwsOwn((own) => db.json.update("order", own));
    equal(await last(db), before);
    await fails("Invalid", () => db.json.update("order", () => undefined));
    // Of a large document the change is logged, and not all of it.
    const large = Array.from({ length: 5000 }, (_, at) => `item ${at}`);
    await db.json.set("large", large);
    const { logBytes } = await db.stats();
    await db.json.update("large", (list) => [...list, "one more"]);
    equal((await db.stats()).logBytes - logBytes < 1000, true, "bytes of the log");
    equal((await db.json.get("large")).length, 5001);
    equal(await db.transaction((tx) => chain(tx.json.update("order", () => 7), () => tx.json.get("order"))), 7);
    await fails("Unsupported", () => chain(db.view(), (view) => view.json.update("order", more)));
  },

  async a_document_that_is_changed_meanwhile_is_updated_again(db) {
    await db.json.set("n", { n: 1 });
    let runs = 0;
    const updated = db.transaction((tx) =>
      chain(tx.json.get("n"), ({ n }) => chain(++runs === 1 ? db.json.set("n", { n: 10 }) : undefined, () => tx.json.update("n", () => ({ n: n + 1 })))),
    );
    equal([await updated, runs, await db.json.get("n")], [{ n: 11 }, 2, { n: 11 }]);
  },

  async a_cell_is_updated_by_a_function(db) {
    equal(await db.state.update("cursor", (at) => (at ?? 0) + 10), { counter: 1, value: 10 });
    equal(await db.state.update("cursor", (at) => (at ?? 0) + 10), { counter: 2, value: 20 });
    await throwsOwn((own) => db.state.update("cursor", own));
    equal(await db.state.get("cursor"), { counter: 2, value: 20 });
    equal(await db.transaction((tx) => tx.state.update("other", () => "x")), { counter: 1, value: "x" });
  },

  async a_receipt_says_where_the_events_of_its_transaction_are(db) {
    const run = await db.runs.begin({ name: "r" });
    await db.events.append("s", "k", 0);
    const { receipt } = await db.transactionWith({}, (tx) =>
      chain(tx.run(run.id).events.append("own", "k", 1), () =>
        chain(tx.events.appendBatch("s", [{ kind: "k", payload: 1 }, { kind: "k", payload: 2 }]), () => chain(tx.events.append(new Uint8Array([255]), "k", 3), () => tx.kv.put("a", 1))),
      ),
    );
    equal(receipt.appended, [
      { run: undefined, stream: "s", firstSeq: 2, count: 2 },
      { run: undefined, stream: new Uint8Array([255]), firstSeq: 1, count: 1 },
      { run: run.id, stream: "own", firstSeq: 1, count: 1 },
    ]);
    equal((await run.end()).appended, []);
  },

  async events_of_all_streams_come_in_the_order_of_their_commits(db) {
    const { events } = db;
    const append = (stream, payload) => events.append(stream, "k", payload);
    await append("b", 1);
    await append("a", 2);
    await events.appendBatch("b", [{ kind: "k", payload: 3 }, { kind: "k", payload: 4 }]);
    // Of one commit they come in the order of the streams' names.
    await db.transaction((tx) => chain(tx.events.append("c", "k", 6), () => tx.events.append("a", "k", 5)));
    const run = await db.runs.begin({ name: "r" });
    await run.events.append("b", "k", "of the run");
    const payloads = (found) => found.map(({ payload }) => payload);
    const all = await events.all();
    equal(payloads(all), [1, 2, 3, 4, 5, 6]);
    equal(all.map(({ stream, seq }) => [stream, seq]), [["b", 1], ["a", 1], ["b", 2], ["b", 3], ["a", 2], ["c", 1]]);
    equal(Object.keys(all[0]), ["stream", "seq", "kind", "payload", "timeMicros", "version"]);
    equal(all.every(({ version }, at) => at === 0 || version >= all[at - 1].version), true, "versions grow");
    equal(all[4].version === all[5].version, true, "one commit");
    equal(payloads(await events.all({ reverse: true, limit: 2 })), [6, 5]);
    for (const reverse of [false, true]) {
      const seen = [];
      for (let after; ; ) {
        const page = await events.all({ limit: 2, after, reverse });
        if (page.length === 0) break;
        seen.push(...payloads(page));
        // An event is its own place.
        after = page.at(-1);
      }
      equal(seen, reverse ? [6, 5, 4, 3, 2, 1] : [1, 2, 3, 4, 5, 6]);
    }
    const { version, stream, seq } = all[1];
    equal(payloads(await events.all({ after: { version, stream, seq } })), [3, 4, 5, 6]);
    equal([payloads(await run.events.all()), await events.all({ limit: 0 })], [["of the run"], []]);
    await events.append(new Uint8Array([255]), "k", 7);
    equal((await fails("Invalid", () => events.all())).code, "KeyNotText");
    equal((await events.all({ keys: "bytes", reverse: true, limit: 1 }))[0].stream, new Uint8Array([255]));
    // What a transaction has appended itself comes last, and can be gone on behind.
    const own = await db.transaction((tx) =>
      chain(tx.events.append("a", "k", "own"), () => chain(tx.events.all({ keys: "bytes", reverse: true, limit: 2 }), (page) => chain(tx.events.all({ keys: "bytes", after: page[0] }), (rest) => [payloads(page), page[0].version, rest]))),
    );
    equal(own, [["own", 7], 0, []]);
    await fails("Invalid", () => events.all({ after: 5 }));
    await fails("Invalid", () => events.all({ after: { version: 1, stream: "a" } }));
    await fails("Invalid", () => events.all({ keys: "byte" }));
    await fails("Invalid", () => events.all({ reverse: 1 }));
  },
};
