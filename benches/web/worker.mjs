// A dedicated worker with one engine in it. It measures inside, so that no message is part of a figure but where messages are
// what is measured.

import { ENGINES, LOADED, key, pairs, random, value } from "./shared.mjs";

let engine;
let modes;
let stores = {};
/** Numbers of records that were put so far: each put is of a new key. */
let next = 10_000_000;
/** Where random reads go on from. */
let seed = 1;

const median = (samples) => samples.sort((a, b) => a - b)[samples.length >> 1];

async function start(name) {
  engine = ENGINES[name];
  modes = await import(`./engines/${engine.module}.mjs`);
}

const store = async (name, durable) => (stores[name] ??= await modes.open(name, { durable, wal: engine.wal }));

/** Microseconds of each call, waited for where it gives a promise. */
async function each(count, call) {
  const samples = [];
  for (let round = 0; round < count; round++) {
    const begin = performance.now();
    const result = call(round);
    if (result instanceof Promise) await result;
    samples.push((performance.now() - begin) * 1000);
  }
  return samples;
}

/** Microseconds for a call, over so many of them: for what is shorter than the clock is fine. */
async function mean(count, call) {
  const begin = performance.now();
  for (let round = 0; round < count; round++) {
    const result = call(round);
    if (result instanceof Promise) await result;
  }
  return ((performance.now() - begin) * 1000) / count;
}

const few = (many, slow) => (engine.slow ? slow : many);

const works = {
  async "put-durable"() {
    const kv = await store("durable", true);
    return median(await each(few(300, 150), () => kv.put(key(next), value(next++))));
  },
  async "put-relaxed"() {
    const kv = await store("relaxed", false);
    // Keys are made before: their making is not the work.
    const made = pairs(next, few(3000, 300));
    next += made.length;
    return mean(made.length, (round) => kv.put(made[round][0], made[round][1]));
  },
  async "batch-durable"() {
    const kv = await store("durable", true);
    const rounds = Array.from({ length: 5 }, () => {
      const made = pairs(next, 1000);
      next += 1000;
      // In no order, as a program has them.
      return made.sort(([, a], [, b]) => a[3] - b[3]);
    });
    return median(await each(rounds.length, (round) => kv.putMany(rounds[round]))) / 1000;
  },
  async bulk() {
    const made = pairs(0, LOADED);
    const first = !stores.loaded;
    // The first load stays: it is what is read. The later ones go to a store of their own each.
    const kv = first ? await store("loaded", true) : await modes.open(`bulk-${next++}`, { durable: true, wal: engine.wal });
    const [micros] = await each(1, () => kv.putMany(made));
    if (!first) await kv.close();
    return micros / 1000;
  },
  async "get-worker"() {
    const kv = await store("loaded", true);
    const pick = random(seed++);
    const wanted = Array.from({ length: few(20_000, 2000) }, () => key(pick() % LOADED));
    const probe = await kv.get(wanted[0]);
    if (probe?.length !== 100) throw new Error(`${engine.title} does not have ${wanted[0]}`);
    return 1e6 / (await mean(wanted.length, (round) => kv.get(wanted[round])));
  },
  async range() {
    const kv = await store("loaded", true);
    const pick = random(seed++);
    // Not from the last of the keys on, where there are fewer than 100 more.
    const wanted = Array.from({ length: few(1000, 200) }, () => key(pick() % LOADED)).filter((from) => from < "f");
    const probe = await kv.range(wanted[0], 100);
    if (probe.length !== 100) throw new Error(`${engine.title} has ${probe.length} instead of 100`);
    return mean(wanted.length, (round) => kv.range(wanted[round], 100));
  },
  /** The reads of one message: what an app does that has its store in a worker. */
  async getMany(wanted) {
    const kv = await store("loaded", true);
    const found = [];
    for (const key of wanted) {
      const value = kv.get(key);
      found.push(value instanceof Promise ? await value : value);
    }
    return found;
  },
  async close() {
    for (const kv of Object.values(stores)) await kv.close();
    stores = {};
  },
};

self.onmessage = async ({ data: { id, work, argument } }) => {
  try {
    if (work === "start") await start(argument);
    self.postMessage({ id, result: work === "start" ? undefined : await works[work](argument) });
  } catch (error) {
    self.postMessage({ id, error: String(error?.stack ?? error) });
  }
};
