import { PGlite } from "/node_modules/@electric-sql/pglite/dist/index.js";

export async function open(name, { durable }) {
  const db = await PGlite.create(`opfs-ahp://pglite-${name}`, { relaxedDurability: !durable });
  await db.exec("CREATE TABLE IF NOT EXISTS kv (k TEXT PRIMARY KEY, v BYTEA)");
  const sql = "INSERT INTO kv VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v";
  return {
    put: (key, value) => db.query(sql, [key, value]),
    // Many rows in a statement, as its documentation advises: a statement for each takes ten times as long.
    putMany: (pairs) =>
      db.transaction(async (tx) => {
        for (let first = 0; first < pairs.length; first += 1000) {
          const part = pairs.slice(first, first + 1000);
          const rows = part.map((_, place) => `($${2 * place + 1}, $${2 * place + 2})`).join(",");
          await tx.query(`INSERT INTO kv VALUES ${rows} ON CONFLICT (k) DO UPDATE SET v = excluded.v`, part.flat());
        }
      }),
    get: async (key) => (await db.query("SELECT v FROM kv WHERE k = $1", [key])).rows[0]?.v,
    range: async (from, count) => (await db.query("SELECT k, v FROM kv WHERE k >= $1 ORDER BY k LIMIT $2", [from, count])).rows,
    close: () => db.close(),
  };
}
