const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export async function open(name, { durable }) {
  const opening = indexedDB.open(`bench-${name}`, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("kv");
  const db = await done(opening);
  const durability = durable ? "strict" : "relaxed";
  const write = (work) =>
    new Promise((resolve, reject) => {
      const transaction = db.transaction("kv", "readwrite", { durability });
      transaction.oncomplete = () => resolve();
      transaction.onerror = () => reject(transaction.error);
      work(transaction.objectStore("kv"));
    });
  const store = () => db.transaction("kv", "readonly").objectStore("kv");
  return {
    put: (key, value) => write((kv) => kv.put(value, key)),
    putMany: (pairs) =>
      write((kv) => {
        for (const [key, value] of pairs) kv.put(value, key);
      }),
    get: (key) => done(store().get(key)),
    async range(from, count) {
      const [kv, bound] = [store(), IDBKeyRange.lowerBound(from)];
      const [keys, values] = await Promise.all([done(kv.getAllKeys(bound, count)), done(kv.getAll(bound, count))]);
      return keys.map((key, place) => [key, values[place]]);
    },
    close: () => db.close(),
  };
}
