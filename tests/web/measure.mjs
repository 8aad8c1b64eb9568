// Times in Chromium, for orientation: `node measure.mjs` in the folder that `cargo xtask test --only web-package` leaves.

import { Site } from "./site.mjs";

const site = await Site.start();
const times = await site.inWorker("times");
const page = await site.run(async ({ foldb }) => {
  const db = await foldb.open("main times");
  const value = new Uint8Array(100);
  const keys = Array.from({ length: 10_000 }, () => crypto.randomUUID().slice(0, 20));
  await db.kv.putMany(keys.map((key) => [key, value]));
  const rate = async (count, inFlight, work) => {
    let next = 0;
    const begin = performance.now();
    await Promise.all(
      Array.from({ length: inFlight }, async () => {
        while (next < count) await work(keys[(next++ * 7919) % keys.length]);
      }),
    );
    return (count / (performance.now() - begin)) * 1000;
  };
  const rates = {};
  for (let round = 0; round < 3; round++) {
    rates["get, main thread, 64 in flight, per s"] = await rate(50_000, 64, (key) => db.kv.get(key));
    rates["get, main thread, one at a time, per s"] = await rate(5_000, 1, (key) => db.kv.get(key));
    rates["durable put, main thread, 64 in flight, per s"] = await rate(5_000, 64, (key) => db.kv.put(key, value));
    rates["durable put, main thread, one at a time, per s"] = await rate(500, 1, (key) => db.kv.put(key, value));
  }
  await db.close();
  await foldb.destroy("main times");
  return rates;
});
for (const [name, number] of Object.entries({ ...times, ...page })) console.log(name.padEnd(50), number.toFixed(number < 100 ? 2 : 0));
await site.stop();
