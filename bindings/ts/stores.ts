// The stores of an origin that are not open: listing, destroying, importing. In a worker.

import { pour, type ArchiveSource, type Imported } from "./archive.js";
import { checkPlatform, hold } from "./browser.js";
import { FoldbError, thrown } from "./errors.js";
import { destroyStore, listStores, load, StoreImport } from "./module.js";

export async function list(): Promise<string[]> {
  await load();
  return listStores().catch((error: unknown) => {
    throw thrown(error);
  });
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
