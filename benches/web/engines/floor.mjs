// The plain work for the same bytes: a bare access handle that is written and flushed, and a Map. No store can be quicker.
//
// Where a store may put several records together before it writes, so does the floor: one transaction, and a load, are encoded
// into pieces and written piece by piece, and what is relaxed is written once a buffer is full. A durable put is one write and
// one flush.

/** Bytes of a piece: what the file system takes in one call at its best. */
const PIECE_BYTES = 1 << 20;
/** What a relaxed put may lose, at most. */
const RELAXED_BYTES = 64 << 10;

export async function open(name, { durable }) {
  const root = await navigator.storage.getDirectory();
  const file = await root.getFileHandle(`floor-${name}`, { create: true });
  const handle = await file.createSyncAccessHandle();
  const map = new Map();
  let sorted;
  let end = 0;
  const piece = new Uint8Array(PIECE_BYTES);
  const at = { at: 0 };
  let filled = 0;
  const write = () => {
    at.at = end;
    end += handle.write(piece.subarray(0, filled), at);
    filled = 0;
  };
  const add = (key, value) => {
    // Keys are ASCII here; an encoder takes longer for so few letters.
    for (let i = 0; i < key.length; i++) piece[filled + i] = key.charCodeAt(i);
    piece.set(value, filled + key.length);
    filled += key.length + value.length;
    map.set(key, value);
  };
  return {
    put(key, value) {
      add(key, value);
      if (durable) {
        write();
        handle.flush();
      } else if (filled >= RELAXED_BYTES) {
        write();
      }
      sorted = undefined;
    },
    putMany(pairs) {
      for (const [key, value] of pairs) {
        if (filled + 4096 > PIECE_BYTES) write();
        add(key, value);
      }
      write();
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
