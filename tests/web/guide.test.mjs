// What the first screen of the README, the guide and the recipes show in JavaScript: programs for Node are run as they stand, the rest
// is parsed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const documents = join(process.env.FOLDB_REPOSITORY, "docs");
const examples = (path) => [...readFileSync(path, "utf8").matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);

/** Starts Node with a program that lies beside the installed package, in another directory. */
function node(name, code, directory, ...options) {
  const file = join(here, `${name}.mjs`);
  writeFileSync(file, code);
  const { status, stdout, stderr } = spawnSync(process.execPath, [...options, file], { cwd: directory, encoding: "utf8" });
  rmSync(file);
  assert.equal(status, 0, stderr);
  return stdout;
}

for (const [document, path] of [
  ["README", join(here, "node_modules/foldb/README.md")],
  ["guide", join(documents, "guide/javascript.md")],
]) {
  test(`the first program of the ${document} counts each time it is started`, () => {
    const [first] = examples(path);
    const directory = mkdtempSync(join(tmpdir(), "foldb-"));
    for (const visit of [1, 2, 3]) {
      assert.equal(node(`first-${document}`, first, directory), `visit number ${visit}\n`);
    }
    rmSync(directory, { recursive: true });
  });
}

test("the recipes are programs, and the one for Node runs", () => {
  const recipes = examples(join(documents, "recipes.md"));
  assert.ok(recipes.length >= 3);
  for (const recipe of recipes) node("recipe", recipe, here, "--check");
  const [inMemory] = recipes.filter((recipe) => recipe.includes("await memory()"));
  node("recipe", inMemory, here);
});

test("what the recipe for a worker calls is there, by the types", () => {
  const [worker] = examples(join(documents, "recipes.md")).filter((recipe) => recipe.includes("openInWorker"));
  const file = join(here, "recipe-worker.mjs");
  const check = (code) => {
    writeFileSync(file, code);
    const options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "false", "--target", "ES2022", "--module", "NodeNext", "--moduleResolution", "NodeNext", "--lib", "ES2022,DOM", "--types", "", file];
    const { status, stdout, error } = spawnSync(join(here, "node_modules/.bin/tsc"), options, { encoding: "utf8" });
    rmSync(file);
    if (error) throw error;
    return { status, stdout };
  };
  const { status, stdout } = check(worker);
  assert.equal(status, 0, stdout);
  assert.match(check(worker.replace("tx.kv.put", "tx.kv.putt")).stdout, /putt/, "what is not there is noticed");
});
