// What both directions know of values, which are CBOR in its only form (docs/format.md, F-37).

/** Deepest nesting of a value; the module has the same limit. */
export const DEPTH_MAX = 128;

export const TAG_TIME = 1;
export const TAG_BIGNUM = 2;
export const TAG_SET = 258;
export const TAG_MAP = 259;

/** What a value is, for a message. */
export function describe(value: unknown): string {
  if (typeof value === "symbol") return "a symbol";
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return `an object of class ${value.constructor?.name ?? "unknown"}`;
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
}
