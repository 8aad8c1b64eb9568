// What wasm-bindgen makes of `src/store.rs`; the JavaScript beside the built package is generated.

/** Called while a store is recovered; returns whether to stop. */
export type OnRecovery = (phase: string, done: number, total: number) => boolean;

export class Store {
  private constructor();
  free(): void;
  static openMemory(options: Uint8Array): Store;
  static openNode(files: object, options: Uint8Array, progress?: OnRecovery): Store;
  static openOpfs(name: string, lockWaitMillis: number, options: Uint8Array, progress?: OnRecovery): Promise<Store>;
  reserve(bytes: number): number;
  outputAt(): number;
  call(client: number, length: number): number;
  callAll(client: number, from: number, to: number): number;
  answeredTo(): number;
  announcements(): number;
  dropClient(client: number): void;
  tick(): number;
  replenish(): Promise<void>;
  close(): void;
}

export class StoreImport {
  private constructor();
  free(): void;
  static intoNode(files: object): StoreImport;
  static intoOpfs(name: string, lockWaitMillis: number): Promise<StoreImport>;
  write(bytes: Uint8Array): number;
  reserve(): Promise<void>;
  finish(): number;
  cancel(): void;
}

export function listStores(): Promise<string[]>;
export function destroyStore(name: string): Promise<boolean>;

export interface InitOutput {
  readonly memory: WebAssembly.Memory;
}

export default function init(options?: { module_or_path: unknown }): Promise<InitOutput>;
