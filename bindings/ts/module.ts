// The WebAssembly module, loaded once, whoever asks for it.

import init, { type InitOutput } from "./foldb_wasm.js";

export { Store, StoreImport, destroyStore, listStores } from "./foldb_wasm.js";

let bytes: (() => Promise<BufferSource>) | undefined;
let loading: Promise<InitOutput> | undefined;

/** Where the module comes from, for engines that cannot fetch what lies beside the package's own files. */
export function readModuleWith(read: () => Promise<BufferSource>): void {
  bytes ??= read;
}

/** Loads the module; a failed load is tried again by the next caller. */
export function load(): Promise<InitOutput> {
  loading ??= start().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function start(): Promise<InitOutput> {
  // Without an argument the module is fetched from beside the package's own files, and compiled while it arrives.
  return bytes ? init({ module_or_path: await bytes() }) : init();
}
