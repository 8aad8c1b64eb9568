// What an app ships: the size of each part, as it is, by gzip and by brotli. `cargo xtask npm` prints it.

import { readFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const LIMIT = 150 * 1024;

const PARTS = {
  "module (WebAssembly)": ["foldb_wasm_bg.wasm"],
  "its glue": ["foldb_wasm.js"],
  "main thread": ["index.js", "client.js", "commits.js", "operation.js", "options.js", "request.js", "surface.js", "wire.js"],
  worker: ["worker.js", "browser.js", "memory.js", "module.js", "stores.js"],
  both: ["archive.js", "errors.js", "protocol.js", "values.js"],
};

const brotli = (bytes) =>
  brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length;

const row = (name, ...numbers) => console.log(name.padEnd(22), ...numbers.map((number) => String(number).padStart(10)));
const kib = (bytes) => `${(bytes / 1024).toFixed(1)}`;

row("part, KiB", "raw", "gzip", "brotli");
const total = [0, 0, 0];
for (const [part, files] of Object.entries(PARTS)) {
  const sizes = [0, 0, 0];
  for (const file of files) {
    const bytes = readFileSync(new URL(`./dist/${file}`, import.meta.url));
    [bytes.length, gzipSync(bytes, { level: 9 }).length, brotli(bytes)].forEach((size, at) => (sizes[at] += size));
  }
  sizes.forEach((size, at) => (total[at] += size));
  row(part, ...sizes.map(kib));
}
row("all that an app ships", ...total.map(kib));
const left = LIMIT - total[2];
console.log(left >= 0 ? `${kib(left)} KiB below the target of 150 KiB` : `${kib(-left)} KiB above the target of 150 KiB`);
