// What both forms of the API promise of why commits are made. Part of the list in shared.mjs.

import { chain, equal, fails } from "./expect.mjs";

export const causes = {
  async a_commit_says_when_it_was_made_on_what_and_why(db) {
    const heard = db.subscribe();
    await db.kv.put("limit", 1);
    const asked = await db.transactionWith({ because: "asked for by Ada" }, (tx) => chain(tx.kv.get("limit"), (limit) => tx.kv.put("limit", limit + 1)));
    const { seq, timeMicros, ...why } = await db.commitInfo(asked.receipt.seq);
    equal([seq, timeMicros > 1.6e15, why], [2, true, { base: 1, cause: { text: "asked for by Ada" }, idempotencyKey: undefined }]);
    equal((await db.kv.getVersioned("limit")).version, seq);
    const blind = await db.commitInfo(1);
    equal([blind.base, blind.cause], [undefined, undefined]);
    equal([await db.commitInfo(0), await db.commitInfo(3)], [undefined, undefined]);
    await fails("Invalid", () => db.commitInfo(0.5));
    const causes = [];
    while (causes.length < 2) causes.push((await heard.next()).value.cause);
    equal(causes, [undefined, { text: "asked for by Ada" }]);
    await heard.return();
  },

  async a_trace_entry_is_a_cause_and_is_never_taken_for_a_text(db) {
    const id = await db.trace.record({ kind: "thought", name: "the stock is low" });
    const cause = async (seq) => (await db.commitInfo(seq)).cause;
    const made = async (because) => (await db.transactionWith({ because }, (tx) => tx.kv.put("order", 12))).receipt.seq;
    equal(await cause(await made({ trace: id })), { trace: id });
    equal(await cause(await made(id)), { text: id }, "a text that looks like an id");
    equal(await cause(await made({ text: id })), { text: id });
    // What comes out goes in.
    equal(await cause(await made(await cause(2))), { trace: id });
  },

  async what_a_transaction_says_last_of_its_cause_counts(db) {
    const heard = db.subscribe();
    await db.transaction((tx) => chain(tx.because("a thought"), () => chain(tx.because({ text: "a better one" }), () => tx.kv.put("a", 1))), { because: "at first" });
    const tx = await db.beginTransaction({ because: "by hand" });
    await tx.kv.put("b", 1);
    const { seq } = await tx.commit();
    await db.once("order 7", (tx) => tx.kv.put("c", 1), { because: "once" });
    await db.onceWith({ idempotencyKey: new Uint8Array([255]), because: "bytes" }, (tx) => tx.kv.put("d", 1));
    const found = [];
    while (found.length < 4) found.push((await heard.next()).value.cause.text);
    equal(found, ["a better one", "by hand", "once", "bytes"]);
    equal((await db.commitInfo(seq)).cause, { text: "by hand" });
    equal([(await db.commitInfo(3)).idempotencyKey, (await db.commitInfo(4)).idempotencyKey], ["order 7", new Uint8Array([255])]);
    await heard.return();
  },

  async a_cause_that_is_none_is_refused_before_anything_is_written(db) {
    const put = (tx) => tx.kv.put("a", 1);
    for (const because of ["", {}, { text: "a", trace: "00000000-0000-7000-8000-000000000000" }, { trace: "no id" }, { txt: "a" }, 7, []]) {
      await fails("Invalid", () => db.transaction(put, { because }));
      await fails("Invalid", () => db.transaction((tx) => chain(put(tx), () => tx.because(because))));
    }
    await fails("Limit", () => db.transaction(put, { because: "x".repeat(257) }));
    equal([await db.kv.exists("a"), (await db.view()).seq], [false, 0]);
    await db.transaction(put, { because: "x".repeat(256) });
    equal((await db.commitInfo(1)).cause.text.length, 256);
  },
};
