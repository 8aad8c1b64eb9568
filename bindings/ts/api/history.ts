// Versions of a store: views, replays, and how they differ.

import type { Cell } from "./cells.js";
import type { Json, Mode, Out, Value } from "./common.js";
import type { StreamEvent } from "./events.js";
import type { RunInfo } from "./runs.js";
import type { SpaceReader } from "./spaces.js";
import type { TraceEntry } from "./trace.js";

/** One version of the whole store, read-only. It keeps what it shows alive until it is released, or collected with all its parts. */
export interface View<M extends Mode> extends SpaceReader<M> {
  /** Seq of the last commit in it. */
  readonly seq: number;
  /** A run, as of this version. Throws `NotFound` at its first use if it does not exist. */
  run(id: string): SpaceReader<M> & { readonly id: string };
  /** What was known of a run. Throws `NotFound` if it does not exist. */
  runInfo(id: string): Out<M, RunInfo>;
  /** What was known of every run, in the order of their beginning. */
  runs(): Out<M, RunInfo[]>;
  /** Digest of the default space or of a run, 64 hex digits: equal contents, equal digests, on every platform. Reads all of it. Throws `NotFound`. */
  digest(run?: string): Out<M, string>;
  /** What differs from run `older` to run `newer`; `undefined` is the default space. What the two share is not read. Throws `NotFound`. */
  diff(older: string | undefined, newer: string | undefined): Out<M, Diff>;
  /** Lets go of it. Everything else throws `Invalid` afterwards. */
  release(): Out<M, void>;
}

/** A space as its history in the log makes it: read-only, and independent of the live state. */
export interface Replay<M extends Mode> extends SpaceReader<M> {
  /** How many transactions were folded. */
  readonly transactions: number;
  /** Digest of its contents, 64 hex digits: that of the live space, where its whole history was folded. */
  digest(): Out<M, string>;
  /** What differs from this one to `newer`, a replay of the same store. */
  diff(newer: Replay<M>): Out<M, Diff>;
  /** Lets go of it. Everything else throws `Invalid` afterwards. */
  release(): Out<M, void>;
}

/** How something differs: only the newer has it, only the older has it, or both and not the same. */
export type Change<T> = { added: T } | { removed: T } | { from: T; to: T };

/** What differs from one space to another, by primitive. Keys that are not text are bytes. */
export interface Diff {
  /** Pairs. */
  kv: { key: string | Uint8Array; change: Change<Value> }[];
  /** A document that both have: the places in it that differ. */
  json: { key: string | Uint8Array; change: { added: Json } | { removed: Json } | { paths: { path: string; change: Change<Json> }[] } }[];
  /** Events, by their seq in the stream. */
  events: { stream: string | Uint8Array; events: { seq: number; change: Change<StreamEvent> }[] }[];
  /** Cells. */
  state: { key: string | Uint8Array; change: Change<Cell> }[];
  /** By their place in the trace, from 1 on. */
  trace: { place: number; change: Change<TraceEntry> }[];
}
