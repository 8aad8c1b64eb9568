// Integers, as JavaScript has them.

import { invalid } from "./errors.js";
import { describe } from "./wire/cbor.js";

/** An integer that is given as either of JavaScript's numbers. One that a number has rounded already is refused. */
export function whole(number: bigint | number): bigint {
  if (typeof number === "bigint") return number;
  if (Number.isSafeInteger(number)) return BigInt(number);
  throw invalid("Argument", `${describe(number)} is not an integer that a number holds exactly; use a bigint`);
}
