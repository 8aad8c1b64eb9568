// sqlite-wasm over its OPFS SyncAccessHandle pool, in its default mode (a rollback journal) and with a write-ahead log.

import sqlite3InitModule from "/node_modules/@sqlite.org/sqlite-wasm/dist/index.mjs";

export async function open(name, { durable, wal }) {
  const sqlite3 = await sqlite3InitModule({ print: () => {}, printErr: () => {} });
  const place = `sahpool-${wal ? "wal-" : ""}${name}`;
  const pool = await sqlite3.installOpfsSAHPoolVfs({ name: place, directory: place });
  const db = new pool.OpfsSAHPoolDb("/bench.db");
  if (wal) db.exec("PRAGMA locking_mode = exclusive; PRAGMA journal_mode = wal;");
  const mode = db.selectValue("PRAGMA journal_mode");
  if ((mode === "wal") !== Boolean(wal)) throw new Error(`journal mode ${mode}`);
  // With a write-ahead log NORMAL syncs at checkpoints only; without one OFF is what does not wait for the medium.
  db.exec(`PRAGMA synchronous = ${durable ? "full" : wal ? "normal" : "off"}; PRAGMA cache_size = -65536;`);
  db.exec("CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID");
  const put = db.prepare("INSERT OR REPLACE INTO kv VALUES (?, ?)");
  const get = db.prepare("SELECT v FROM kv WHERE k = ?");
  const range = db.prepare("SELECT k, v FROM kv WHERE k >= ? ORDER BY k LIMIT ?");
  const insert = (key, value) => put.bind(1, key).bind(2, value).stepReset();
  return {
    put: insert,
    putMany(pairs) {
      db.exec("BEGIN");
      for (const [key, value] of pairs) insert(key, value);
      db.exec("COMMIT");
    },
    get(key) {
      get.bind(1, key);
      const value = get.step() ? get.getBlob(0) : undefined;
      get.reset();
      return value;
    },
    range(from, count) {
      range.bind(1, from).bind(2, count);
      const found = [];
      while (range.step()) found.push([range.getString(0), range.getBlob(1)]);
      range.reset();
      return found;
    },
    close() {
      for (const statement of [put, get, range]) statement.finalize();
      db.close();
      pool.pauseVfs();
    },
  };
}
