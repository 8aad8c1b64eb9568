// JSON Lines into a run: an event for each line, and a document under its key.
//
// A batch and the position behind it are one transaction: an import that is cut off leaves a run that says how far it came.

import { counted } from "./format.js";
import { parseJson } from "./json.js";
import { committing } from "./meter.js";

/** Rows in a transaction: enough to be quick, few enough that a replay has steps. */
const batchOf = (bytes) => Math.min(1000, Math.max(20, Math.round(bytes / 100_000)));

/** The lines of a file with their numbers, as they come. */
async function* lines(blob) {
  let number = 0;
  let rest = "";
  for await (const piece of pieces(blob.stream().pipeThrough(new TextDecoderStream("utf-8", { fatal: true })))) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop();
    for (const text of parts) yield { number: ++number, text };
  }
  if (rest) yield { number: ++number, text: rest };
}

/** Streams are not iterable everywhere. */
async function* pieces(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/**
 * Imports a file and returns the run's id and what came of it. `told(bytes, rows)` is called on the way; `signal` cancels.
 * A line that is no JSON ends the import: the run fails with the reason, and keeps what it has.
 */
export async function importLines(db, blob, { name, key, told, signal }) {
  const run = await db.runs.begin({ name, labels: { source: name } });
  const size = batchOf(blob.size);
  const encoder = new TextEncoder();
  let batch = [];
  let rows = 0;
  let bytes = 0;
  let line = 0;
  const commit = async () => {
    if (batch.length === 0) return;
    const rowsNow = batch;
    batch = [];
    await committing(rowsNow.length, () =>
      db.transaction(async (tx) => {
        const space = tx.run(run.id);
        const documents = rowsNow.filter(({ id }) => id !== undefined).map(({ id, value }) => [id, value]);
        await Promise.all([
          space.events.appendBatch("records", rowsNow.map(({ value }) => ({ kind: "record", payload: value }))),
          documents.length > 0 ? space.json.setMany(documents) : undefined,
          space.state.set("import", { line: BigInt(line), file: name }),
          space.kv.addI64("rows", rowsNow.length),
        ]);
      }, { durability: "buffered" }),
    );
    rows += rowsNow.length;
    told(bytes, rows);
  };
  try {
    for await (const { number, text } of lines(blob)) {
      signal.throwIfAborted();
      line = number;
      bytes += encoder.encode(text).length + 1;
      if (text.trim() === "") continue;
      const value = parse(text, number);
      const id = key && value !== null && typeof value === "object" ? value[key] : undefined;
      batch.push({ value, id: id === undefined ? undefined : String(id) });
      if (batch.length >= size) await commit();
    }
    await commit();
    await run.end();
  } catch (error) {
    await commit().catch(() => {});
    if (signal.aborted) await run.cancel(`cancelled behind line ${line}`);
    else await run.fail(error.message).catch(() => {});
    if (signal.aborted) return { id: run.id, rows, outcome: `Cancelled; ${counted(rows, "row")} stayed` };
    throw Object.assign(error, { run: run.id });
  }
  await db.sync();
  return { id: run.id, rows, outcome: `Imported ${counted(rows, "row")}` };
}

function parse(text, number) {
  try {
    return parseJson(text);
  } catch (error) {
    const what = error instanceof SyntaxError ? "is not JSON" : "has a number that cannot be kept";
    throw new Error(`line ${number} ${what} (${error.message}); the lines before it were imported`);
  }
}
