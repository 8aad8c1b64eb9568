// What npm runs before it packs: a package without what is built, or without its licences, is not packed.

import { copyFileSync, existsSync, readFileSync } from "node:fs";

const here = (name) => new URL(name, import.meta.url);
const { exports } = JSON.parse(readFileSync(here("package.json"), "utf8"));

/** The files that the exports lead to. */
const exported = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry).flatMap(exported));
const missing = [...exported(exports), "./dist/worker.js", "./dist/foldb_wasm_bg.wasm"].filter((name) => !existsSync(here(name)));
if (missing.length > 0) {
  console.error(`the package is not built, ${missing.join(", ")} is not there; run: cargo xtask npm`);
  process.exit(1);
}
for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(here(`../${licence}`), here(licence));
