// What runs on the page: engines in their workers, and what is measured from the main thread.

import { ENGINES, LOADED, key, random } from "./shared.mjs";

const workers = new Map();
let seed = 1000;

/** A worker with this engine. */
export async function start(name) {
  const worker = new Worker("/worker.mjs", { type: "module" });
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(new Error(`${name}: ${error}`));
    else resolve(result);
  };
  worker.onerror = ({ message }) => {
    for (const { reject } of waiting.values()) reject(new Error(`${name}: ${message}`));
  };
  const ask = (work, argument) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, work, argument });
    });
  workers.set(name, ask);
  await ask("start", name);
}

export const measure = (name, work) => workers.get(name)(work);

/** How one record is read from the main thread, in the way that each engine is used from there. */
async function reader(name, store) {
  if (name === "foldb") {
    const { open } = await import("/node_modules/foldb/dist/index.js");
    const db = await open(`bench-${store}`, { persist: false });
    return { get: (wanted) => db.kv.get(wanted), close: () => db.close() };
  }
  if (name === "indexeddb") {
    const kv = await (await import("./engines/indexeddb.mjs")).open(store, { durable: true });
    return { get: kv.get, close: kv.close };
  }
  if (!workers.has(name)) await start(name);
  // What is asked for in one tick travels in one message, as foldb does it: a message for each costs more than most reads.
  let asked = [];
  const send = async () => {
    const batch = asked;
    asked = [];
    const values = await workers.get(name)("getMany", batch.map(({ wanted }) => wanted));
    batch.forEach(({ resolve }, place) => resolve(values[place]));
  };
  const get = (wanted) =>
    new Promise((resolve, reject) => {
      if (asked.push({ wanted, resolve }) === 1) queueMicrotask(() => send().catch(reject));
    });
  return { get, close: () => {} };
}

/** Reads for a second from the main thread with so many in flight. */
export async function mainThread(name, inFlight, count) {
  const { get, close } = await reader(name, "loaded");
  const pick = random(seed++);
  const wanted = Array.from({ length: count }, () => key(pick() % LOADED));
  const probe = await get(wanted[0]);
  if (probe?.length !== 100) throw new Error(`${name} does not have ${wanted[0]}`);
  const begin = performance.now();
  let at = 0;
  const lane = async () => {
    while (at < count) await get(wanted[at++]);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const second = (performance.now() - begin) / 1000;
  await close();
  return count / second;
}

/** From navigation to the first record, in a page that has just been opened. */
export async function firstGet(name) {
  const { get } = await reader(name, "loaded");
  const found = await get(key(4711));
  if (found?.length !== 100) throw new Error(`${name} does not have it`);
  return performance.now();
}

export { ENGINES };
