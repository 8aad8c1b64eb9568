import { openInWorker } from "/node_modules/foldb/dist/index.js";

export async function open(name, { durable }) {
  const db = await openInWorker(`bench-${name}`, { durability: durable ? "strict" : "buffered", persist: false });
  return {
    put: (key, value) => db.kv.put(key, value),
    putMany: (pairs) => db.kv.putMany(pairs),
    get: (key) => db.kv.get(key),
    range: (from, count) => db.kv.scan({ from, limit: count }),
    close: () => db.close(),
  };
}
