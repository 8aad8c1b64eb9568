// Requests as bytes; the other side is `src/wire.rs`. Values are CBOR in its only form (docs/format.md, F-37).
//
// Invariant: what comes out has the type that went in, or it does not go in.

import type { Key, RangeOptions, ScanOptions } from "../api.js";
import { FoldbError, invalid } from "../errors.js";
import { checkOptions, choice } from "../given.js";
import { idHex } from "../ids.js";
import { whole } from "../integers.js";
import { isText } from "../text.js";
import { Tagged, U256 } from "../values.js";
import { DEPTH_MAX, describe, TAG_BIGNUM, TAG_MAP, TAG_SET, TAG_TIME } from "./cbor.js";
import { INPUT_BYTES_MAX } from "./limits.js";

const encoder = new TextEncoder();

const scratch = new DataView(new ArrayBuffer(8));

/** In the order in which they are written. */
const RANGE = ["prefix", "gt", "gte", "lt", "lte", "from", "to"] as const;
const SCAN = [...RANGE, "limit", "reverse", "after", "keys"];

/** Writes one request after the other into a buffer that grows. */
export class Writer {
  at = 0;
  bytes: Uint8Array<ArrayBuffer>;
  readonly #grow: (least: number) => Uint8Array<ArrayBuffer>;

  /** `grow` gives a buffer of at least so many bytes, with what the old one has. */
  constructor(grow: (least: number) => Uint8Array<ArrayBuffer>) {
    this.#grow = grow;
    this.bytes = grow(256);
  }

  /** Makes room for `more` bytes. */
  room(more: number): void {
    if (this.at + more > this.bytes.length) this.refresh(this.at + more);
  }

  /** Asks for the buffer again: memory that has grown is elsewhere. */
  refresh(least = 0): void {
    if (least > INPUT_BYTES_MAX) {
      throw new FoldbError("Limit", "Limit", `the request has more than ${INPUT_BYTES_MAX} bytes; make several, in one transaction`);
    }
    this.bytes = this.#grow(Math.max(least, this.at));
  }

  u8(byte: number): void {
    this.room(1);
    this.bytes[this.at++] = byte;
  }

  flag(flag: boolean | undefined): void {
    this.u8(flag ? 1 : 0);
  }

  /** Operation, target and handle: what every request begins with, in one step. */
  head(operation: number, target: number, handle: number): void {
    this.room(6);
    const { bytes } = this;
    bytes[this.at++] = operation;
    bytes[this.at++] = target;
    if (target === 0) return;
    this.#put32(this.at, handle);
    this.at += 4;
  }

  u32(number: number): void {
    this.room(4);
    this.#put32(this.at, number);
    this.at += 4;
  }

  #put32(at: number, number: number): void {
    const { bytes } = this;
    bytes[at] = number;
    bytes[at + 1] = number >>> 8;
    bytes[at + 2] = number >>> 16;
    bytes[at + 3] = number >>> 24;
  }

  /** Overwrites the `u32` at `at`. */
  patch(at: number, number: number): void {
    // A getter or an iterator may have used another store since, and the memory of both have grown.
    this.room(0);
    this.#put32(at, number);
  }

  number(number: number): void {
    if (typeof number !== "number") throw invalid("Argument", `expected a number, found ${describe(number)}`);
    scratch.setFloat64(0, number, true);
    this.#scratch(8);
  }

  #scratch(count: number): void {
    this.room(count);
    for (let i = 0; i < count; i++) this.bytes[this.at++] = scratch.getUint8(i);
  }

  /** 64 bits, little-endian. */
  i64(number: bigint | number, signed: boolean): void {
    const integer = whole(number);
    const [least, most] = signed ? [-(1n << 63n), (1n << 63n) - 1n] : [0n, (1n << 64n) - 1n];
    if (integer < least || integer > most) {
      throw invalid("Argument", `${integer} is not between ${least} and ${most}`);
    }
    scratch.setBigUint64(0, BigInt.asUintN(64, integer), true);
    this.#scratch(8);
  }

  /** 256 bits, little-endian. */
  u256(number: bigint | number): void {
    const integer = whole(number);
    if (integer < 0n || integer >> 256n) throw invalid("Argument", `${integer} is not an unsigned integer of 256 bits`);
    for (let shift = 0n; shift < 256n; shift += 64n) {
      scratch.setBigUint64(0, BigInt.asUintN(64, integer >> shift), true);
      this.#scratch(8);
    }
  }

  /** Bytes without their length. */
  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  key(key: Key): void {
    if (typeof key === "string") {
      this.text(key);
    } else if (key instanceof Uint8Array) {
      this.u32(key.length);
      this.raw(key);
    } else {
      throw invalid("Key", `a key is a string or a Uint8Array, not ${describe(key)}`);
    }
  }

  text(text: string): void {
    if (typeof text !== "string") throw invalid("Argument", `expected a string, found ${describe(text)}`);
    this.room(4 + text.length * 3);
    const start = this.at + 4;
    const length = this.#utf8(text, start);
    this.#put32(this.at, length);
    this.at = start + length;
  }

  /** Writes text at `start`, where there is room, and returns how many bytes it took. */
  #utf8(text: string, start: number): number {
    const { length } = text;
    const { bytes } = this;
    if (length > 64) return this.#long(text, start);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) return this.#long(text, start);
      bytes[start + i] = code;
    }
    return length;
  }

  #long(text: string, start: number): number {
    // An encoder would put a question mark in its place, and another key, or another value, would be stored.
    if (!isText(text)) throw invalid("Text", "text with half of a surrogate pair cannot be stored");
    return encoder.encodeInto(text, this.bytes.subarray(start)).written;
  }

  optional<T>(value: T | undefined | null, write: (value: T) => void): void {
    this.flag(value !== undefined && value !== null);
    if (value !== undefined && value !== null) write(value);
  }

  /** A count, and what `write` writes for each. */
  list<T>(items: Iterable<T>, write: (item: T) => void): void {
    // Text is a list of characters, which nobody means.
    if (typeof items === "string" || typeof (items as Iterable<T> | undefined)?.[Symbol.iterator] !== "function") {
      throw invalid("Argument", `expected a list, found ${describe(items)}`);
    }
    const at = this.at;
    let count = 0;
    this.u32(0);
    for (const item of items) {
      write(item);
      count++;
    }
    this.patch(at, count);
  }

  /** Keys, each with what `write` writes of its value. */
  pairs(pairs: Iterable<readonly [Key, unknown]>, write: (value: unknown) => void): void {
    this.list(pairs, (pair) => {
      if (!Array.isArray(pair) || pair.length !== 2) throw invalid("Argument", `expected a pair of a key and a value, found ${describe(pair)}`);
      this.key(pair[0] as Key);
      write(pair[1]);
    });
  }

  /** A choice of keys; without bounds all of them. */
  range(range: RangeOptions | undefined | null, names: readonly string[] = RANGE): void {
    checkOptions("a range of keys", range ?? undefined, names);
    for (const bound of RANGE) this.optional(range?.[bound], (key) => this.key(key));
  }

  /** Which entries of a range, in which order. */
  scan(options: ScanOptions | undefined | null): void {
    this.range(options, SCAN);
    checkKeys(options?.keys);
    this.page(options?.limit, options?.reverse, options?.after, (after) => this.key(after));
  }

  page<T>(limit: number | undefined, reverse: boolean | undefined, after: T | undefined, write: (after: T) => void): void {
    this.optional(limit, (limit) => this.number(limit));
    this.flag(choice("reverse", reverse));
    this.optional(after, write);
  }

  /** A run's or a trace entry's id. */
  id(id: string): void {
    const hex = idHex(id);
    this.room(16);
    for (let i = 0; i < 32; i += 2) this.bytes[this.at++] = parseInt(hex.slice(i, i + 2), 16);
  }

  /** A value behind its length. */
  value(value: unknown): void {
    this.#behindLength(value, false);
  }

  /** A document behind its length. */
  document(document: unknown): void {
    this.#behindLength(document, true);
  }

  #behindLength(value: unknown, json: boolean): void {
    const at = this.at;
    this.u32(0);
    this.#item(value, json, []);
    this.patch(at, this.at - at - 4);
  }

  #head(major: number, argument: number): void {
    this.room(9);
    const { bytes } = this;
    const first = major << 5;
    if (argument < 24) {
      bytes[this.at++] = first | argument;
    } else if (argument < 0x100) {
      bytes[this.at++] = first | 24;
      bytes[this.at++] = argument;
    } else if (argument < 0x10000) {
      bytes[this.at++] = first | 25;
      bytes[this.at++] = argument >>> 8;
      bytes[this.at++] = argument;
    } else if (argument < 0x100000000) {
      bytes[this.at++] = first | 26;
      scratch.setUint32(0, argument);
      this.#scratch(4);
    } else {
      bytes[this.at++] = first | 27;
      scratch.setBigUint64(0, BigInt(argument));
      this.#scratch(8);
    }
  }

  #integer(integer: bigint, path: Path): void {
    const negative = integer < 0n;
    const argument = negative ? -1n - integer : integer;
    if (argument >> 64n) {
      throw refused(path, `the bigint ${integer} is not between -2^64 and 2^64 - 1; a U256 holds larger ones`);
    }
    if (argument <= 0xffffffffn) {
      this.#head(negative ? 1 : 0, Number(argument));
    } else {
      this.u8((negative ? 0x20 : 0) | 27);
      scratch.setBigUint64(0, argument);
      this.#scratch(8);
    }
  }

  /** The shortest of two, four and eight bytes that keeps the number; one NaN. */
  #float(number: number): void {
    if (number !== number) {
      scratch.setUint32(0, 0xf97e0000);
      this.#scratch(3);
    } else if (Math.fround(number) === number) {
      scratch.setFloat32(0, number);
      const bits = scratch.getUint32(0);
      const short = halfOf(bits);
      this.u8(short < 0 ? 0xfa : 0xf9);
      if (short >= 0) scratch.setUint16(0, short);
      this.#scratch(short < 0 ? 4 : 2);
    } else {
      this.u8(0xfb);
      scratch.setFloat64(0, number);
      this.#scratch(8);
    }
  }

  #text(text: string, path: Path): void {
    if (text.length <= 23) {
      // One byte of head is right if all of it is ASCII, and nearly always it is.
      this.room(1 + text.length * 3);
      const length = this.#ascii(text, this.at + 1);
      if (length >= 0) {
        this.bytes[this.at] = 0x60 | length;
        this.at += 1 + length;
        return;
      }
    }
    if (!isText(text)) throw refused(path, "text with half of a surrogate pair cannot be stored");
    const bytes = encoder.encode(text);
    this.#head(3, bytes.length);
    this.raw(bytes);
  }

  #ascii(text: string, start: number): number {
    const { length } = text;
    const { bytes } = this;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) return -1;
      bytes[start + i] = code;
    }
    return length;
  }

  #item(value: unknown, json: boolean, path: Path): void {
    switch (typeof value) {
      case "string":
        return this.#text(value, path);
      case "number":
        if (!json) return this.#float(value);
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
          return value < 0 ? this.#head(1, -1 - value) : this.#head(0, value);
        }
        if (!Number.isFinite(value)) throw refused(path, `a document cannot hold ${value}`);
        return this.#float(value);
      case "bigint":
        if (json && value < -(1n << 63n)) throw refused(path, `a document cannot hold ${value}: it is below -2^63`);
        return this.#integer(value, path);
      case "boolean":
        return this.u8(value ? 0xf5 : 0xf4);
      case "object":
        if (value === null) return this.u8(0xf6);
        if (path.length >= DEPTH_MAX) {
          throw new FoldbError("Limit", "Limit", `the value is nested more than ${DEPTH_MAX} deep (is it in a cycle?)`);
        }
        return this.#object(value, json, path);
      default:
        throw refused(path, `${describe(value)} cannot be stored`);
    }
  }

  #items(items: ArrayLike<unknown>, json: boolean, path: Path): void {
    this.#head(4, items.length);
    for (let i = 0; i < items.length; i++) {
      path.push(i);
      this.#item(items[i], json, path);
      path.pop();
    }
  }

  #object(value: object, json: boolean, path: Path): void {
    if (Array.isArray(value)) return this.#items(value, json, path);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      const keys = Object.keys(value);
      this.#head(5, keys.length);
      for (const key of keys) {
        this.#text(key, path);
        path.push(key);
        this.#item((value as Record<string, unknown>)[key], json, path);
        path.pop();
      }
      return;
    }
    if (json) throw refused(path, `a document cannot hold ${describe(value)}`);
    this.#special(value, path);
  }

  #special(value: object, path: Path): void {
    if (value instanceof Uint8Array) {
      this.#head(2, value.length);
      return this.raw(value);
    }
    if (value instanceof Map) return this.#map(value, path);
    if (value instanceof Set) {
      this.#head(6, TAG_SET);
      return this.#items([...value], false, path);
    }
    if (value instanceof Date) return this.#date(value, path);
    if (value instanceof U256) return this.#u256(value.value, path);
    if (value instanceof Tagged) {
      if (value.tag < 0n || value.tag >> 64n) throw refused(path, `${value.tag} is not a tag`);
      if (value.tag <= 0xffffffffn) {
        this.#head(6, Number(value.tag));
      } else {
        this.u8(0xdb);
        scratch.setBigUint64(0, value.tag);
        this.#scratch(8);
      }
      path.push("value");
      this.#item(value.value, false, path);
      path.pop();
      return;
    }
    throw refused(path, `${describe(value)} cannot be stored; make a plain object, an array or a Uint8Array of it`);
  }

  #map(map: Map<unknown, unknown>, path: Path): void {
    // Without the tag, a map of text keys would come back as an object.
    let plain = true;
    for (const key of map.keys()) plain &&= typeof key === "string";
    if (plain) this.#head(6, TAG_MAP);
    this.#head(5, map.size);
    for (const [key, value] of map) {
      path.push(typeof key === "string" ? key : describe(key));
      this.#item(key, false, path);
      this.#item(value, false, path);
      path.pop();
    }
  }

  #date(date: Date, path: Path): void {
    const millis = date.getTime();
    if (Number.isNaN(millis)) throw refused(path, "an invalid date cannot be stored");
    this.u8(0xc0 | TAG_TIME);
    const seconds = millis / 1000;
    if (Number.isInteger(seconds)) return seconds < 0 ? this.#head(1, -1 - seconds) : this.#head(0, seconds);
    if (Math.round(seconds * 1000) !== millis) throw refused(path, "the date is too far away to keep its milliseconds");
    this.#float(seconds);
  }

  #u256(integer: bigint, path: Path): void {
    if (integer < 0n || integer >> 256n) throw refused(path, `${integer} is not an unsigned integer of 256 bits`);
    let hex = integer === 0n ? "" : integer.toString(16);
    if (hex.length % 2) hex = `0${hex}`;
    this.u8(0xc0 | TAG_BIGNUM);
    this.#head(2, hex.length / 2);
    for (let i = 0; i < hex.length; i += 2) this.u8(parseInt(hex.slice(i, i + 2), 16));
  }
}

/** Refuses what is no form for keys to come in. */
export function checkKeys(keys: unknown = "text"): void {
  if (keys !== "text" && keys !== "bytes") throw invalid("Argument", `keys come as "text" or as "bytes", not as ${describe(keys)}`);
}

/** The float of two bytes with the value of these four; -1 if there is none. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0) return fraction === 0 ? sign : -1;
  if (exponent === 0xff) return sign | 0x7c00;
  const power = exponent - 127;
  if (power > 15 || power < -24) return -1;
  if (power >= -14) return fraction & 0x1fff ? -1 : sign | ((power + 15) << 10) | (fraction >>> 13);
  const whole = fraction | 0x800000;
  const shift = -power - 1;
  return whole & ((1 << shift) - 1) ? -1 : sign | (whole >>> shift);
}

type Path = (string | number)[];

function refused(path: Path, why: string): FoldbError {
  const place = path.map((step) => `[${JSON.stringify(step)}]`).join("");
  return invalid("Value", place ? `${why} (at ${place} of the value)` : why);
}
