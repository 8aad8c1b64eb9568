// A thread in which the module of the package stops, as a defect of it would make it stop (`memory.test.mjs`).

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parentPort } from "node:worker_threads";

import * as foldb from "foldb";
import { openDirectory } from "foldb/node";

const { load, Store } = await import(new URL("./node_modules/foldb/dist/internal.js", import.meta.url));
const kind = async (work) => {
  try {
    return (await work()) ?? "done";
  } catch ({ kind, message }) {
    return /new worker or process/.test(message) ? kind : message;
  }
};
const directory = join(mkdtempSync(join(tmpdir(), "foldb-trap-")), "store");
const [first, second, third] = [await foldb.memory(), await foldb.memory(), await openDirectory(directory)];
second.kv.put("a", 1);
third.kv.put("a", 1);
const module = await load();
const { call } = Store.prototype;
Store.prototype.call = () => module.store_call(0xffff_fff0, 1, 0);
const said = [await kind(() => first.kv.get("a"))];
Store.prototype.call = call;
for (const db of [first, second, third]) said.push(await kind(() => db.kv.get("a")), await kind(() => db.kv.put("b", 1)));
said.push(await kind(() => third.export()), await kind(() => third.close()), await kind(() => foldb.memory()), await kind(() => openDirectory(directory)));
parentPort.postMessage({ said, directory });
