// Long work: how far it is, and its end before its time.

/** How far long work is. */
export interface Progress {
  /** What is being done, as in `"log"`. */
  phase: string;
  /** How much of `total` is done: bytes, or steps of a verification. */
  done: number;
  /** How much there is; 0 where that is not known. */
  total: number;
}

/** What long work can be given. */
export interface WorkOptions {
  /** Told how far the work is, between two steps of it. What it throws ends the work, and is thrown by it. */
  onProgress?: (progress: Progress) => void;
  /**
   * Cancels the work, which throws `Cancelled` then, with the signal's reason as its cause; nothing is changed, and nothing is
   * left of it. Looked at between two steps. The longest of them are: reading a whole log or a whole run in `verify`, and the
   * recovery of what was imported. An opening on the main thread ends at once. Synchronous work (`verify` of the synchronous API,
   * and recovery in this very thread) ends by a signal that is aborted in `onProgress`, since nothing else runs before its end.
   */
  signal?: AbortSignal;
}
