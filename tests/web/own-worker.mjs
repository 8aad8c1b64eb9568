// A worker of one's own, with the synchronous API.

import * as foldb from "/node_modules/foldb/dist/index.js";

import { cases } from "/shared.mjs";

const commands = {
  async cases() {
    const failures = [];
    for (const [name, run] of Object.entries(cases)) {
      const db = await foldb.openInWorker(`own ${name}`, { durability: "buffered" });
      try {
        await run(db, foldb);
      } catch (error) {
        failures.push(`${name}: ${error.stack}`);
      }
      await db.close();
      await foldb.destroy(`own ${name}`);
    }
    return failures;
  },
};

/** Times of the synchronous API, in microseconds. */
commands.times = async () => {
  const db = await foldb.openInWorker("times");
  const value = new Uint8Array(100);
  const keys = Array.from({ length: 100_000 }, () => crypto.randomUUID().slice(0, 20));
  const times = {};
  const time = (name, count, work) => {
    const begin = performance.now();
    work();
    times[name] = ((performance.now() - begin) * 1000) / count;
  };
  time("bulk load of 100K, in all", 1, () => {
    for (let at = 0; at < keys.length; at += 10_000) db.kv.putMany(keys.slice(at, at + 10_000).map((key) => [key, value]));
  });
  const at = keys.map((_, i) => keys[(i * 7919) % keys.length]);
  const map = new Map(keys.map((key) => [key, value.slice()]));
  for (let round = 0; round < 3; round++) {
    time("floor: random get of a Map", at.length, () => at.forEach((key) => map.get(key).slice()));
    time("random get", at.length, () => at.forEach((key) => db.kv.get(key)));
    time("range of 100", 1000, () => keys.slice(0, 1000).forEach((from) => db.kv.scan({ from, limit: 100 })));
    time("1000 puts in one durable transaction", 1, () => db.transaction((tx) => keys.slice(0, 1000).forEach((key) => tx.kv.put(key, value))));
    time("1000 puts by putMany", 1, () => db.kv.putMany(keys.slice(0, 1000).map((key) => [key, value])));
    time("durable put", 100, () => keys.slice(0, 100).forEach((key) => db.kv.put(key, value)));
  }
  await db.close();
  const buffered = await foldb.openInWorker("times", { durability: "buffered" });
  // Reads every page of the snapshot once: what is timed is putting.
  buffered.kv.count();
  time("buffered put", 20_000, () => keys.slice(0, 20_000).forEach((key) => buffered.kv.put(key, value)));
  await buffered.close();
  await foldb.destroy("times");
  return times;
};

onmessage = async ({ data }) => {
  try {
    postMessage(await commands[data]());
  } catch (error) {
    postMessage([String(error.stack ?? error)]);
  }
};
