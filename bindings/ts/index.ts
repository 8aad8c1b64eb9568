// The package `foldb`.

import type { OpenOptions, SyncDb, WorkOptions } from "./api.js";

import type { ArchiveSource, Imported } from "./archive.js";
import { destroyByWorker, importByWorker, listByWorker } from "./errand.js";
import { checkSurplus } from "./given.js";

export type * from "./api.js";
export type { ArchiveSource, Imported } from "./archive.js";
export { open } from "./client.js";
export { FoldbError } from "./errors.js";
export { Tagged, U256 } from "./values.js";

/** Whether this is a page, where browsers open no files. */
const inPage = typeof document !== "undefined";

// The main thread needs none of what follows, so it is loaded when it is asked for.

/**
 * A store in memory, for tests and for what need not last: with a log, and so with replay, but gone when it is closed.
 * Works anywhere: pages, workers, Node, Deno, Bun.
 */
export async function memory(options: OpenOptions = {}): Promise<SyncDb> {
  checkSurplus("memory", 1, arguments);
  return (await import("./here.js")).memory(options);
}

/**
 * Opens a store of this origin inside a dedicated worker, and gives the synchronous API. Throws what `open` does.
 */
export async function openInWorker(name: string, options: OpenOptions = {}): Promise<SyncDb> {
  checkSurplus("openInWorker", 2, arguments);
  return (await import("./here.js")).openInWorker(name, options);
}

/** The names of the stores of this origin. */
export async function list(): Promise<string[]> {
  checkSurplus("list", 0, arguments);
  return inPage ? listByWorker() : (await import("./stores.js")).list();
}

/**
 * Destroys a store of this origin with all that it holds, and says whether there was one. Throws `Locked` where it is open.
 */
export async function destroy(name: string): Promise<boolean> {
  checkSurplus("destroy", 1, arguments);
  return inPage ? destroyByWorker(name) : (await import("./stores.js")).destroy(name);
}

/**
 * Makes a store of this origin of an archive: what `db.export()` gives, and `foldb export` writes.
 *
 * Every checksum is checked, and the store recovered, before it counts as one; whatever fails, no part of it opens. Throws
 * `Precondition` (code `NotEmpty`) where there is a store of this name, `Corrupt` for a damaged or cut archive, `Invalid`
 * (code `NotAnArchive`) for something else, `Locked`, `StorageFull`, `Cancelled`, `Io` where the source
 * cannot be read (outside of pages, the error of a stream comes as it is).
 */
export async function importStore(name: string, source: ArchiveSource, options: WorkOptions = {}): Promise<Imported> {
  checkSurplus("importStore", 3, arguments);
  return inPage ? importByWorker(name, source, options) : (await import("./stores.js")).importStore(name, source, options);
}
