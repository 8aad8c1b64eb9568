// The WebAssembly module, loaded once, whoever asks for it.

import { FoldbError, said, stopped } from "./errors.js";
import init, { type InitOutput } from "./foldb_wasm.js";

export { Store, StoreImport, destroyStore, listStores } from "./foldb_wasm.js";

/** The module, compiled or as its bytes; `undefined` where the package has to fetch it after all. */
type Source = BufferSource | WebAssembly.Module | undefined;

let source: (() => Promise<Source>) | undefined;
let loading: Promise<InitOutput> | undefined;

/** Where the module comes from, if somebody else has it or it cannot be fetched from beside the package's own files. */
export function readModuleWith(read: () => Promise<Source>): void {
  source ??= read;
}

/** Loads the module; a failed load is tried again by the next caller. One that has stopped stays so. */
export async function load(): Promise<InitOutput> {
  const dead = stopped();
  if (dead) throw dead;
  loading ??= start().catch((cause: unknown) => {
    loading = undefined;
    const advice = "is foldb_wasm_bg.wasm served beside the package's other files, and does the page's content security policy allow 'wasm-unsafe-eval'?";
    throw new FoldbError("Unsupported", "Module", `the package's WebAssembly module cannot be loaded (${said(cause)}); ${advice}`, { cause });
  });
  return loading;
}

async function start(): Promise<InitOutput> {
  const found = await source?.();
  // Without an argument the module is fetched from beside the package's own files, and compiled while it arrives.
  return found ? init({ module_or_path: found }) : init();
}
