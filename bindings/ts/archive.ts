// A store as one file: a plain tar of its files with their checksums, which `foldb export` and `foldb import-store` write
// and read as well.
//
// Invariant: pieces, in both directions. A browser keeps a Blob on disk when it is large; the module never holds more than a
// piece of it.

import { FoldbError, thrown } from "./errors.js";
import type { Store, StoreImport } from "./foldb_wasm.js";

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

/** The archive of an open store, as of now. */
export function exported(store: Store): Blob {
  let source;
  try {
    source = store.export();
    const blobs: Blob[] = [];
    let parts: BlobPart[] = [];
    let held = 0;
    for (let piece = source.read(); piece.length > 0; piece = source.read()) {
      parts.push(piece as Uint8Array<ArrayBuffer>);
      held += piece.length;
      if (held < PART_BYTES) continue;
      blobs.push(new Blob(parts));
      [parts, held] = [[], 0];
    }
    return new Blob([...blobs, ...parts], { type: "application/x-tar" });
  } catch (error) {
    throw thrown(error);
  } finally {
    source?.free();
  }
}

/** Reads an archive into a new store, whole or not at all. */
export async function pour(source: ArchiveSource, target: StoreImport): Promise<Imported> {
  let bytes = 0;
  try {
    for await (const piece of pieces(source)) {
      for (let rest = piece; rest.length > 0; ) {
        const taken = target.write(rest);
        rest = rest.subarray(taken);
        bytes += taken;
        if (rest.length > 0) await target.reserve();
      }
    }
    return { seq: target.finish(), bytes };
  } catch (error) {
    try {
      target.cancel();
    } catch {
      // What cannot be cleared away stays marked as unfinished; the first error says why.
    }
    throw thrown(error);
  } finally {
    target.free();
  }
}

/** The same as a Blob, which can be sent to a worker. */
export async function blobOf(source: ArchiveSource): Promise<Blob> {
  if (source instanceof Blob) return source;
  return source instanceof ReadableStream ? new Response(source).blob() : new Blob([source as Uint8Array<ArrayBuffer>]);
}

/** Streams are not iterable everywhere. */
async function* pieces(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  if (source instanceof Uint8Array) return yield source;
  const stream: ReadableStream<Uint8Array> = source instanceof Blob ? source.stream() : source;
  if (!(stream instanceof ReadableStream)) throw new FoldbError("Invalid", "Archive", "an archive is a Blob, a ReadableStream or a Uint8Array");
  const reader = stream.getReader();
  try {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value!;
  } finally {
    reader.releaseLock();
  }
}
