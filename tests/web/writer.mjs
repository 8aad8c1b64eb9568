// A process that writes until it is killed, and says what was acknowledged.

import { openDirectory } from "foldb/node";

const db = await openDirectory(process.argv[2]);
for (let i = 0; ; i++) {
  db.kv.put(`key ${i}`, BigInt(i));
  process.send(i + 1);
  if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
