// Commits as they are announced, and those who listen.
//
// Invariant: whoever listens is told in the order of the commits, and that nothing more comes, however the store ends.

import type { Announcement, Primitive } from "./api.js";
import type { FoldbError } from "./errors.js";
import { readError } from "./request.js";
import { readCause } from "./surface/cause.js";
import type { Reader } from "./wire/reader.js";

/** In the order of their numbers. */
export const PRIMITIVES: readonly Primitive[] = ["kv", "json", "events", "state", "trace", "run"];

/** What the module has for somebody who listens. */
export interface Heard {
  readonly handle: number;
  readonly what: (Announcement | FoldbError)[];
  readonly isOver: boolean;
}

/** Somebody who listens. */
export interface Listener {
  hear(what: Announcement | FoldbError): void;
  /** Nothing more comes. */
  end(): void;
}

/** Reads what there is to hear. */
export function readHeard(answer: Reader): Heard[] {
  return answer.list(() => ({
    handle: answer.u32(),
    what: answer.list(() => (answer.flag() ? announcement(answer) : readError(answer))),
    isOver: answer.flag(),
  }));
}

function announcement(answer: Reader): Announcement {
  return {
    seq: answer.number(),
    timeMicros: answer.number(),
    isDurable: answer.flag(),
    cause: readCause(answer),
    changes: answer.list(() => ({
      run: answer.optional(() => answer.id()),
      primitive: PRIMITIVES[answer.u8()] ?? "run",
      key: answer.anyKey(),
    })),
  };
}

/** Those who listen, by their handles. */
export class Listeners {
  readonly #all = new Map<number, Listener>();

  get any(): boolean {
    return this.#all.size > 0;
  }

  /** Adds one; what is returned takes it away. */
  add(handle: number, listener: Listener): () => void {
    this.#all.set(handle, listener);
    return () => this.#all.delete(handle);
  }

  tell(heard: Heard[]): void {
    for (const { handle, what, isOver } of heard) {
      // It may go away by what it hears.
      for (const one of what) this.#all.get(handle)?.hear(one);
      if (isOver) this.#all.get(handle)?.end();
    }
  }

  /** Nobody hears anything any more: by an error, if it is one. */
  end(error?: FoldbError): void {
    for (const listener of this.#all.values()) {
      if (error) listener.hear(error);
      listener.end();
    }
    this.#all.clear();
  }
}
