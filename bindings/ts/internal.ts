// What the package's own tests reach to feed it failures and hostile bytes. Not for users: the package does not export it.

export { LocalCaller, localDb } from "./local.js";
export { load, Store } from "./module.js";
export { Operation } from "./operation.js";
export { encodeOptions } from "./options.js";
export { readAnswer, writeHead } from "./request.js";
export { STORE } from "./surface/place.js";
export { Reader } from "./wire/reader.js";
export { Writer } from "./wire/writer.js";
