// What a request works on.

/** The state of a transaction, view or replay, which all of its parts share. */
export interface Hold {
  /** Nothing can be asked of it any more. */
  ended: boolean;
  /** Why it must not be committed: the first request of it that could not be sent. */
  failure: { error: unknown } | undefined;
}

/** What a request works on: the store, a transaction, or a view; and which run of it. */
export interface Place {
  /** 0 for the store, 1 for a transaction, 2 for a view or replay. */
  readonly target: number;
  readonly handle: number;
  readonly run: string | undefined;
  /** What all parts of a transaction, view or replay share; while one of them is held, it is not collected. */
  readonly hold: Hold | undefined;
}

export const STORE: Place = { target: 0, handle: 0, run: undefined, hold: undefined };
