// A store as one file: a plain tar of its files with their checksums, which `foldb export` and `foldb import-store` write
// and read as well.
//
// Invariant: pieces, in both directions. A browser keeps a Blob on disk when it is large; the module never holds more than a
// piece of it.

import type { WorkOptions } from "./api.js";
import { FoldbError, fromModule, rethrow } from "./errors.js";
import type { StoreImport } from "./foldb_wasm.js";
import { Operation } from "./operation.js";
import type { Caller } from "./surface/caller.js";
import { inSteps, type Step } from "./surface/steps.js";
import type { Reader } from "./wire/reader.js";
import { breathe, check, orCancelled, tell } from "./work.js";

/** What an archive can come from. */
export type ArchiveSource = Blob | ReadableStream<Uint8Array> | Uint8Array;

/** What was imported. */
export interface Imported {
  /** Seq of the last commit. */
  seq: number;
  /** Length of the archive. */
  bytes: number;
}

/** Pieces are put together into Blobs of so many bytes. */
const PART_BYTES = 16 << 20;
/** The module takes so many bytes at once. */
const PIECE_BYTES = 1 << 20;

/** The archive of an open store, as of now. */
export async function exported(caller: Caller, options?: WorkOptions): Promise<Blob> {
  const blobs: Blob[] = [];
  let parts: BlobPart[] = [];
  let held = 0;
  const read = (answer: Reader): Step<boolean> => {
    // To the opening of an export nothing is answered.
    if (answer.done) return { progress: { phase: "archive", done: 0, total: 0 } };
    const finished = answer.flag();
    const progress = { phase: "archive", done: answer.number(), total: answer.number() };
    const piece = answer.bytes.slice(answer.at, answer.end) as Uint8Array<ArrayBuffer>;
    parts.push(piece);
    held += piece.length;
    if (held >= PART_BYTES) {
      blobs.push(new Blob(parts));
      [parts, held] = [[], 0];
    }
    return { result: finished || undefined, progress };
  };
  await inSteps(caller, "export", options, Operation.ExportOpen, Operation.ExportStep, read);
  return new Blob([...blobs, ...parts], { type: "application/x-tar" });
}

/** Reads an archive into a new store, whole or not at all. */
export async function pour(source: ArchiveSource, target: StoreImport, options: WorkOptions): Promise<Imported> {
  const total = source instanceof Blob ? source.size : source instanceof Uint8Array ? source.length : 0;
  let bytes = 0;
  let breathed = 0;
  try {
    for await (const piece of pieces(source, options.signal)) {
      for (let rest = piece; rest.length > 0; ) {
        const taken = fromModule(() => target.write(rest.subarray(0, PIECE_BYTES)));
        rest = rest.subarray(taken);
        bytes += taken;
        tell(options, { phase: "archive", done: bytes, total });
        if (rest.length > 0) await target.reserve().catch(rethrow);
        if (bytes - breathed < PART_BYTES) continue;
        breathed = bytes;
        await breathe();
      }
    }
    check(options.signal);
    return { seq: fromModule(() => target.finish()), bytes };
  } catch (error) {
    try {
      target.cancel();
    } catch {
      // What cannot be cleared away stays marked as unfinished; the first error says why.
    }
    throw error;
  } finally {
    target.free();
  }
}

/** The same as a Blob, which can be sent to a worker. */
export async function blobOf(source: ArchiveSource): Promise<Blob> {
  if (source instanceof Blob) return source;
  if (source instanceof Uint8Array) return new Blob([source as Uint8Array<ArrayBuffer>]);
  return new Response(checkStream(source)).blob();
}

function checkStream(source: unknown): ReadableStream<Uint8Array> {
  if (source instanceof ReadableStream) return source;
  throw new FoldbError("Invalid", "Archive", "an archive is a Blob, a ReadableStream or a Uint8Array");
}

/** Streams are not iterable everywhere. */
async function* pieces(source: ArchiveSource, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  if (source instanceof Uint8Array) return yield source;
  const reader = (source instanceof Blob ? source.stream() : checkStream(source)).getReader();
  const next = () => orCancelled(signal, reader.read());
  try {
    for (let { done, value } = await next(); !done; { done, value } = await next()) yield value!;
  } finally {
    // A stream that is not read to its end is of no use to anybody: whoever fills it hears of it.
    void reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}
