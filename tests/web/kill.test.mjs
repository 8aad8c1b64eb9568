// The whole browser is killed right after it has acknowledged a strict commit, again and again, on one profile. Whatever was
// acknowledged is there when the next browser opens the store; what was under way may be there or not, and nothing is torn.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { clearAway, serve, Victim } from "./victim.mjs";

const ROUNDS = 50;
/** In the page: says what is there, then commits one number after another and acknowledges each. */
async function work({ next, several }) {
  const { open } = await import("/node_modules/foldb/dist/index.js");
  const db = await open("killed", { durability: "strict", segmentBytes: 65536, snapshotLogBytes: 200_000 });
  const events = new Set((await db.events.range("numbers")).map(({ payload }) => payload));
  const pairs = (await db.kv.scan({ prefix: "number/" })).map(({ key, value }) => {
    const number = Number(key.slice("number/".length));
    const whole = value.length === 300 + (number % 50) && value.every((byte) => byte === number % 251);
    return [number, whole, events.has(number)];
  });
  if (events.size !== pairs.length) throw new Error(`${events.size} events and ${pairs.length} pairs`);
  const commit = (number) =>
    db.transaction(async (tx) => {
      await tx.kv.put(`number/${number}`, new Uint8Array(300 + (number % 50)).fill(number % 251));
      await tx.events.append("numbers", "number", number);
    });
  void (async () => {
    for (let number = next; ; number += several) {
      // Several at once share a sync, and are acknowledged in any order.
      await Promise.all(
        Array.from({ length: several }, async (_, place) => {
          await commit(number + place);
          await fetch(`/acknowledge?number=${number + place}`);
        }),
      );
    }
  })();
  return { created: db.created, pairs };
}

test(`a browser that is killed after an acknowledged strict commit has lost nothing, ${ROUNDS} times`, { timeout: 600_000 }, async () => {
  const profile = mkdtempSync(join(tmpdir(), "foldb-kill-"));
  const acknowledged = new Set();
  let victim;
  let left = 0;
  const acknowledge = (parameters) => {
    if (left <= 0) return;
    acknowledged.add(Number(parameters.get("number")));
    if (--left === 0) victim.kill();
  };
  const server = await serve({ "/acknowledge": acknowledge });
  try {
    const address = `http://127.0.0.1:${server.address().port}/`;
    let next = 1;
    for (let round = 0; round <= ROUNDS; round++) {
      victim = new Victim(profile);
      const page = await victim.page(address);
      // Not killed before it has said what it found.
      left = 0;
      const several = 1 + (round % 3);
      const { created, pairs } = await page.evaluate(work, { next, several });
      assert.equal(created, round === 0, `round ${round}: a store that was there is opened, not created`);
      const found = new Map(pairs.map(([number, ...rest]) => [number, rest]));
      for (const number of acknowledged) {
        assert.ok(found.has(number), `round ${round}: ${number} was acknowledged and is not there`);
      }
      for (const [number, [whole, event]] of found) {
        assert.ok(whole && event, `round ${round}: ${number} is there in part: value ${whole}, event ${event}`);
      }
      next = Math.max(0, ...found.keys(), ...acknowledged) + 1;
      if (round < ROUNDS) {
        // Between one and a dozen commits, then the kill: at another place of the log each time.
        left = 1 + ((round * 7) % 12);
        await victim.dead;
      }
    }
    assert.ok(acknowledged.size >= ROUNDS, `${acknowledged.size} commits were acknowledged before a kill`);
  } finally {
    await clearAway(victim, server, profile);
  }
});
