// Values of the store that JavaScript has no type for.

import type { Value } from "./api.js";
import { whole } from "./integers.js";

/** A value with a CBOR tag (RFC 8949, section 3.4) that JavaScript has no type for. */
export class Tagged {
  readonly tag: bigint;
  readonly value: Value;

  constructor(tag: bigint | number, value: Value) {
    this.tag = whole(tag);
    this.value = value;
  }
}

/** A 256-bit unsigned integer: the value of a counter of `addU256`. A type of its own, as in Rust, however small it is. */
export class U256 {
  readonly value: bigint;

  constructor(value: bigint | number) {
    this.value = whole(value);
  }
}
