// Runs: spaces with a life.

import type { Receipt } from "./commits.js";
import type { Key, Mode, Out, Value } from "./common.js";
import type { Swept } from "./expiry.js";
import type { Space } from "./spaces.js";

/** How a run stands. An orphaned one was active when its process ended, and nobody has taken it up again. */
export type RunStatus = "active" | "orphaned" | "completed" | "failed" | "cancelled";

/** How to begin the run of a key. */
export interface KeyedRunOptions {
  /** For people; need not be unique. Up to 1,024 bytes. */
  name: string;
  /** The id of the run that this one belongs to. */
  parent?: string;
  /** To find it by: up to 256, of up to 1,024 bytes each. */
  labels?: Record<string, string>;
  /** Anything else to keep beside it: any value that can be stored. */
  metadata?: unknown;
}

/** How to begin a run. */
export interface RunOptions extends KeyedRunOptions {
  /** An id of your own, a UUID, instead of a new one. */
  id?: string;
}

/** What is known of a run. */
export interface RunInfo {
  /** Its id, in the form of a UUID. */
  id: string;
  /** Its number in this store. */
  number: number;
  /** The name that it was begun with. */
  name: string;
  /** How it stands. */
  status: RunStatus;
  /** The id of the run that it was begun under. */
  parent: string | undefined;
  /** To find it by. */
  labels: Record<string, string>;
  /** Whatever its owner keeps beside it. */
  metadata: Value;
  /** When it began, in microseconds since 1970. */
  beganMicros: number;
  /** When it ended, in microseconds since 1970. */
  endedMicros: number | undefined;
  /** What was said when it ended. */
  message: string | undefined;
  /** How often it was taken up again. */
  resumed: number;
  /** Seq of the commit that began it. */
  firstSeq: number;
  /** Seq of the last commit that touched it. */
  lastSeq: number;
  /** How many commits touched it. */
  commits: number;
}

/** Which runs, in the order of their beginning. */
export interface RunFilter {
  /** Those that stand like this. */
  status?: RunStatus;
  /** Those of this name. */
  name?: string;
  /** Those that were begun under this run. */
  parent?: string;
  /** Those with all of these labels. */
  labels?: Record<string, string>;
  /** The `number` of the last run of the page before. It stands for a place: the run may have been deleted meanwhile. */
  after?: number;
  /** The most to return. */
  limit?: number;
  /** The newest first. */
  newestFirst?: boolean;
}

/** The runs of a store. What takes an id throws `NotFound` where there is no such run, `Invalid` for an id that is malformed. */
export interface Runs<M extends Mode> {
  /** Begins a run. Throws `NotFound` for an unknown parent, `Precondition` for an id that is taken, `Limit` for long names and labels. */
  begin(options: RunOptions): Out<M, Run<M>>;
  /**
   * The run of a key: begun now where the store has none, and else the one that there is, whatever has become of it; the options count
   * for the one that begins it. So a program that is started again finds its work as it left it, also where it was finished: look
   * at the `status` of its `info()`, and `resume()` it where it is orphaned. The key is never forgotten; a run that was deleted is
   * begun anew. Throws as `begin` does.
   */
  beginOrGet(key: Key, options: KeyedRunOptions): Out<M, Run<M>>;
  /** A run that exists. */
  get(id: string): Out<M, Run<M>>;
  /** What is known of a run. */
  info(id: string): Out<M, RunInfo>;
  /** The runs that match; about a microsecond for each run of the store. */
  list(filter?: RunFilter): Out<M, RunInfo[]>;
  /** Removes a run and what it holds. Its history stays in the log. */
  delete(id: string): Out<M, Receipt>;
}

/**
 * A run: a space with a life. Everything throws `NotFound` once it was deleted. Its primitives throw `RunEnded` where they write once it
 * has ended; labels and metadata can still be set.
 */
export interface Run<M extends Mode> extends Space<M> {
  /** Its id, in the form of a UUID. */
  readonly id: string;
  /** What is known of it now. */
  info(): Out<M, RunInfo>;
  /** Ends it well. Throws `RunEnded` where it has ended before. */
  end(): Out<M, Receipt>;
  /** Ends it as failed, and says why. Throws `RunEnded` where it has ended before. */
  fail(message: string): Out<M, Receipt>;
  /** Ends it as cancelled, and says why. Throws `RunEnded` where it has ended before. */
  cancel(message: string): Out<M, Receipt>;
  /** Takes up an orphaned or ended run again: it is active then and takes writes. */
  resume(): Out<M, Receipt>;
  /** Sets a label. Throws `Limit` for the 257th, or one of more than 1,024 bytes. */
  setLabel(key: string, value: string): Out<M, Receipt>;
  /** Removes a label, if it is there. */
  removeLabel(key: string): Out<M, Receipt>;
  /** Replaces the metadata. */
  setMetadata(metadata: unknown): Out<M, Receipt>;
  /** Removes what is over in it, as `db.sweepExpired` does. Throws `RunEnded`: an ended run stays as it was. */
  sweepExpired(limit: number): Out<M, Swept>;
  /** The runs that were begun under it. */
  children(): Out<M, RunInfo[]>;
}
