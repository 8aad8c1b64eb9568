// The package `foldb` in Node, Deno and Bun: the module is read from a file beside this one.

import { readFile } from "node:fs/promises";

import { readModuleWith } from "./module.js";

readModuleWith(() => readFile(new URL("./foldb_wasm_bg.wasm", import.meta.url)));

export * from "./index.js";
