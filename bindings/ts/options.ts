// The options of an opening, as the module reads them (`src/options.rs`).

import type { OpenOptions } from "./api.js";
import { invalid } from "./errors.js";
import { checkOptions, checkRetries, checkWatching, choice, WORK_OPTIONS } from "./given.js";
import { durability, unsynced } from "./surface/transact.js";
import { describe } from "./wire/cbor.js";
import { Writer } from "./wire/writer.js";

const RECOVERY = ["default", "strict", "salvage"];

/** What is of the store, and so the same for all who share it. */
const OF_STORE = ["durability", "recovery", "checkSnapshots", "segmentBytes", "snapshotLogBytes", "snapshotOnClose", "hideExpired"] as const;
const OPTIONS = [...OF_STORE, "create", "retries", "persist", "lockTimeoutMs", ...WORK_OPTIONS];

/** Refuses what are no options of an opening, here or by what `also` names. */
export function checkOpening(options: OpenOptions, also: readonly string[] = []): void {
  checkOptions("an opening", options, [...OPTIONS, ...also]);
  checkWatching(options);
  checkRetries(options.retries);
  choice("persist", options.persist);
  const { lockTimeoutMs = 0 } = options;
  if (typeof lockTimeoutMs !== "number" || !(lockTimeoutMs >= 0)) {
    throw invalid("Argument", `lockTimeoutMs is a number of milliseconds, 0 or more, not ${describe(lockTimeoutMs)}`);
  }
}

/** Refuses options that a store which is open in this page does not have. What is left out is as it is. */
export function checkSame(name: string, open: OpenOptions, wanted: OpenOptions): void {
  for (const option of OF_STORE) {
    if (wanted[option] === undefined) continue;
    const [found, asked] = [open, wanted].map((options) => JSON.stringify(settled(options)[option]));
    if (found === asked) continue;
    throw invalid("Options", `the store ${name} is open in this page with ${option} ${found}, not ${asked}; open it with the same, or without saying`);
  }
}

/** Options as they are where nothing is said, and each in one form. */
function settled({ durability = "strict", recovery = "default", checkSnapshots = false, segmentBytes = 64 << 20, snapshotLogBytes = 256 << 20, snapshotOnClose = true, hideExpired = true }: OpenOptions) {
  const whole = durability === "strict" || durability === "inMemory" ? durability : unsynced(durability);
  return { durability: whole, recovery, checkSnapshots, segmentBytes, snapshotLogBytes, snapshotOnClose, hideExpired };
}

/** `readOnly` is given where a store can be opened for reading only. */
export function encodeOptions(options: OpenOptions, readOnly?: boolean): Uint8Array {
  checkOpening(options, readOnly === undefined ? [] : ["readOnly"]);
  let started = false;
  const out: Writer = new Writer((least) => {
    const bytes = new Uint8Array(Math.max(least, 256));
    if (started) bytes.set(out.bytes);
    return bytes;
  });
  started = true;
  durability(out, options.durability ?? "strict");
  out.flag(choice("create", options.create, true));
  const recovery = RECOVERY.indexOf(options.recovery ?? "default");
  if (recovery < 0) throw invalid("Argument", `${describe(options.recovery)} is not a recovery mode: ${RECOVERY.join(", ")}`);
  out.u8(recovery);
  out.flag(choice("checkSnapshots", options.checkSnapshots));
  out.flag(choice("snapshotOnClose", options.snapshotOnClose, true));
  out.optional(options.segmentBytes, (bytes) => out.number(bytes));
  out.flag(options.snapshotLogBytes !== undefined);
  if (options.snapshotLogBytes !== undefined) out.optional(options.snapshotLogBytes, (bytes) => out.number(bytes));
  out.flag(readOnly);
  out.flag(choice("hideExpired", options.hideExpired, true));
  return out.bytes.slice(0, out.at);
}
