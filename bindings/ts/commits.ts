// Commits as they are announced, and those who listen.

import type { Announcement, Primitive } from "./api.js";
import { Reader } from "./wire/reader.js";

const PRIMITIVES: readonly Primitive[] = ["kv", "json", "events", "state", "trace", "run"];

/** Reads announced commits. */
export function readCommits(answer: Reader): Announcement[] {
  return answer.list(() => ({
    seq: answer.number(),
    touched: answer.list(() => ({
      run: answer.optional(() => answer.id()),
      primitive: PRIMITIVES[answer.u8()] ?? "run",
      key: answer.anyKey(),
    })),
  }));
}

/** Those who listen. */
export class Listeners {
  readonly #all = new Set<{ run: string | undefined; listener: (commit: Announcement) => void }>();
  readonly #changed: (any: boolean) => void;

  /** `changed` is told when the first comes and when the last goes. */
  constructor(changed: (any: boolean) => void) {
    this.#changed = changed;
  }

  add(run: string | undefined, listener: (commit: Announcement) => void): () => void {
    const entry = { run: run?.toLowerCase(), listener };
    this.#all.add(entry);
    if (this.#all.size === 1) this.#changed(true);
    return () => {
      if (this.#all.delete(entry) && this.#all.size === 0) this.#changed(false);
    };
  }

  /** Tells them. One that throws is reported like any uncaught error and keeps nobody else from hearing. */
  tell(commits: Announcement[]): void {
    for (const commit of commits) {
      for (const { run, listener } of [...this.#all]) {
        if (run !== undefined && !commit.touched.some((touched) => touched.run === run)) continue;
        try {
          listener(commit);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }
}
