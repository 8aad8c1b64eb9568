// What both forms of the API promise of what is done once, under an idempotency key. Part of the list in shared.mjs.

import { chain, equal, fails } from "./expect.mjs";

/** Pays 80 of what is there, which can be done once only. */
const pay = (tx) =>
  chain(tx.kv.getOr("balance", 0n), (balance) => {
    if (balance < 80n) throw new Error(`only ${balance} there`);
    return chain(tx.kv.put("balance", balance - 80n), () => balance - 80n);
  });

export const once = {
  async what_was_done_once_is_not_begun_again(db) {
    await db.kv.put("balance", 100n);
    equal(await db.seen("payment 1"), { seen: false, since: 1 });
    equal(await db.once("payment 1", pay), 20n);
    equal(await db.once("payment 1", pay), 20n);
    equal(await db.kv.get("balance"), 20n);
    const first = await db.seen("payment 1");
    equal([first.seen, first.seq, first.timeMicros > 0], [true, 2, true]);
    const { value, receipt } = await db.onceWith({ idempotencyKey: "payment 1" }, pay);
    equal([value, receipt.deduplicated, receipt.seq], [20n, true, 2]);
    let message = "";
    try {
      await db.once("payment 2", pay);
    } catch (error) {
      message = error.message;
    }
    equal(message, "only 20 there");
    equal((await db.seen("payment 2")).seen, false);
  },

  async a_closure_under_a_known_key_does_not_run(db) {
    const begin = () => db.once("run of today", (tx) => chain(tx.runs.begin({ name: "today" }), (run) => run.id));
    const id = await begin();
    equal(await begin(), id);
    equal((await (await db.runs.get(id)).info()).name, "today");
    const options = { idempotencyKey: "run of today" };
    await fails("AlreadyDone", () =>
      db.transactionWith(options, () => {
        throw new Error("it was done before");
      }),
    );
    const tx = await db.beginTransaction(options);
    await tx.kv.put("a", 1);
    equal((await tx.commit()).deduplicated, true);
    equal(await db.kv.get("a"), undefined);
  },

  async what_gives_nothing_gives_null_the_first_time_too(db) {
    equal(await db.once("k", (tx) => tx.kv.put("a", 1)), null);
    equal(await db.once("k", (tx) => tx.kv.put("a", 2)), null);
    equal(await db.kv.get("a"), 1);
  },

  async other_contents_under_a_key_are_refused(db) {
    const given = (fingerprint) => db.once("k", (tx) => chain(tx.kv.addI64("n", 1), () => "done"), { fingerprint });
    equal(await given("80 to Ada"), "done");
    equal(await given("80 to Ada"), "done");
    await fails("Precondition", () => given("80 to Bob"));
    await fails("Precondition", () => given());
    await fails("Limit", () => db.once("large", () => "x".repeat(5000)));
    await fails("Invalid", () => db.once("function", () => () => 1));
    await fails("Invalid", () => db.onceWith({}, () => 1));
    await db.transactionWith({ idempotencyKey: "plain" }, (tx) => tx.kv.put("a", 1));
    await fails("Precondition", () => db.once("plain", () => 1));
    equal(await db.kv.get("n"), 1n);
  },

  async the_window_of_keys_ends_and_says_so(db) {
    equal(await db.idempotencyWindow(), { keys: 0, keysMax: 65_536, ageMsMax: undefined, since: 1 });
    await db.setIdempotencyWindow(2, 86_400_000);
    for (const key of ["a", "b", "c"]) await db.once(key, () => key);
    equal(await db.idempotencyWindow(), { keys: 2, keysMax: 2, ageMsMax: 86_400_000, since: 3 });
    equal(await db.seen("a"), { seen: false, since: 3 });
    equal((await db.seen("c")).seen, true);
    await fails("Invalid", () => db.setIdempotencyWindow(0));
    await fails("Limit", () => db.setIdempotencyWindow(2 ** 21));
  },
};
