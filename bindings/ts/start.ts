// Workers of the package, as a page starts them, and how it hears of their end.
//
// Invariant: a worker that cannot be started, says nothing or has ended is told, with what is to be done about it.

import { FoldbError, said } from "./errors.js";
import { givenUp } from "./wait.js";

/** How long a worker may take to say its first word: it is loaded meanwhile. */
const START_MILLIS = 60_000;

export function crashed(why: string): FoldbError {
  return new FoldbError("Crashed", "Crashed", `the store's worker is gone (${why}); what was in flight may or may not be there: reopen the store`);
}

/** The name of a lock that one worker will hold for as long as it lives. */
export function aliveName(): string {
  return `foldb-alive:${crypto.randomUUID()}`;
}

/**
 * Calls `dead` when the worker that says that it holds this lock has given it back, however it died. After a user has cleared the
 * site's data, an old page and a new worker do not see each other's locks: then a lock that is free says nothing.
 */
export function watch(alive: string, dead: (error: FoldbError) => void): void {
  navigator.locks
    .request(alive, { ifAvailable: true }, (lock) => !lock)
    .then((shared) => (shared ? navigator.locks.request(alive, () => dead(crashed("it ended"))) : undefined))
    .catch(() => {});
}

/** Refuses places that are no page, or an insecure one. */
export function checkPage(): void {
  if (typeof Worker === "undefined" || typeof navigator === "undefined" || !navigator.locks) {
    throw new FoldbError("Unsupported", "Platform", "a page in a secure context is needed; use openInWorker in a worker, memory or foldb/node elsewhere");
  }
}

/** Starts a worker of the package. `failed` is told why it cannot go on. */
export function startWorker(heard: (data: unknown) => void, failed: (error: FoldbError) => void): Worker {
  const unusable = (why: string, cause?: unknown) =>
    new FoldbError("Unsupported", "Worker", `the package's worker cannot be started (${why}); is worker.js served beside the package's other files, from the page's own origin?`, { cause });
  let worker: Worker;
  try {
    // Bundlers find the worker here, if address and options stand as they are.
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "foldb" });
  } catch (cause) {
    throw unusable(said(cause), cause);
  }
  const silence = setTimeout(() => failed(givenUp("Unsupported", "the package's worker has said nothing", START_MILLIS, "is the network down?")), START_MILLIS);
  worker.addEventListener("message", () => clearTimeout(silence), { once: true });
  worker.addEventListener("message", ({ data }) => heard(data));
  worker.addEventListener("messageerror", () => failed(crashed("a message of the worker cannot be read")));
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    clearTimeout(silence);
    // What a running worker fails with has a message; what keeps it from loading has none.
    failed(event.message ? crashed(event.message) : unusable("it does not load"));
  });
  return worker;
}
