// The options of an opening, as the module reads them (`src/options.rs`).

import type { OpenOptions } from "./api.js";
import { invalid } from "./errors.js";
import { durability } from "./surface/transact.js";
import { Writer } from "./wire/writer.js";

const RECOVERY = ["default", "strict", "salvage"];

/** Refuses what is not the name of a store. What a name may be is for the module to say. */
export function checkName(name: unknown): void {
  if (typeof name !== "string") throw invalid("Argument", `the name of a store is a string, not ${typeof name}`);
}

/** Refuses what are no options at all. */
export function checkOptions(options: unknown): void {
  if (typeof options !== "object" || options === null) throw invalid("Argument", "the options of an opening are an object");
}

export function encodeOptions(options: OpenOptions): Uint8Array {
  checkOptions(options);
  const { lockTimeoutMs = 0 } = options;
  if (typeof lockTimeoutMs !== "number" || !(lockTimeoutMs >= 0)) {
    throw invalid("Argument", `lockTimeoutMs is a number of milliseconds, 0 or more, not ${String(lockTimeoutMs)}`);
  }
  let started = false;
  const out: Writer = new Writer((least) => {
    const bytes = new Uint8Array(Math.max(least, 256));
    if (started) bytes.set(out.bytes);
    return bytes;
  });
  started = true;
  durability(out, options.durability ?? "strict");
  out.flag(options.create ?? true);
  const recovery = RECOVERY.indexOf(options.recovery ?? "default");
  if (recovery < 0) throw invalid("Argument", `${String(options.recovery)} is not a recovery mode`);
  out.u8(recovery);
  out.flag(options.checkSnapshots);
  out.flag(options.snapshotOnClose ?? true);
  out.optional(options.segmentBytes, (bytes) => out.number(bytes));
  out.flag(options.snapshotLogBytes !== undefined);
  if (options.snapshotLogBytes !== undefined) out.optional(options.snapshotLogBytes, (bytes) => out.number(bytes));
  return out.bytes.slice(0, out.at);
}
