// Runs the shared list in whatever engine this is, and opens a directory there.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as foldb from "foldb";
import { openDirectory } from "foldb/node";

import { cases, equal, fails } from "./shared.mjs";

for (const [name, run] of Object.entries(cases)) {
  const db = await foldb.memory();
  try {
    await run(db, foldb);
  } catch (error) {
    throw new Error(name, { cause: error });
  }
  await db.close();
}

const directory = join(mkdtempSync(join(tmpdir(), "foldb-")), "store");
const db = await openDirectory(directory);
db.kv.put("a", 1n);
await fails("Locked", () => openDirectory(directory));
await db.close();
const again = await openDirectory(directory);
equal([again.created, again.kv.get("a")], [false, 1n]);
await again.close();
console.log(`all ${Object.keys(cases).length} cases hold`);
