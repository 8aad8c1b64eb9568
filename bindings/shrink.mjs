// What a panic would say is taken out of the module: `node shrink.mjs FROM TO`.
//
// Nobody can hear it. A module has no standard error, and whoever called sees a trap, which becomes the error `Crashed`, with
// and without the words. But the words cost: each place that may panic passes where it is, and texts are put together for it.
// So the functions that all panics go through trap at once, and the tables of places become zeros. What is only there
// for them is then removed by wasm-opt. The names in the module, which are gone afterwards, say which functions these are.

import { readFileSync, writeFileSync } from "node:fs";

/** Functions that never return, without hash and crate number. Only such may be here: their bodies are replaced. */
const NEVER_RETURN = [
  /^core::panicking::/,
  /^core::(option|result)::(expect|unwrap)_failed$/,
  /^core::cell::panic_already_/,
  /^core::str::slice_error_fail/,
  /^core::slice::index::slice_\w*fail$/,
  /^core::slice::copy_from_slice_impl::len_mismatch_fail/,
  /^core::slice::sort::shared::smallsort::panic_on_ord_violation$/,
  /^alloc::raw_vec::(handle_error|capacity_overflow)$/,
  /^alloc::alloc::handle_alloc_error$/,
  /^<alloc::vec::Vec<.*>>::\w+::assert_failed$/,
  /^__rustc::rust_begin_unwind$/,
];
/** Fewer than this many: the compiler or wasm-bindgen names them otherwise now, and the list above has to follow. */
const FUNCTIONS_MIN = 20;
const PLACES_MIN = 200;
/** No locals, `unreachable`, `end`. */
const TRAP = Buffer.from([0, 0x00, 0x0b]);

const CUSTOM = 0, IMPORT = 2, CODE = 10, DATA = 11;

class Reader {
  constructor(bytes, at = 0, end = bytes.length) {
    Object.assign(this, { bytes, at, end });
  }
  byte() {
    return this.bytes[this.at++];
  }
  /** LEB128. Signed ones, of which only addresses are read here, are positive. */
  number() {
    let value = 0, scale = 1, byte;
    do {
      byte = this.byte();
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte & 0x80);
    return value;
  }
  take(length) {
    return this.bytes.subarray(this.at, (this.at += length));
  }
  text() {
    return this.take(this.number()).toString("utf8");
  }
}

function number(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return Buffer.from([...bytes, value]);
}

function* sections(bytes) {
  const reader = new Reader(bytes, 8);
  while (reader.at < bytes.length) {
    const id = reader.byte();
    yield { id, content: reader.take(reader.number()) };
  }
}

/** How many functions are imported: they are counted before those of the module. */
function importedFunctions(content) {
  const reader = new Reader(content);
  const limits = () => {
    const flags = reader.byte();
    reader.number();
    if (flags & 1) reader.number();
  };
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === 0) reader.number(), functions++;
    else if (kind === 1) reader.byte(), limits();
    else if (kind === 2) limits();
    else throw new Error(`an import of kind ${kind}, which shrink.mjs does not know`);
  }
  return functions;
}

function functionNames(content) {
  const reader = new Reader(content);
  const names = new Map();
  if (reader.text() !== "name") return names;
  while (reader.at < content.length) {
    const kind = reader.byte();
    const part = new Reader(reader.take(reader.number()));
    if (kind !== 1) continue;
    for (let left = part.number(); left > 0; left--) names.set(part.number(), part.text());
  }
  return names;
}

/** Without the hash of a symbol and the numbers of crates. */
const plain = (name) => name.replace(/::h[0-9a-f]{16}(\[\d+\])?$/, "").replace(/\[[0-9a-f]+\]/g, "");

function trapping(content, first, names) {
  const reader = new Reader(content);
  const count = reader.number();
  const bodies = [number(count)];
  let replaced = 0;
  for (let index = first; index < first + count; index++) {
    let body = reader.take(reader.number());
    const name = plain(names.get(index) ?? "");
    if (NEVER_RETURN.some((pattern) => pattern.test(name))) {
      body = TRAP;
      replaced++;
    }
    bodies.push(number(body.length), body);
  }
  if (replaced < FUNCTIONS_MIN) throw new Error(`only ${replaced} functions of panics were found by name`);
  return Buffer.concat(bodies);
}

/** Zeros in place of each `core::panic::Location` (file, its length, line, column) and of the names of files. */
function withoutPlaces(content) {
  const bytes = Buffer.from(content);
  const reader = new Reader(bytes);
  const segments = [];
  for (let left = reader.number(); left > 0; left--) {
    if (reader.number() !== 0 || reader.byte() !== 0x41) throw new Error("a data segment without a constant address");
    const address = reader.number();
    reader.byte();
    segments.push({ address, data: reader.take(reader.number()) });
  }
  const memory = (address, length) => {
    const segment = segments.find(({ address: from, data }) => address >= from && address + length <= from + data.length);
    return segment?.data.subarray(address - segment.address, address - segment.address + length);
  };
  const files = new Set();
  let places = 0;
  for (const { address, data } of segments) {
    for (let at = (4 - (address % 4)) % 4; at + 16 <= data.length; at += 4) {
      const [file, length, line, column] = [0, 4, 8, 12].map((offset) => data.readUInt32LE(at + offset));
      if (length < 4 || length > 300 || line === 0 || line > 50_000 || column === 0 || column > 1000) continue;
      const name = memory(file, length);
      if (!name || !/^[\x21-\x7e]+\.rs$/.test(name.toString("latin1"))) continue;
      files.add(name);
      data.fill(0, at, at + 16);
      places++;
    }
  }
  // Last, because many places share a name.
  for (const name of files) name.fill(0);
  if (places < PLACES_MIN) throw new Error(`only ${places} places of panics were found`);
  return bytes;
}

const [from, to] = process.argv.slice(2);
const module = readFileSync(from);
const parts = [...sections(module)];
const names = parts.filter(({ id }) => id === CUSTOM).reduce((all, { content }) => new Map([...all, ...functionNames(content)]), new Map());
const imports = parts.find(({ id }) => id === IMPORT);
const first = imports ? importedFunctions(imports.content) : 0;
const written = parts.flatMap(({ id, content }) => {
  const changed = id === CODE ? trapping(content, first, names) : id === DATA ? withoutPlaces(content) : content;
  return [Buffer.from([id]), number(changed.length), changed];
});
writeFileSync(to, Buffer.concat([module.subarray(0, 8), ...written]));
