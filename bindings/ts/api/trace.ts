// Trace entries: what a program did, why, and what came of it.

import type { Mode, Out, Value, Version } from "./common.js";

/** One of the five kinds of a trace entry, or a name of your own. */
export type TraceKind = "tool_call" | "decision" | "query" | "thought" | "error" | (string & {});

/** An entry to be recorded. */
export interface TraceRecord {
  /** What sort of entry it is. */
  kind: TraceKind;
  /** What was called, decided, asked. */
  name: string;
  /** Anything else about it: any value that can be stored. */
  data?: unknown;
  /** The id of the entry that this one is a part of. */
  parent?: string;
  /** How long it took, if that is known already; see `finish`. */
  durationMicros?: number;
  /** When it began, in microseconds since 1970; left out for now. */
  timeMicros?: number;
}

/** An entry as it is read. */
export interface TraceEntry {
  /** Its id, in the form of a UUID. */
  id: string;
  /** What sort of entry it is. */
  kind: TraceKind;
  /** What was called, decided, asked. */
  name: string;
  /** The id of the entry that it is a part of. */
  parent: string | undefined;
  /** When it began, in microseconds since 1970. */
  timeMicros: number;
  /** How long it took; `undefined` while nobody has said. */
  durationMicros: number | undefined;
  /** Which commit recorded or finished it; 0 in what `finish` gives back. */
  version: Version;
  /** What was recorded with it, as the input of a tool; `null` for nothing. */
  data: Value;
  /** What came of it: see `finish`; `null` for nothing. */
  output: Value;
}

/** Which trace entries, oldest first. */
export interface TraceOptions {
  /** The most to return. */
  limit?: number;
  /** The newest first. */
  reverse?: boolean;
  /** The id of the last entry of the page before. */
  after?: string;
}

/** Trace entries, for reading. What takes an id throws `Invalid` for one that is malformed. */
export interface TraceReader<M extends Mode> {
  /** The entry of an id; `undefined` if there is none. */
  get(id: string): Out<M, TraceEntry | undefined>;
  /** Whether there is an entry of this id. */
  exists(id: string): Out<M, boolean>;
  /** How many entries there are; linear in that number. */
  count(): Out<M, number>;
  /** All entries. */
  list(options?: TraceOptions): Out<M, TraceEntry[]>;
  /** The entries that are part of another. */
  children(parent: string, options?: TraceOptions): Out<M, TraceEntry[]>;
  /** Entries that are part of no other. */
  roots(options?: TraceOptions): Out<M, TraceEntry[]>;
  /** The entries of a kind. */
  byKind(kind: TraceKind, options?: TraceOptions): Out<M, TraceEntry[]>;
  /** Entries that began at `fromMicros` or later and before `toMicros`. */
  byTime(fromMicros: number, toMicros: number, options?: TraceOptions): Out<M, TraceEntry[]>;
}

/** What a program did, why, and what came of it: a tree of entries. */
export interface Trace<M extends Mode> extends TraceReader<M> {
  /** Records an entry and returns its id. Throws `Invalid` for a kind without a name and a time behind the year 10000. */
  record(entry: TraceRecord): Out<M, string>;
  /** Completes an entry with what came of it; its data stay. Without a duration, from its beginning until now. Throws `NotFound`. */
  finish(id: string, outcome?: { output?: unknown; durationMicros?: number }): Out<M, TraceEntry>;
}
