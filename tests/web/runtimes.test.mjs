// The shared list in Deno and in Bun, as their npm packages bring them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

for (const [name, options] of [["deno", ["run", "--allow-all", "--node-modules-dir=manual"]], ["bun", []]]) {
  test(`memory and directories work in ${name}`, () => {
    const program = here(`./node_modules/.bin/${name}`);
    assert.ok(existsSync(program), `${name} is not installed`);
    const { status, stdout, stderr } = spawnSync(program, [...options, here("./runtime.mjs")], { encoding: "utf8", cwd: here(".") });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^all \d+ cases hold$/m);
  });
}
