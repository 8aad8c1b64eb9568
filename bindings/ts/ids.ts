// Ids of runs and of trace entries: 16 bytes, shown as a UUID.

import { invalid } from "./errors.js";
import { describe } from "./wire/cbor.js";

/** The 32 digits of an id, however they are grouped. */
export function idHex(id: unknown): string {
  const hex = typeof id === "string" ? id.replaceAll("-", "") : "";
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) throw invalid("Id", `${describe(id)} is not an id: 32 hex digits, as in a UUID`);
  return hex;
}

/** Digits as a UUID shows them. */
export function idText(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
