// Event streams.

import type { BytesKeys, Key, Mode, Out, ScanOptions, Value, Version } from "./common.js";
import type { ListenOptions } from "./listening.js";

/** An event as it is read. */
export interface StreamEvent<T = Value> {
  /** Its place in the stream, from 1 on. */
  seq: number;
  /** What sort of event it is. */
  kind: string;
  /** What it says. */
  payload: T;
  /** When it was committed, in microseconds since 1970; 0 where it is not yet. */
  timeMicros: number;
  /** Which commit it came with. */
  version: Version;
}

/** An event, and which stream it is in. */
export interface PlacedEvent<T = Value, K = string> extends StreamEvent<T> {
  /** The name of the stream: text, or bytes with `{ keys: "bytes" }`. */
  stream: K;
}

/** The place of an event among those of all streams. An event of `all` is one. */
export interface EventPlace {
  /** The commit that it came with. */
  version: Version;
  /** Its stream. */
  stream: Key;
  /** Its place in the stream. */
  seq: number;
}

/** Which events of all streams. */
export interface AllOptions {
  /** The most to return. */
  limit?: number;
  /** From the newest to the oldest. */
  reverse?: boolean;
  /** The cursor: begin behind this place, the last event of the page before, in the chosen direction. */
  after?: EventPlace;
  /** How names of streams come back: as `"text"` (default), or as `"bytes"`. */
  keys?: "text" | "bytes";
}

/** An event to be appended. */
export interface NewEvent {
  /** What sort of event it is. */
  kind: string;
  /** What it says: any value that can be stored. */
  payload: unknown;
}

/** Which events of a stream: those for which all of it holds. Without any: all of them. */
export interface EventRange {
  /** Those behind this seq. */
  gt?: number;
  /** Those from this seq on. */
  gte?: number;
  /** Those before this seq. */
  lt?: number;
  /** Those up to this seq. */
  lte?: number;
  /** Seq of the first, as `gte`. */
  from?: number;
  /** Seq of the last, as `lte`: unlike the `to` of a range of keys it is in the range. */
  to?: number;
  /** The most to return. */
  limit?: number;
  /** From the newest to the oldest. */
  reverse?: boolean;
}

/** What is known of a stream. */
export interface StreamSummary<K = string> {
  /** Its name. */
  stream: K;
  /** Seq of the newest event. */
  head: number;
  /** Seq of the oldest event that is kept; `head + 1` where none is. */
  first: number;
  /** How many are kept. */
  events: number;
  /** Bytes of all that were ever appended. */
  bytes: number;
  /** When it got its first event, in microseconds since 1970; 0 where that is not committed yet. */
  createdMicros: number;
  /** When it got its newest committed event, in microseconds since 1970; 0 where there is none. */
  appendedMicros: number;
  /** The newest link of its chain of hashes: equal links, equal histories. */
  link: Uint8Array;
}

/** What `verifyChain` has proved. */
export interface ChainReport {
  /** Batches that were read and fit the links before and after them. */
  batches: number;
  /** Events in those batches. */
  events: number;
  /** Seq of the first event that was verified: 1 in a stream that was never trimmed; `undefined` where none was. */
  verifiedFrom: number | undefined;
}

/** Event streams, for reading. */
export interface EventsReader<M extends Mode> {
  /** The event of a seq; `undefined` if the stream does not have it or has let go of it. One read, however large its batch was. */
  get<T = Value>(stream: Key, seq: number): Out<M, StreamEvent<T> | undefined>;
  /** The events of a range of seqs, the oldest first unless the range says otherwise; none for a stream that does not exist. */
  range<T = Value>(stream: Key, range?: EventRange): Out<M, StreamEvent<T>[]>;
  /**
   * The events of all streams in the order of their commits; those of one commit in the order of the streams' names. What the reading
   * transaction has appended itself comes last. A look-up or two for each stream, about twenty with `after`, and one for each batch that
   * is read; a transaction that asks conflicts with every append to a stream of this space. Throws as `streams` does.
   */
  all<T = Value>(options: AllOptions & BytesKeys): Out<M, PlacedEvent<T, Uint8Array>[]>;
  all<T = Value>(options?: AllOptions): Out<M, PlacedEvent<T>[]>;
  /** Seq of the newest event; 0 without one. */
  head(stream: Key): Out<M, number>;
  /** Seq of the oldest event that is kept; `undefined` if none is. */
  first(stream: Key): Out<M, number | undefined>;
  /** How many events are kept. */
  length(stream: Key): Out<M, number>;
  /** What is known of a stream; `undefined` if it does not exist. One whose events were all trimmed does. */
  info(stream: Key): Out<M, StreamSummary | undefined>;
  /** The streams that the options choose by their names. Throws `Invalid` (code `KeyNotText`) for a name that is not text, unless bytes are asked for. */
  streams(options: ScanOptions & BytesKeys): Out<M, StreamSummary<Uint8Array>[]>;
  streams(options?: ScanOptions): Out<M, StreamSummary[]>;
  /**
   * Reads every kept event from the log and computes the chain of hashes again. Throws `Corrupt`, naming file and offset, where bytes
   * were changed, events are missing, or batches are not in their order.
   */
  verifyChain(stream: Key): Out<M, ChainReport>;
}

/** Event streams. Appending reads nothing and so never conflicts. */
export interface Events<M extends Mode> extends EventsReader<M> {
  /** Appends an event and returns its seq; `undefined` in a transaction, where seqs are given at the commit. */
  append(stream: Key, kind: string, payload: unknown): Out<M, number | undefined>;
  /** Appends events in one commit, next to each other, and returns the seq of the first; nothing is appended where one is refused. */
  appendBatch(stream: Key, events: Iterable<NewEvent>): Out<M, number | undefined>;
  /** Lets go of the events before `keepFrom`. Seqs do not change, and what is kept stays verifiable. */
  trim(stream: Key, keepFrom: number): Out<M, void>;
  /**
   * The events of a stream from seq `from` on, and then those that are appended later: for `for await`. After a restart it goes on behind
   * the last one, by its `seq + 1`. The stream need not exist yet. Where events were trimmed that it had not come to, it goes on with the
   * oldest that is kept. It ends when the store is closed. Throws `NotFound` once the run is deleted, `Cancelled` by the signal, `ReadOnly`
   * as `subscribe` does, `Unsupported` in a transaction.
   */
  tail<T = Value>(stream: Key, from: number, options?: ListenOptions): AsyncGenerator<StreamEvent<T>, void>;
  /** Deletes a stream with its events and says whether it existed. Appended to again, it begins again with seq 1. */
  deleteStream(stream: Key): Out<M, boolean>;
}
