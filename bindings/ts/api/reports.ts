// What a store says of itself.

/** Figures about a store. Counts begin with its opening. */
export interface Stats {
  /** The store's id. */
  store: string;
  /** Seq of the newest commit. */
  seq: number;
  /** Seq of the newest commit on stable media. */
  durableSeq: number;
  /** How many openings have written to the store. */
  epoch: number;
  /** Runs, ended ones included. */
  runs: number;
  /** Entries of the trees of all spaces. */
  entries: number;
  /** Bytes of memory that the resident parts of the trees take. */
  treeBytes: number;
  /** Idempotency keys that are remembered. */
  idempotencyKeys: number;
  /** Commits. */
  commits: number;
  /** Commits that failed because something that they had read had changed. */
  conflicts: number;
  /** Transactions that were run again after a conflict. */
  retries: number;
  /** Bytes that were committed and not handed to the system yet. */
  pendingBytes: number;
  /** How long syncs took: their number, their sum, and how many took less than so many microseconds. */
  syncs: { count: number; totalMicros: number; histogram: [belowMicros: number, count: number][] };
  /** The segments of the log; `liveBytes` of values and events in one are still referred to. */
  segments: { number: number; bytes: number; liveBytes: number }[];
  /** Bytes of all segments. */
  logBytes: number;
  /** The snapshots. */
  snapshots: [generation: number, bytes: number][];
  /** Linear memory of the WebAssembly module. */
  memoryBytes: number;
  /** What the browser says that this origin uses (`navigator.storage.estimate()`). */
  usageBytes?: number;
  /** What the browser says that this origin may use. */
  quotaBytes?: number;
  /** Whether the browser has promised not to evict the store. */
  persisted?: boolean;
}

/** What `verify` has checked and found. */
export interface VerifyReport {
  /** Segments of the log that were read from end to end. */
  segments: number;
  /** Transactions in them whose checksums held. */
  records: number;
  /** Snapshots that were read from end to end. */
  snapshots: number;
  /** Spaces whose replay was compared with the live state. */
  spaces: number;
  /** Entries that were compared. */
  entries: number;
  /** Transactions that were replayed. */
  transactions: number;
  /** Values in the log whose checksums held. */
  values: number;
  /** Events whose chains held. */
  events: number;
  /** What is wrong; empty where all is well. */
  violations: { place: string; what: string }[];
}

/** Damage that an opening has found. */
export interface Damage {
  /** The file. */
  file: string;
  /** Where the damage begins, in bytes. */
  offset: number;
  /** How many bytes are affected; 0 where that is not known. */
  len: number;
  /** The rule of `docs/format.md` that is broken. */
  rule: string;
  /** What is wrong. */
  what: string;
  /** First and last seq of the transactions that are lost by it, where that is known. */
  seqs: [first: number, last: number] | undefined;
}

/** What opening found and did. */
export interface RecoveryReport {
  /** There was nothing before. A store that was evicted shows here: an app that knows better can say so. */
  created: boolean;
  /** The snapshot that was used. */
  snapshot: [generation: number, seq: number] | undefined;
  /** Snapshots that could not be used. An older one or the log stood in: nothing is lost. */
  rejectedSnapshots: Damage[];
  /** What is wrong and did not keep the store from opening. */
  damage: Damage[];
  /** Seq of the last commit that is there. */
  seq: number;
  /** The ids of the runs that were active when the last process ended. */
  orphanedRuns: string[];
  /** How long each phase took. */
  phases: [phase: string, micros: number][];
}
