// Stores in this very thread.

import type { OpenOptions, SyncDb } from "./api.js";
import { openHere, withQuota } from "./browser.js";
import { FoldbError, fromModule } from "./errors.js";
import { localDb } from "./local.js";
import { load, Store } from "./module.js";
import { checkName } from "./given.js";
import { checkOpening, encodeOptions } from "./options.js";
import { Watch } from "./work.js";

export async function memory(options: OpenOptions): Promise<SyncDb> {
  checkOpening(options);
  const settled: OpenOptions = { durability: "buffered", ...options };
  const encoded = encodeOptions(settled);
  const { memory } = await load();
  const store = fromModule(() => Store.openMemory(encoded));
  return localDb({ name: "memory", store, memory, options: { ...settled, durability: "inMemory" } });
}

export async function openInWorker(name: string, options: OpenOptions): Promise<SyncDb> {
  checkName(name);
  const encoded = encodeOptions(options);
  if (options.persist) {
    throw new FoldbError("Unsupported", "Persist", "browsers take `persist` from pages only: call navigator.storage.persist() in the page");
  }
  const { store, memory, release } = await openHere(name, options, encoded, new Watch(options));
  return localDb({ name, store, memory, options, stats: withQuota, released: release });
}
