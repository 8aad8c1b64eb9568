// Asking the browser to keep what an origin stores.
//
// Invariant: a user is not asked again without a reason: some browsers ask theirs.

/** What the browser says, or said, to being asked in this page for persistent storage. */
let asking: Promise<boolean> | undefined;
/** Whether it has not said it yet. */
let undecided = false;

/** Where it is noted that the browser was asked. It goes when the origin is evicted, and then it is time to ask again. */
const ASKED = "foldb:persist";

/** Whether the browser was asked before on behalf of this origin; notes that it is asked now. */
function askedBefore(): boolean {
  try {
    const before = localStorage.getItem(ASKED);
    localStorage.setItem(ASKED, "asked");
    return before !== null;
  } catch {
    // Where nothing can be noted, it is once in each page.
    return false;
  }
}

/**
 * Asks for persistent storage: never where it is granted already, once in a page, and only once at all unless the app says
 * `again`. For Firefox asks its user, who would be asked at every visit. What a user has just done is a reason of its own to ask: an
 * answer from before it does not count.
 */
export function askOnce(connection: { persisted: boolean | undefined }, again: boolean): void {
  if (connection.persisted || (askedBefore() && !again)) return;
  const done = again && (navigator.userActivation?.isActive ?? true);
  if (!asking || (done && !undecided)) {
    undecided = true;
    const asked = Promise.resolve().then(() => navigator.storage.persist());
    asking = asked.catch(() => false).finally(() => (undecided = false));
  }
  // The answer is in `stats`. A user may take as long as it takes: nothing waits for it.
  void asking.then((persisted) => (connection.persisted = persisted));
}
