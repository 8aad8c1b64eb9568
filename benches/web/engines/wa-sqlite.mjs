// wa-sqlite, synchronous build, over its pool of access handles.

import SQLiteModule from "/node_modules/wa-sqlite/dist/wa-sqlite.mjs";
import { AccessHandlePoolVFS } from "/node_modules/wa-sqlite/src/examples/AccessHandlePoolVFS.js";
import * as SQLite from "/node_modules/wa-sqlite/src/sqlite-api.js";

export async function open(name, { durable }) {
  const sqlite3 = SQLite.Factory(await SQLiteModule());
  const vfs = new AccessHandlePoolVFS(`/wa-sqlite-${name}`);
  await vfs.isReady;
  sqlite3.vfs_register(vfs, true);
  const db = await sqlite3.open_v2("bench.db");
  const run = (sql) => sqlite3.exec(db, sql);
  // The journal stays where it is and its header is wiped: the quickest journal of this VFS that is safe.
  await run("PRAGMA locking_mode = exclusive; PRAGMA journal_mode = persist");
  await run(`PRAGMA synchronous = ${durable ? "full" : "off"}; PRAGMA cache_size = -65536`);
  await run("CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID");
  const texts = [];
  const prepare = async (sql) => {
    const text = sqlite3.str_new(db, sql);
    texts.push(text);
    return (await sqlite3.prepare_v2(db, sqlite3.str_value(text))).stmt;
  };
  const put = await prepare("INSERT OR REPLACE INTO kv VALUES (?, ?)");
  const get = await prepare("SELECT v FROM kv WHERE k = ?");
  const range = await prepare("SELECT k, v FROM kv WHERE k >= ? ORDER BY k LIMIT ?");
  const insert = async (key, value) => {
    sqlite3.bind_text(put, 1, key);
    sqlite3.bind_blob(put, 2, value);
    await sqlite3.step(put);
    await sqlite3.reset(put);
  };
  return {
    put: insert,
    async putMany(pairs) {
      await run("BEGIN");
      for (const [key, value] of pairs) await insert(key, value);
      await run("COMMIT");
    },
    async get(key) {
      sqlite3.bind_text(get, 1, key);
      const there = (await sqlite3.step(get)) === SQLite.SQLITE_ROW;
      const value = there ? sqlite3.column_blob(get, 0).slice() : undefined;
      await sqlite3.reset(get);
      return value;
    },
    async range(from, count) {
      sqlite3.bind_text(range, 1, from);
      sqlite3.bind_int(range, 2, count);
      const found = [];
      // Its blobs are views that are good until the next step. They go into one buffer, as foldb does it: one for each would
      // take half of the time.
      let buffer = new Uint8Array(count * 128);
      let at = 0;
      while ((await sqlite3.step(range)) === SQLite.SQLITE_ROW) {
        const blob = sqlite3.column_blob(range, 1);
        if (at + blob.length > buffer.length) [buffer, at] = [new Uint8Array(count * 128 + blob.length), 0];
        buffer.set(blob, at);
        found.push([sqlite3.column_text(range, 0), buffer.subarray(at, (at += blob.length))]);
      }
      await sqlite3.reset(range);
      return found;
    },
    async close() {
      for (const statement of [put, get, range]) await sqlite3.finalize(statement);
      await sqlite3.close(db);
      await vfs.close();
    },
  };
}
