// What both forms of the API promise of queues of jobs. Part of the list in shared.mjs.

import { chain, equal, fails } from "./expect.mjs";

const LEASE = 600_000;

const counts = (ready, delayed, leased, dead) => ({ ready, delayed, leased, dead });

export const queues = {
  async jobs_are_claimed_by_priority_and_then_in_the_order_of_their_pushes(db) {
    const mails = db.queue("mails");
    equal([mails.name, await mails.claim(LEASE), await mails.counts()], ["mails", undefined, counts(0, 0, 0, 0)]);
    const ids = [];
    for (const [payload, priority] of [["b", 128], ["c", undefined], [{ a: 1n }, 200], ["d", 0]]) ids.push(await mails.push(payload, { priority }));
    equal(ids.map((id) => /^[0-9a-f]{32}$/.test(id)), [true, true, true, true]);
    const [first, ...others] = await mails.claimMany(3, LEASE);
    equal([first.id, first.payload, first.attempt, first.leaseUntilMicros > Date.now() * 1000], [ids[2], { a: 1n }, 1, true]);
    equal(others.map(({ payload }) => payload), ["b", "c"]);
    equal((await mails.claim(LEASE)).payload, "d");
    equal(await mails.counts(), counts(0, 0, 4, 0));
    for (const job of [first, ...others]) await mails.ack(job);
    equal((await fails("Precondition", () => mails.ack(first))).message.includes(first.id), true);
    equal(await mails.counts(), counts(0, 0, 1, 0));
    // Another of the same name is the same, and others know nothing of it.
    equal([await db.queue("mails").counts(), await db.queue("mail").counts()], [counts(0, 0, 1, 0), counts(0, 0, 0, 0)]);
  },

  async a_job_is_pushed_and_done_with_the_transaction_that_it_is_in(db) {
    const mails = db.queue("mails");
    const own = new Error("mine");
    const thrown = await Promise.resolve()
      .then(() => db.transaction((tx) => chain(mails.pushIn(tx, "never"), () => { throw own; })))
      .catch((error) => error);
    equal([thrown === own, await mails.counts()], [true, counts(0, 0, 0, 0)]);
    const id = await db.transaction((tx) => chain(tx.kv.put("order", 1), () => mails.pushIn(tx, "order 1", { priority: 9 })));
    const job = await mails.claim(LEASE);
    equal([job.id, job.payload], [id, "order 1"]);
    await db.transaction((tx) => chain(tx.kv.addI64("sent", 1), () => mails.ackIn(tx, job)));
    equal([await db.kv.get("sent"), await mails.counts()], [1n, counts(0, 0, 0, 0)]);
    await fails("Invalid", () => mails.pushIn(db, 1));
    await fails("Invalid", () => mails.ackIn(undefined, job));
    await fails("Invalid", () => db.transaction((tx) => chain(db.runs.begin({ name: "r" }), (run) => mails.pushIn(tx.run(run.id), 1))));
  },

  async whoever_has_lost_the_lease_finishes_nothing_and_has_no_effect(db) {
    const mails = db.queue("mails");
    await mails.push("a");
    // A lease of no time has ended when the next one claims.
    const lost = await mails.claim(0);
    const again = await mails.claim(LEASE);
    equal([again.id, again.attempt], [lost.id, 2]);
    await fails("Precondition", () => db.transaction((tx) => chain(tx.kv.addI64("sent", 1), () => mails.ackIn(tx, lost))));
    await fails("Precondition", () => mails.nack(lost, "late"));
    await fails("Precondition", () => mails.extend(lost, LEASE));
    equal([await db.kv.get("sent"), await mails.counts()], [undefined, counts(0, 0, 1, 0)]);
    const before = again.leaseUntilMicros;
    await mails.extend(again, 2 * LEASE);
    equal(again.leaseUntilMicros > before, true, "it lasts longer");
    await db.transaction((tx) => chain(tx.kv.addI64("sent", 1), () => mails.ackIn(tx, again)));
    equal(await db.kv.get("sent"), 1n);
  },

  async a_job_that_fails_too_often_is_dead_and_is_revived_or_discarded(db) {
    const mails = db.queue("mails");
    const [first, second] = [await mails.push("a", { attempts: 2, backoffMs: 0 }), await mails.push("b", { attempts: 1 })];
    for (let round = 0; round < 2; round++) {
      for (const job of await mails.claimMany(2, LEASE)) await mails.nack(job, `no answer to ${job.payload}`);
    }
    equal([await mails.claim(LEASE), await mails.counts()], [undefined, counts(0, 0, 0, 2)]);
    equal(await mails.dead(10), [
      { id: first, payload: "a", attempts: 2, error: "no answer to a" },
      { id: second, payload: "b", attempts: 1, error: "no answer to b" },
    ]);
    equal((await mails.dead(1)).length, 1);
    await mails.revive(first);
    const revived = await mails.claim(LEASE);
    equal([revived.id, revived.attempt], [first, 3]);
    await fails("NotFound", () => mails.discard(first));
    await fails("NotFound", () => mails.revive("0".repeat(32)));
    await mails.discard(second);
    await mails.ack(revived);
    const left = (await db.kv.keys({ prefix: "queue\0mails\0", keys: "bytes" })).map((key) => new TextDecoder().decode(key).slice(12));
    equal([await mails.counts(), left], [counts(0, 0, 0, 0), ["cdead", "cleased", "cready"]], "nothing is left but counters");
  },

  async a_failed_job_waits_for_its_pause_and_a_delayed_one_for_its_time(db) {
    const mails = db.queue("mails");
    await mails.push("later", { delayMs: 3_600_000 });
    await mails.push("fails", { backoffMs: 3_600_000 });
    await mails.nack(await mails.claim(LEASE), "no answer");
    equal([await mails.claim(LEASE), await mails.counts()], [undefined, counts(0, 2, 0, 0)]);
    // Whoever waits is woken by the time itself.
    await mails.push("soon", { delayMs: 30 });
    const job = await mails.wait(LEASE);
    equal([job.payload, await mails.counts()], ["soon", counts(0, 2, 1, 0)]);
  },

  async a_push_with_a_key_is_made_once_also_when_its_job_is_done(db) {
    const mails = db.queue("mails");
    const push = () => mails.push("a", { idempotencyKey: "order 7" });
    const id = await push();
    equal(await push(), id);
    await mails.ack(await mails.claim(LEASE));
    equal([await push(), await mails.counts()], [id, counts(0, 0, 0, 0)]);
    equal((await db.queue("others").push("a", { idempotencyKey: "order 7" })) === id, false, "keys are of one queue");
  },

  async whoever_waits_is_woken_by_a_push_and_not_by_anything_else(db) {
    const mails = db.queue("mails");
    const job = mails.wait(LEASE);
    await db.kv.put("a", 1);
    await db.queue("others").push(1);
    const id = await mails.push("a");
    equal((await job).id, id);
    // By the end of a lease of one that has died, too.
    await mails.push("b");
    const lost = await mails.claim(20);
    const again = await mails.wait(LEASE);
    equal([again.id, again.attempt], [lost.id, 2]);
    // By what is pushed in a transaction.
    const third = mails.wait(LEASE);
    await db.transaction((tx) => mails.pushIn(tx, "c"));
    equal((await third).payload, "c");
  },

  async waiting_ends_by_its_time_and_by_its_signal(db) {
    const mails = db.queue("mails");
    equal(await mails.wait(LEASE, { timeoutMs: 0 }), undefined);
    equal(await mails.wait(LEASE, { timeoutMs: 5 }), undefined);
    const reason = new Error("enough");
    const controller = new AbortController();
    const waiting = mails.wait(LEASE, { signal: controller.signal });
    await db.kv.put("a", 1);
    controller.abort(reason);
    equal((await fails("Cancelled", () => waiting)).cause === reason, true, "the reason");
    await mails.push("a");
    await fails("Cancelled", () => mails.wait(LEASE, { signal: controller.signal }));
    equal((await mails.wait(LEASE, { signal: new AbortController().signal })).payload, "a");
    for (const options of [{ timeoutMs: -1 }, { timeoutMs: "5" }, { timeoutMs: NaN }, { signal: {} }]) await fails("Invalid", () => mails.wait(LEASE, options));
  },

  async several_consumers_do_each_job_once(db) {
    const mails = db.queue("mails");
    const done = new AbortController();
    let left = 60;
    const consume = async () => {
      const payloads = [];
      for (;;) {
        const job = await mails.wait(LEASE, { signal: done.signal }).catch((error) => {
          if (error.kind !== "Cancelled") throw error;
        });
        if (!job) return payloads;
        payloads.push(job.payload);
        await db.transaction((tx) => chain(tx.kv.addI64(`done/${job.payload}`, 1), () => mails.ackIn(tx, job)));
        if (--left === 0) done.abort();
      }
    };
    const consumers = Array.from({ length: 8 }, consume);
    for (let number = 0; number < 60; number += 3) await Promise.all([0, 1, 2].map((more) => mails.push(number + more)));
    const payloads = (await Promise.all(consumers)).flat();
    equal(payloads.sort((a, b) => a - b), Array.from({ length: 60 }, (_, number) => number));
    equal((await db.kv.scan({ prefix: "done/" })).map(({ value }) => value), Array(60).fill(1n));
    equal(await mails.counts(), counts(0, 0, 0, 0));
  },

  async what_is_no_queue_and_no_job_is_refused(db) {
    await fails("Invalid", () => db.queue("a\0b").push(1));
    await fails("Limit", () => db.queue("x".repeat(300)).counts());
    const mails = db.queue("mails");
    await fails("Invalid", () => mails.push(undefined));
    await fails("Invalid", () => mails.push(1, { priority: 256 }));
    await fails("Invalid", () => mails.push(1, { priority: -1 }));
    await fails("Invalid", () => mails.push(1, { delayMs: 0.5 }));
    await fails("Invalid", () => mails.claim());
    await fails("Invalid", () => mails.claimMany("3", LEASE));
    await fails("Invalid", () => mails.ack({}));
    await fails("Invalid", () => mails.ack());
    await fails("Precondition", () => mails.ack({ id: "0".repeat(32), attempt: 1 }));
    await fails("Invalid", () => mails.revive("not an id"));
    equal(await db.kv.count(), 0, "nothing was done");
    await mails.push("a");
  },
};
