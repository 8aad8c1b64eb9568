// The stores of an origin that are not open: listing, destroying, importing. In a worker.

import type { WorkOptions } from "./api.js";
import { pour, type ArchiveSource, type Imported } from "./archive.js";
import { checkPlatform, hold } from "./browser.js";
import { FoldbError, rethrow } from "./errors.js";
import { destroyStore, listStores, load, StoreImport } from "./module.js";
import { check } from "./work.js";

export async function list(): Promise<string[]> {
  await load();
  return listStores().catch(rethrow);
}

export async function destroy(name: string): Promise<boolean> {
  await load();
  const release = await hold(`foldb:${name}`, 0);
  if (!release) throw new FoldbError("Locked", "Locked", `the store ${name} is open; close it before it is destroyed`);
  try {
    return await destroyStore(name).catch(rethrow);
  } finally {
    release();
  }
}

/** Makes a store of an archive. One that was not there before is not there after a failure either. */
export async function importStore(name: string, source: ArchiveSource, options: WorkOptions): Promise<Imported> {
  checkPlatform();
  check(options.signal);
  await load();
  const release = await hold(`foldb:${name}`, 0);
  if (!release) throw new FoldbError("Locked", "Locked", `the store ${name} is open; import under another name`);
  try {
    const existed = (await list()).includes(name);
    try {
      return await pour(source, await StoreImport.intoOpfs(name, 0).catch(rethrow), options);
    } catch (error) {
      if (!existed) await destroyStore(name).catch(() => {});
      throw error;
    }
  } finally {
    release();
  }
}
