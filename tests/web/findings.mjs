// What is in the store that all backends share, under the names of testkit/src/sameness.rs; for Node and for pages.

/** Findings by name, and the diff of its two runs as a text of which every part counts. */
export async function findings(db) {
  const view = await db.view();
  const replayed = async (replay) => {
    const { transactions, digest } = await replay.then(async (replay) => ({
      transactions: replay.transactions,
      digest: await replay.digest(),
    }));
    return transactions === 0 ? "not begun" : digest;
  };
  const attempt = (work) => {
    try {
      return Promise.resolve(work());
    } catch (error) {
      return Promise.reject(error);
    }
  };
  const found = {
    seq: String(view.seq),
    "default space": await view.digest(),
    "default space, replayed": await replayed(attempt(() => db.replayDefault())),
  };
  const runs = await view.runs();
  for (const { id, name, status } of runs) {
    found[`${name}, status`] = status;
    found[`${name}, live`] = await view.digest(id);
    found[`${name}, replayed`] = await replayed(attempt(() => db.replay(id)));
    found[`${name}, half way`] = await replayed(attempt(() => db.replay(id, Math.floor(view.seq / 2))));
  }
  const id = (wanted) => runs.find(({ name }) => name === wanted).id;
  const diff = await db.diff(id("first"), id("second"));
  return { found, diff: JSON.stringify(diff, (_, value) => (typeof value === "bigint" ? `${value}n` : value)) };
}
