// Keys, values and random numbers that are the same for every engine.

/** A generator of whole numbers below 2^32, the same for the same seed. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** Key number so and so: 16 letters and digits in no order. */
export function key(number) {
  const next = random(number);
  const part = () => next().toString(16).padStart(8, "0");
  return part() + part();
}

/** 100 bytes. */
export function value(number) {
  const bytes = new Uint8Array(100);
  new DataView(bytes.buffer).setUint32(0, number);
  bytes.fill(number % 251, 4);
  return bytes;
}

/** Pairs of the numbers from `first` on, in the order of their keys. */
export function pairs(first, count) {
  const made = Array.from({ length: count }, (_, place) => [key(first + place), value(first + place)]);
  return made.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What engines there are: the module, how it is opened, and what it is called. */
export const ENGINES = {
  floor: { module: "floor", title: "floor: access handle, Map" },
  foldb: { module: "foldb", title: "foldb" },
  sahpool: { module: "sahpool", title: "sqlite-wasm sahpool", slow: true },
  "sahpool-wal": { module: "sahpool", title: "sqlite-wasm sahpool WAL", wal: true },
  "wa-sqlite": { module: "wa-sqlite", title: "wa-sqlite" },
  pglite: { module: "pglite", title: "PGlite", slow: true },
  indexeddb: { module: "indexeddb", title: "IndexedDB", slow: true },
};

/** How many records the store has that is read. */
export const LOADED = 100_000;
