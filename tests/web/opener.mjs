// A process that tries to open a store, and says what came of it.

import { openDirectory } from "foldb/node";

try {
  await (await openDirectory(process.argv[2])).close();
  process.send({ kind: "opened" });
} catch ({ kind, message }) {
  process.send({ kind, message });
}
process.disconnect();
