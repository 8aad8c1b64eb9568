// The stores of an origin that are not open: listing, destroying, importing. In a worker.

import type { WorkOptions } from "./api.js";
import { pour, type ArchiveSource, type Imported } from "./archive.js";
import { checkPlatform, hold, lockedBy, lockName, LOCK_WAIT_MILLIS } from "./browser.js";
import { rethrow } from "./errors.js";
import { checkName, checkWork } from "./given.js";
import { destroyStore, listStores, load, StoreImport } from "./module.js";
import { check } from "./work.js";

export async function list(): Promise<string[]> {
  checkPlatform();
  await load();
  return listStores().catch(rethrow);
}

export async function destroy(name: string): Promise<boolean> {
  return locked(name, "close it before it is destroyed", () => destroyStore(name).catch(rethrow));
}

/** Makes a store of an archive. One that was not there before is not there after a failure either. */
export async function importStore(name: string, source: ArchiveSource, options: WorkOptions): Promise<Imported> {
  checkWork("importStore", options);
  check(options.signal);
  return locked(name, "import under another name", async () => {
    const existed = (await list()).includes(name);
    try {
      return await pour(source, await StoreImport.intoOpfs(name, LOCK_WAIT_MILLIS).catch(rethrow), options);
    } catch (error) {
      if (!existed) await destroyStore(name).catch(() => {});
      throw error;
    }
  });
}

/** Works on a store that nobody has open. A worker that has just ended may hold it for a moment yet. */
async function locked<T>(name: string, advice: string, work: () => Promise<T>): Promise<T> {
  checkName(name);
  checkPlatform();
  await load();
  const release = await hold(lockName(name), LOCK_WAIT_MILLIS);
  if (!release) throw lockedBy(name, advice);
  try {
    return await work();
  } finally {
    release();
  }
}
