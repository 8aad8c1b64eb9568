// What a browser knows of a store: its lock, its persistence, its quota.

import type { OpenOptions, Stats } from "./api.js";
import { FoldbError, said, thrown } from "./errors.js";
import { load, Store } from "./module.js";
import { ANSWER_MILLIS, TIMER_MAX_MILLIS, within } from "./wait.js";
import { orCancelled, type Watch } from "./work.js";

/** The lock that stands for a store among all tabs and workers of an origin. */
export function lockName(name: string): string {
  return `foldb:${name}`;
}

/** How long to wait for a lock: browsers may give back those of a worker that has ended a second later. */
export const LOCK_WAIT_MILLIS = 2000;

/** Holds a lock until what it returns is called; `undefined` if somebody else has it for longer than that. */
export function hold(name: string, waitMillis: number): Promise<(() => void) | undefined> {
  return new Promise((taken, failed) => {
    const waiting = new AbortController();
    const { signal } = waiting;
    // Not a signal with a time of its own: nobody would hold it.
    const timer = setTimeout(
      () => {
        waiting.abort();
        taken(undefined);
      },
      waitMillis || ANSWER_MILLIS,
    );
    const held = (lock: Lock | null) => {
      clearTimeout(timer);
      if (!lock || signal.aborted) return taken(undefined);
      return new Promise<void>((release) => taken(() => release()));
    };
    navigator.locks.request(name, waitMillis > 0 ? { signal } : { ifAvailable: true }, held).catch((error: unknown) => {
      clearTimeout(timer);
      failed(new FoldbError("Unsupported", "Platform", `this place cannot lock a store (${said(error)})`, { cause: error }));
    });
  });
}

/** Why this place cannot hold a store; `undefined` if it can. */
function missing(): string | undefined {
  if (typeof navigator === "undefined" || !navigator.storage?.getDirectory) {
    return "it has no origin private file system; a secure context (https, or localhost) of a current browser has one";
  }
  if (!navigator.locks) return "it has no Web Locks; a secure context (https, or localhost) has them";
  if (typeof FileSystemFileHandle === "undefined" || !("createSyncAccessHandle" in FileSystemFileHandle.prototype)) {
    return "it has no synchronous file handles: they are in dedicated workers only";
  }
  return undefined;
}

export function checkPlatform(): void {
  const why = missing();
  if (why) throw new FoldbError("Unsupported", "Platform", `this place cannot open a store: ${why}`);
}

/** Stores that this worker has open. */
const open = new Set<string>();

/** The error of a store that is open, with who has it, as far as that is known. */
export function lockedBy(name: string, advice = "close it there, or use the store through it"): FoldbError {
  const who = open.has(name) ? "this very worker has the store" : "another tab or worker has the store";
  return new FoldbError("Locked", "Locked", `${who} ${name} open; ${open.has(name) ? "use that handle, or close it first" : advice}`);
}

/** A store of this origin, locked and open in this worker. */
export async function openHere(name: string, options: OpenOptions, encoded: Uint8Array, watch: Watch): Promise<{ store: Store; memory: WebAssembly.Memory; release: () => void }> {
  checkPlatform();
  const wait = Math.min(options.lockTimeoutMs ?? LOCK_WAIT_MILLIS, TIMER_MAX_MILLIS);
  // The module arrives while the lock is waited for. Should it fail to, that is told below, with the lock given back.
  const loading = load();
  loading.catch(() => {});
  // So does the file system, which takes its time at the first call; what the module asks of it then is quick.
  navigator.storage.getDirectory().catch(() => {});
  const release = await hold(lockName(name), wait);
  if (!release) throw lockedBy(name);
  open.add(name);
  const letGo = () => {
    open.delete(name);
    release();
  };
  try {
    const { memory } = await orCancelled(watch.signal, loading);
    return { store: await Store.openOpfs(name, wait, encoded, watch.call), memory, release: letGo };
  } catch (error) {
    letGo();
    throw watch.cause(thrown(error));
  }
}

/** What a browser says of its storage, if it says so within some seconds: nothing depends on it. */
export function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  return within<T | undefined>(ANSWER_MILLIS, answer, () => undefined);
}

/** Adds usage, quota and persistence, as far as the browser says what they are. */
export async function withQuota(stats: Stats): Promise<Stats> {
  const asked = async <T>(ask: () => Promise<T>) => inTime(ask()).catch(() => undefined);
  const [estimate, persisted] = await Promise.all([asked(async () => navigator.storage.estimate()), asked(async () => navigator.storage.persisted())]);
  if (estimate?.usage !== undefined) stats.usageBytes = estimate.usage;
  if (estimate?.quota !== undefined) stats.quotaBytes = estimate.quota;
  if (persisted !== undefined) stats.persisted = persisted;
  return stats;
}
