// What an app ships: the size of each part, as it is, by gzip and by brotli. `cargo xtask npm` prints it, and fails where all of
// it is over the bound.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** What is wanted, in bytes by brotli. */
const TARGET = 150 * 1024;
/** What must not be exceeded until then: a little above what was reached. It is lowered with every cut. */
const BOUND = 441 * 1024;

/** The files of `dist` that a page loads which opens a store on its main thread, by what they are. */
export function shippedFiles(dist = new URL("./dist/", import.meta.url)) {
  // An entry and what it imports at once; what it imports later is for other uses.
  const loaded = (name, found = new Set([name])) => {
    const text = readFileSync(new URL(name, dist), "utf8");
    for (const [, imported] of text.matchAll(/(?:from|import)\s*"\.\/([^"]+)"/g)) {
      if (found.has(imported)) continue;
      found.add(imported);
      loaded(imported, found);
    }
    return [...found];
  };
  return { "module (WebAssembly)": ["foldb_wasm_bg.wasm"], "main thread": loaded("index.js"), worker: loaded("worker.js") };
}

function print() {
  const brotli = (bytes) =>
    brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;
  const row = (name, ...numbers) => console.log(name.padEnd(22), ...numbers.map((number) => String(number).padStart(10)));
  const kib = (bytes) => `${(bytes / 1024).toFixed(1)}`;
  row("part, KiB", "raw", "gzip", "brotli");
  const total = [0, 0, 0];
  for (const [part, files] of Object.entries(shippedFiles())) {
    const sizes = [0, 0, 0];
    for (const file of files) {
      const bytes = readFileSync(new URL(`./dist/${file}`, import.meta.url));
      [bytes.length, gzipSync(bytes, { level: 9 }).length, brotli(bytes)].forEach((size, at) => (sizes[at] += size));
    }
    sizes.forEach((size, at) => (total[at] += size));
    row(part, ...sizes.map(kib));
  }
  row("all that an app ships", ...total.map(kib));
  const left = TARGET - total[2];
  console.log(`target of ${kib(TARGET)} KiB by brotli: ${left >= 0 ? "met" : `missed by ${kib(-left)} KiB`}`);
  if (total[2] > BOUND) {
    console.error(`error: an app ships ${kib(total[2])} KiB, over the bound of ${kib(BOUND)} KiB in bindings/sizes.mjs; docs/performance.md says what costs how much`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) print();
