// The plain work for the same bytes: a bare access handle that is written and flushed, and a Map. No store can be quicker.

import { encoder } from "../shared.mjs";

export async function open(name, { durable }) {
  const root = await navigator.storage.getDirectory();
  const file = await root.getFileHandle(`floor-${name}`, { create: true });
  const handle = await file.createSyncAccessHandle();
  const map = new Map();
  let sorted;
  let end = 0;
  const record = new Uint8Array(4096);
  const write = (key, value) => {
    const { written } = encoder.encodeInto(key, record);
    record.set(value, written);
    end += handle.write(record.subarray(0, written + value.length), { at: end });
    map.set(key, value);
  };
  return {
    put(key, value) {
      write(key, value);
      if (durable) handle.flush();
    },
    putMany(pairs) {
      for (const [key, value] of pairs) write(key, value);
      handle.flush();
      sorted = undefined;
    },
    get: (key) => map.get(key),
    range(from, count) {
      sorted ??= [...map.keys()].sort();
      let [low, high] = [0, sorted.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle] < from) low = middle + 1;
        else high = middle;
      }
      const found = [];
      for (const key of sorted.slice(low, low + count)) found.push([key, map.get(key)]);
      return found;
    },
    close: () => handle.close(),
  };
}
