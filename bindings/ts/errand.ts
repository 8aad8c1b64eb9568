// What a page has done by a worker of its own that ends with it: listing, destroying, importing.

import type { WorkOptions } from "./api.js";
import type { ArchiveSource, Imported } from "./archive.js";
import { FoldbError } from "./errors.js";
import { checkName, checkWork } from "./given.js";
import { fromWorker, received, type FromWorker, type ToWorker } from "./protocol.js";
import { aliveName, checkPage, crashed, startWorker, watch } from "./start.js";
import { check, orCancelled } from "./work.js";

/** What a short-lived worker says to one message. */
async function askWorker<T extends FromWorker["type"]>(ask: (alive: string) => ToWorker, type: T, { onProgress, signal }: WorkOptions = {}): Promise<FromWorker & { type: T }> {
  checkPage();
  const alive = aliveName();
  let worker: Worker | undefined;
  // It clears away what it has made before it says that it was cancelled.
  const cancel = () => worker?.postMessage({ type: "cancel" });
  let failed: { error: unknown } | undefined;
  signal?.addEventListener("abort", cancel);
  try {
    return await new Promise((resolve, reject) => {
      const hear = (data: unknown) => {
        const message = fromWorker(data);
        if (message?.type === "alive") return watch(alive, reject);
        if (message?.type === "progress") {
          try {
            if (!failed) onProgress?.({ phase: message.phase, done: message.done, total: message.total });
          } catch (error) {
            failed = { error };
            cancel();
          }
        } else if (message?.type === type) resolve(message as FromWorker & { type: T });
        else reject(message && "error" in message && message.error ? received(message.error) : crashed("a message of the worker is none of the protocol"));
      };
      worker = startWorker(hear, reject);
      worker.postMessage(ask(alive));
    });
  } catch (error) {
    if (failed) throw failed.error;
    // With the signal's reason, which stayed here.
    if (error instanceof FoldbError && error.kind === "Cancelled") check(signal);
    throw error;
  } finally {
    signal?.removeEventListener("abort", cancel);
    worker?.terminate();
  }
}

/** The names of the stores of this origin, by a worker: browsers look into them nowhere else. */
export async function listByWorker(): Promise<string[]> {
  return (await askWorker((alive) => ({ type: "list", alive }), "listed")).names;
}

/** Destroys a store by a worker. */
export async function destroyByWorker(name: string): Promise<boolean> {
  checkName(name);
  return (await askWorker((alive) => ({ type: "destroy", alive, name }), "destroyed")).existed;
}

/** Makes a store of an archive by a worker. */
export async function importByWorker(name: string, source: ArchiveSource, options: WorkOptions): Promise<Imported> {
  checkName(name);
  checkWork("importStore", options);
  const { signal, onProgress } = options;
  check(signal);
  const archive = await orCancelled(signal, import("./archive.js").then(({ blobOf }) => blobOf(source)));
  const { seq, bytes } = await askWorker((alive) => ({ type: "import", alive, name, archive, watched: onProgress !== undefined }), "imported", options);
  return { seq, bytes };
}
