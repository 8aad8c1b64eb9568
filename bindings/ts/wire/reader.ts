// Answers as bytes; the other side is `src/wire.rs`. Values are CBOR in its only form (docs/format.md, F-37).
//
// Invariant: what comes out has the type that went in. A reader never reads past its answer.

import { FoldbError, invalid } from "../errors.js";
import { idText } from "../ids.js";
import { Tagged, U256 } from "../values.js";
import { DEPTH_MAX, describe, TAG_BIGNUM, TAG_MAP, TAG_SET, TAG_TIME } from "./cbor.js";

/** Up to this many bytes text is read byte by byte, which is quicker than a `TextDecoder`. */
const SHORT_TEXT = 32;
/** Up to this many bytes an engine keeps inside of the array itself, which costs next to nothing. */
const INLINE_BYTES = 64;
/** Byte strings of a list up to this size are views of a buffer that they share: a buffer of its own takes about 1 µs. */
const SHARED_BYTES_MAX = 2048;
/** Most bytes of such a buffer, and so of what one of them keeps from being collected. */
const BUFFER_BYTES = 16_384;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads an answer. */
export class Reader {
  at: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Whether byte strings may share a buffer: those of a list. */
  #sharing = false;
  /** The buffer that they share, and where its bytes came from. */
  #shared: ArrayBufferLike | undefined;
  #sharedFrom = 0;
  #sharedTo = 0;

  /** `view` is of the whole of `bytes`. */
  constructor(bytes: Uint8Array, view: DataView, at: number, end: number) {
    this.bytes = bytes;
    this.#view = view;
    this.at = at;
    this.end = end;
  }

  static of(bytes: Uint8Array): Reader {
    return new Reader(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
  }

  /** The next `length` bytes, as an answer of their own. */
  part(length: number): Reader {
    if (this.at + length > this.end) throw broken();
    return new Reader(this.bytes, this.#view, this.at, this.at + length);
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  #take(count: number): number {
    const at = this.at;
    if (at + count > this.end) throw broken();
    this.at = at + count;
    return at;
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }

  flag(): boolean {
    return this.u8() !== 0;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  number(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** A copy of bytes behind their length: what they are in is used again. */
  raw(): Uint8Array {
    return this.#copy(this.u32());
  }

  #copy(length: number): Uint8Array {
    const at = this.#take(length);
    if (!this.#sharing || length <= INLINE_BYTES || length > SHARED_BYTES_MAX) return this.bytes.slice(at, at + length);
    if (this.#shared === undefined || at < this.#sharedFrom || at + length > this.#sharedTo) {
      this.#sharedFrom = at;
      this.#sharedTo = Math.min(at + BUFFER_BYTES, this.end);
      this.#shared = this.bytes.slice(at, this.#sharedTo).buffer;
    }
    return new Uint8Array(this.#shared, at - this.#sharedFrom, length);
  }

  text(): string {
    return this.#text(this.u32());
  }

  #text(length: number): string {
    const at = this.#take(length);
    return textOf(this.bytes, at, length) ?? fail("Text", "stored text is not UTF-8");
  }

  /** The rest as text. */
  rest(): string {
    return this.#text(this.end - this.at);
  }

  key(): string {
    return this.#key(this.u32());
  }

  #key(length: number): string {
    const at = this.#take(length);
    const text = textOf(this.bytes, at, length);
    if (text === undefined) throw invalid("KeyNotText", 'a key is not text; ask for keys with { keys: "bytes" }');
    return text;
  }

  /** A key as text, or as bytes if it is none. */
  anyKey(): string | Uint8Array {
    const length = this.u32();
    const at = this.#take(length);
    return textOf(this.bytes, at, length) ?? this.bytes.slice(at, at + length);
  }

  optional<T>(read: () => T): T | undefined {
    return this.flag() ? read() : undefined;
  }

  list<T>(read: () => T): T[] {
    const items = [];
    let left = this.u32();
    this.#sharing ||= left > 1;
    for (; left > 0; left--) items.push(read());
    return items;
  }

  /**
   * Entries: all heads and keys, and behind them all values, so that what values share a buffer with is values. `read` is
   * called at each value, and reads the whole of it.
   */
  entries<T>(keys: "text" | "bytes", read: (key: any, version: number, length: number) => T): T[] {
    const items: T[] = [];
    let left = this.u32();
    const keysLength = this.u32();
    let valueAt = this.at + keysLength;
    this.#sharing ||= left > 1;
    for (; left > 0; left--) {
      const keyLength = this.u32();
      const valueLength = this.u32();
      const version = this.number();
      const key = keys === "bytes" ? this.#copy(keyLength) : this.#key(keyLength);
      const next = this.at;
      this.at = valueAt;
      items.push(read(key, version, valueLength));
      this.at = next;
      valueAt += valueLength;
    }
    if (valueAt > this.end) throw broken();
    this.at = valueAt;
    return items;
  }

  id(): string {
    return idText(hexOf(this.bytes, this.#take(16), 16));
  }

  /** So many bytes, or the rest, as hex digits. */
  hex(length = this.end - this.at): string {
    return hexOf(this.bytes, this.#take(length), length);
  }

  /** A varint, as cells have it before their value (docs/format.md, F-38). */
  varint(): number {
    let number = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      number += (byte & 0x7f) * scale;
      if (byte < 0x80) return number;
    }
  }

  /** The value that fills the rest; `undefined` without a rest. */
  maybe(json = false): any {
    return this.done ? undefined : this.#whole(this.end, json);
  }

  /** A value behind its length; `undefined` if that is 0. */
  value(json = false): any {
    const length = this.u32();
    return length === 0 ? undefined : this.#whole(this.at + length, json);
  }

  /** A value of a given length. */
  sized(length: number, json = false): any {
    return this.#whole(this.at + length, json);
  }

  #whole(end: number, json: boolean): any {
    const value = this.#item(json, 0);
    if (this.at !== end) throw broken();
    return value;
  }

  #argument(short: number): number | bigint {
    if (short < 24) return short;
    if (short === 24) return this.u8();
    if (short === 25) return this.#view.getUint16(this.#take(2));
    if (short === 26) return this.#view.getUint32(this.#take(4));
    return this.#view.getBigUint64(this.#take(8));
  }

  #item(json: boolean, depth: number): unknown {
    const first = this.u8();
    const major = first >> 5;
    if (major === 7) return this.#simple(first);
    const argument = this.#argument(first & 31);
    if (major < 2) return integer(major, argument, json);
    if (major === 6) return this.#tag(argument, depth + 1);
    const length = Number(argument);
    if (major === 2) return this.#copy(length);
    if (major === 3) return this.#text(length);
    // The module has checked it; this keeps a damaged message from using up the stack.
    if (depth > DEPTH_MAX || length > this.end - this.at) throw broken();
    if (major === 5) return this.#map(length, json, depth + 1);
    const items = [];
    for (let i = 0; i < length; i++) items.push(this.#item(json, depth + 1));
    return items;
  }

  #simple(first: number): unknown {
    switch (first) {
      case 0xf4:
        return false;
      case 0xf5:
        return true;
      case 0xf6:
        return null;
      case 0xf9:
        return halfFloat(this.#view.getUint16(this.#take(2)));
      case 0xfa:
        return this.#view.getFloat32(this.#take(4));
      case 0xfb:
        return this.#view.getFloat64(this.#take(8));
      default:
        throw broken();
    }
  }

  /** An object if all keys are text, else a `Map`. */
  #map(length: number, json: boolean, depth: number): unknown {
    const object: Record<string, unknown> = {};
    let map: Map<unknown, unknown> | undefined;
    for (let i = 0; i < length; i++) {
      const key = this.#item(json, depth);
      if (!map && typeof key !== "string") map = new Map(Object.entries(object));
      const twice = map ? map.has(key) : Object.hasOwn(object, key as string);
      if (twice) {
        throw new FoldbError("Unsupported", "DuplicateKey", `a map has the key ${describe(key)} twice, which JavaScript cannot hold`);
      }
      const value = this.#item(json, depth);
      if (map) map.set(key, value);
      else if (key === "__proto__") Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      else object[key as string] = value;
    }
    return map ?? object;
  }

  #tag(tag: number | bigint, depth: number): unknown {
    if (depth > DEPTH_MAX) throw broken();
    if (tag === TAG_MAP && this.bytes[this.at]! >> 5 === 5) {
      const value = this.#item(false, depth);
      return value instanceof Map ? value : new Map(Object.entries(value as object));
    }
    const value = this.#item(false, depth);
    if (tag === TAG_SET && Array.isArray(value)) {
      const set = new Set(value);
      // A list with an item twice is no set: it stays what it is.
      if (set.size === value.length) return set;
    }
    if (tag === TAG_TIME && (typeof value === "bigint" || typeof value === "number")) {
      // A time between two milliseconds, or too far away, is no date of JavaScript's.
      const date = new Date(Math.round(Number(value) * 1000));
      if (date.getTime() / 1000 === Number(value)) return date;
    }
    if (tag === TAG_BIGNUM && value instanceof Uint8Array && value.length <= 32 && value[0] !== 0) {
      return new U256(value.length ? BigInt(`0x${hexOf(value, 0, value.length)}`) : 0n);
    }
    return new Tagged(tag, value as never);
  }
}

function integer(major: number, argument: number | bigint, json: boolean): number | bigint {
  // The lowest that a number holds exactly is -2^53 + 1, whose argument is one less.
  if (json && argument <= Number.MAX_SAFE_INTEGER - major) {
    const number = Number(argument);
    return major ? -1 - number : number;
  }
  const number = BigInt(argument);
  return major ? -1n - number : number;
}

function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (fraction + 0x400) : 2 ** -24 * fraction);
}

/** The text that bytes are; `undefined` if they are none. */
function textOf(bytes: Uint8Array, at: number, length: number): string | undefined {
  if (length <= SHORT_TEXT) {
    let text = "";
    let i = at;
    const end = at + length;
    // Eight at once: most of what a letter costs is the call.
    for (; i + 8 <= end; i += 8) {
      const a = bytes[i]!;
      const b = bytes[i + 1]!;
      const c = bytes[i + 2]!;
      const d = bytes[i + 3]!;
      const e = bytes[i + 4]!;
      const f = bytes[i + 5]!;
      const g = bytes[i + 6]!;
      const h = bytes[i + 7]!;
      if ((a | b | c | d | e | f | g | h) > 127) break;
      text += String.fromCharCode(a, b, c, d, e, f, g, h);
    }
    for (; i < end; i++) {
      const byte = bytes[i]!;
      if (byte > 127) break;
      text += String.fromCharCode(byte);
    }
    if (i === end) return text;
  }
  try {
    return decoder.decode(bytes.subarray(at, at + length));
  } catch {
    return undefined;
  }
}

function hexOf(bytes: Uint8Array, at: number, length: number): string {
  let hex = "";
  for (let i = at; i < at + length; i++) hex += bytes[i]!.toString(16).padStart(2, "0");
  return hex;
}

function fail(code: string, message: string): never {
  throw new FoldbError("Corrupt", code, message);
}

function broken(): FoldbError {
  return new FoldbError("Corrupt", "Answer", "an answer of the store is not what it should be; reopen the store");
}
