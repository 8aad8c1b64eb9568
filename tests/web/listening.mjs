// What both forms of the API promise of commits that are listened to, and of streams that are followed. Part of the list in
// shared.mjs.

import { chain, equal, fails } from "./expect.mjs";

/** The keys that the next commits of a subscription have changed. */
async function keys(subscription, count) {
  const found = [];
  while (found.length < count) {
    const { value, done } = await subscription.next();
    if (done) throw new Error(`it ended after ${JSON.stringify(found)}`);
    found.push(value.changes.map(({ key }) => key).join());
  }
  return found;
}

export const listening = {
  async a_subscription_gives_the_commits_that_its_filter_asks_for(db) {
    const [run, other] = [await db.runs.begin({ name: "r" }), await db.runs.begin({ name: "o" })];
    const bytes = new Uint8Array([255]);
    const wanted = [
      [{}, ["a/1", "a/2", "s", "k", "of run", "a/1", "", "a/1,b"]],
      [undefined, ["a/1", "a/2"]],
      [{ defaultSpace: true }, ["a/1", "a/2", "s", "k", "a/1,b"]],
      [{ run: run.id.toUpperCase().replaceAll("-", "") }, ["of run", ""]],
      [{ primitive: "kv" }, ["a/1", "of run", "a/1", "a/1,b"]],
      [{ primitive: ["json", "state"] }, ["a/2", "k"]],
      [{ primitive: "run" }, [""]],
      [{ key: "a/1" }, ["a/1", "a/1", "a/1"]],
      [{ key: ["k", "s"] }, ["s", "k"]],
      [{ prefix: "a/" }, ["a/1", "a/2", "a/1", "a/1"]],
      [{ prefix: ["a/2", "k"], key: "b" }, ["a/2", "k", "b"]],
      [{ run: run.id, primitive: "events", key: "none", orLife: true }, [""]],
      [{ key: bytes }, []],
    ];
    const subscriptions = wanted.map(([filter]) => db.subscribe(filter));
    await db.kv.put("a/1", 1);
    await db.json.set("a/2", {});
    await db.events.append("s", "k", 1);
    await db.state.set("k", 1);
    await run.kv.put("of run", 1);
    await other.kv.put("a/1", 1);
    await run.setLabel("a", "b");
    await db.transaction((tx) => chain(tx.kv.put("a/1", 2), () => chain(tx.kv.put("a/1", 3), () => tx.kv.put("b", 1))));
    for (const [at, [filter, expected]] of wanted.entries()) equal(await keys(subscriptions[at], expected.length), expected, JSON.stringify(filter));
    await db.kv.put(bytes, 1);
    equal((await subscriptions.at(-1).next()).value.changes, [{ run: undefined, primitive: "kv", key: bytes }]);
    for (const subscription of subscriptions) await subscription.return();
  },

  async a_loop_over_commits_waits_for_them_and_ends_with_its_body(db) {
    const subscription = db.subscribe({ primitive: "kv" });
    const writing = (async () => {
      for (let number = 1; number <= 5; number++) await db.kv.put("n", number);
    })();
    const seqs = [];
    for await (const { seq, timeMicros, changes } of subscription) {
      equal([changes.length, timeMicros > 1.6e15], [1, true]);
      if (seqs.push(seq) === 5) break;
    }
    await writing;
    equal(seqs.every((seq, at) => at === 0 || seq > seqs[at - 1]), true, "in their order");
    await db.kv.put("n", 6);
    equal(await subscription.next(), { value: undefined, done: true });
  },

  async whoever_asks_several_times_gets_one_commit_for_each(db) {
    const subscription = db.subscribe();
    const asked = [subscription.next(), subscription.next(), subscription.next()];
    await db.kv.put("a", 1);
    await db.kv.put("b", 1);
    equal((await Promise.all(asked.slice(0, 2))).map(({ value }) => value.changes[0].key), ["a", "b"]);
    // Whoever still waits is told of the end.
    await subscription.return();
    equal(await asked[2], { value: undefined, done: true });
  },

  async listening_is_ended_by_a_signal(db) {
    const reason = new Error("enough");
    const controller = new AbortController();
    const subscription = db.subscribe({}, { signal: controller.signal });
    const tail = db.events.tail("s", 1, { signal: controller.signal });
    const waiting = [subscription.next(), tail.next()];
    await db.kv.put("a", 1);
    equal((await waiting[0]).value.changes[0].key, "a");
    const next = subscription.next();
    controller.abort(reason);
    for (const wait of [next, waiting[1]]) equal((await fails("Cancelled", () => wait)).cause === reason, true, "the reason");
    equal([(await subscription.next()).done, (await tail.next()).done], [true, true]);
    await fails("Cancelled", () => db.subscribe({}, { signal: AbortSignal.abort() }).next());
    await fails("Cancelled", () => db.events.tail("s", 1, { signal: AbortSignal.abort() }).next());
  },

  async a_slow_subscriber_is_told_what_it_has_missed_and_goes_on_behind_it(db) {
    const subscription = db.subscribe({ prefix: "n/" });
    await db.kv.put("n/first", 1);
    const first = (await subscription.next()).value.seq;
    // Half of them in one message, and each of the others in its own.
    await Promise.all(Array.from({ length: 2100 }, (_, number) => db.kv.put(`n/${number}`, number)));
    for (let number = 2100; number < 4200; number++) await db.kv.put(`n/${number}`, number);
    const { message } = await fails("Lagged", () => subscription.next());
    const [, after, to] = /behind seq (\d+) up to seq (\d+) were not announced.*changed since seq \1/.exec(message) ?? [];
    equal(Number(after), first, message);
    const { seq } = await db.view();
    let heard = Number(to);
    // What is behind it comes, one after the other, up to the last.
    while (heard < seq) equal((await subscription.next()).value.seq, ++heard);
    await subscription.return();
  },

  async callbacks_hear_until_they_are_ended_and_one_that_throws_harms_nobody(db) {
    const heard = [];
    const uncaught = [];
    // What is thrown in a turn of its own, nobody catches.
    const native = globalThis.queueMicrotask;
    globalThis.queueMicrotask = (work) =>
      native(() => {
        try {
          work();
        } catch ({ message }) {
          uncaught.push(message);
        }
      });
    const ends = [
      db.onCommit({ prefix: "a" }, () => {
        throw new Error("mine");
      }),
      db.onCommit({ prefix: "a" }, ({ seq }) => heard.push(seq), (error) => heard.push(error.kind)),
    ];
    await db.kv.put("a", 1);
    await db.kv.put("b", 1);
    await db.kv.put("a", 2);
    await db.kv.get("a");
    await new Promise((resolve) => setTimeout(resolve));
    globalThis.queueMicrotask = native;
    equal([heard.length, heard[1] > heard[0], uncaught], [2, true, ["mine", "mine"]]);
    for (const end of ends) end();
    for (const end of ends) end();
    await db.kv.put("a", 3);
    await db.kv.get("a");
    equal(heard.length, 2);
  },

  async a_stream_is_followed_from_one_of_its_events_on(db) {
    const many = Array.from({ length: 600 }, (_, payload) => ({ kind: "k", payload }));
    await db.events.appendBatch("s", many);
    const tail = db.events.tail("s", 100);
    const seen = [];
    for await (const { seq, payload, kind } of tail) {
      equal([payload, kind], [seq - 1, "k"]);
      seen.push(seq);
      // Events that come while it is read, and while it waits.
      if (seq === 300) await db.events.append("s", "k", 600);
      if (seq === 601) void Promise.resolve().then(() => db.events.append("s", "k", 601));
      if (seq === 602) break;
    }
    equal([seen.length, seen[0], seen.at(-1)], [503, 100, 602]);
    equal((await tail.next()).done, true);
    // A stream that does not exist yet, beside others.
    const later = db.events.tail("later", 1);
    const next = later.next();
    await db.events.append("s", "k", 602);
    await db.events.append("later", "first", null);
    equal((await next).value.kind, "first");
    await db.events.appendBatch("later", many.slice(0, 3));
    await db.events.trim("later", 4);
    equal((await later.next()).value.seq, 4, "the oldest that is kept");
    await later.return();
    await db.transaction((tx) => {
      let refused;
      try {
        tx.events.tail("s", 1);
      } catch (error) {
        refused = error.kind;
      }
      equal(refused, "Unsupported");
    });
  },

  async a_stream_of_a_run_is_followed_until_the_run_is_deleted(db) {
    const run = await db.runs.begin({ name: "r" });
    const tail = run.events.tail("log", 1);
    const first = tail.next();
    await db.events.append("log", "of another space", 1);
    await run.events.append("log", "own", 1);
    equal((await first).value.kind, "own");
    const next = tail.next();
    await db.runs.delete(run.id);
    await fails("NotFound", () => next);
    equal((await tail.next()).done, true);
  },
};
