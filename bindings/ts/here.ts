// Stores in this very thread, and what can be done with stores that are not open.

import type { OpenOptions, SyncDb } from "./api.js";
import { pour, type ArchiveSource, type Imported } from "./archive.js";
import { checkPlatform, hold, openHere, withQuota } from "./browser.js";
import { FoldbError, thrown } from "./errors.js";
import { localDb } from "./local.js";
import { destroyStore, listStores, load, Store, StoreImport } from "./module.js";
import { encodeOptions } from "./options.js";

export async function memory(options: OpenOptions): Promise<SyncDb> {
  const settled: OpenOptions = { durability: "buffered", ...options };
  const encoded = encodeOptions(settled);
  const { memory } = await load();
  const store = guarded(() => Store.openMemory(encoded));
  return localDb({ name: "memory", store, memory, options: { ...settled, durability: "inMemory" } });
}

export async function openInWorker(name: string, options: OpenOptions): Promise<SyncDb> {
  const { store, memory, release } = await openHere(name, options, encodeOptions(options)).catch(rethrow);
  return localDb({ name, store, memory, options, stats: withQuota, released: release });
}

export async function list(): Promise<string[]> {
  await load();
  return listStores().catch(rethrow);
}

export async function destroy(name: string): Promise<boolean> {
  await load();
  const release = await hold(`foldb:${name}`, 0);
  if (!release) throw new FoldbError("Locked", "Locked", `the store ${name} is open; close it before it is destroyed`);
  try {
    return await destroyStore(name);
  } catch (error) {
    throw thrown(error);
  } finally {
    release();
  }
}

/** Makes a store of an archive. One that was not there before is not there after a failure either. */
export async function importStore(name: string, source: ArchiveSource): Promise<Imported> {
  checkPlatform();
  await load();
  const release = await hold(`foldb:${name}`, 0);
  if (!release) throw new FoldbError("Locked", "Locked", `the store ${name} is open; import under another name`);
  try {
    const existed = (await listStores()).includes(name);
    try {
      return await pour(source, await StoreImport.intoOpfs(name, 0));
    } catch (error) {
      if (!existed) await destroyStore(name).catch(() => {});
      throw error;
    }
  } catch (error) {
    throw thrown(error);
  } finally {
    release();
  }
}

function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw thrown(error);
  }
}

function rethrow(error: unknown): never {
  throw thrown(error);
}
