// A static server for the examples: the folder, the package under /foldb/, the sample data under /data/.
//
// It sends no headers that any other static server would not send: the package needs none.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const REPOSITORY = join(HERE, "..", "..");
const TYPES = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".jsonl": "application/jsonl",
  ".map": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** The folder that answers for the beginning of a path; the rest of the path is looked for in it. */
function folders(root) {
  return [
    ["/foldb/", process.env.FOLDB_PACKAGE ?? join(REPOSITORY, "bindings", "dist")],
    ["/data/", join(REPOSITORY, "cli", "data")],
    ["/", root],
  ];
}

function find(root, pathname) {
  const [prefix, folder] = folders(root).find(([prefix]) => pathname.startsWith(prefix));
  let file = normalize(join(folder, pathname.slice(prefix.length)));
  if (file !== normalize(folder) && !file.startsWith(normalize(folder + sep))) return undefined;
  try {
    if (statSync(file).isDirectory()) file = join(file, "index.html");
    return statSync(file).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

/** Serves a folder on this machine; port 0 takes a free one. Resolves with the server and its address. */
export async function serve(root = join(HERE, "page"), port = 0) {
  const server = createServer((request, response) => {
    let file;
    try {
      file = find(root, decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    } catch {
      return response.writeHead(400).end();
    }
    if (!file) return response.writeHead(404, { "content-type": "text/plain" }).end("there is nothing here\n");
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return { server, origin: `http://localhost:${server.address().port}` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[3] ? join(HERE, process.argv[3]) : undefined;
  const { origin } = await serve(folder, Number(process.argv[2] ?? 8080));
  console.log(`the page is at ${origin}  (end with Ctrl-C)`);
}
