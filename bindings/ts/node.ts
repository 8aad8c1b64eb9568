// `foldb/node`: a store in a real directory, the same files that the native program reads and writes.
//
// Invariant: as long as a store is open here, neither another process of this kind nor the native program can open it, and
// the other way round. Both lock the file `lock` of the directory in the way of the operating system.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { readFile } from "node:fs/promises";
import * as path from "node:path";

import type { DirectoryOptions, SyncDb, WorkOptions } from "./api.js";
import { pour, type ArchiveSource, type Imported } from "./archive.js";
import { ending } from "./ending.js";
import { FoldbError, fromModule, invalid, thrown } from "./errors.js";
import { localDb } from "./local.js";
import { load, readModuleWith, Store, StoreImport } from "./module.js";
import { checkSurplus, checkWork, choice } from "./given.js";
import { encodeOptions } from "./options.js";
import { isText } from "./text.js";
import { check, Watch } from "./work.js";

export type * from "./api.js";
export type { ArchiveSource, Imported } from "./archive.js";
export { FoldbError } from "./errors.js";
export { Tagged, U256 } from "./values.js";

readModuleWith(() => readFile(new URL("./foldb_wasm_bg.wasm", import.meta.url)));

const LOCK = "lock";
const OWN = ["log-", "anchor-", "snap-"];
/** Directories that this thread has open, by their resolved paths. */
const open = new Set<string>();
/** Zeros are written in pieces of this size. */
const ZEROS = new Uint8Array(1 << 20);

/**
 * Opens the store in a directory, or creates both.
 *
 * It is open until `close`, also if nobody holds it any more. Where the process ends before (at the end of the program, by
 * `process.exit`, an uncaught error, SIGINT, SIGTERM or SIGHUP), everything is synced, and the process ends as it would have
 * ended. For the signals there is a listener while some commits are `relaxed` or `buffered` and the program has none of its own: like
 * any listener it hears of a signal when the event loop runs, and not in a loop without an `await`. A worker thread hears of its own
 * end only. When it is terminated, or another thread ends the process, what is buffered in it is lost, as by `kill -9`; what is
 * relaxed is with the system and stays.
 *
 * With `readOnly` it is only looked at, beside whoever has it open.
 *
 * Throws `Locked` where another process or handle has it, `NotAStore` where the directory holds something else (or nothing, with
 * `create: false`), `Unsupported` with code `NoLock` where this system offers no lock that Node can take, and what `open` of
 * `foldb` throws.
 */
export async function openDirectory(directory: string, options: DirectoryOptions = {}): Promise<SyncDb> {
  checkSurplus("openDirectory", 2, arguments);
  const readOnly = choice("readOnly", options?.readOnly);
  const encoded = encodeOptions(options, readOnly);
  const watch = new Watch(options);
  const { memory } = await load();
  const create = !readOnly && (options.create ?? true);
  const place = existing(directory, create);
  const letGo = readOnly ? () => {} : takeLock(place, create);
  if (readOnly && !fs.existsSync(path.join(place, LOCK))) refuseForeign(place, false);
  const files = new Files(place, readOnly);
  const released = () => {
    files.closeAll();
    letGo();
  };
  try {
    const store = Store.openNode(files, encoded, watch.call);
    // Whoever only reads has nothing to sync, in time or at the end.
    const surroundings = readOnly ? { options: { ...options, durability: "inMemory" as const } } : { options, ending: ending() };
    return localDb({ name: place, store, memory, released, ...surroundings });
  } catch (error) {
    released();
    throw watch.cause(thrown(error));
  }
}

/**
 * Makes a store in a new or empty directory of an archive: what `db.export()` gives, and `foldb export` writes. Throws what
 * `importStore` of `foldb` throws.
 */
export async function importStore(directory: string, source: ArchiveSource, options: WorkOptions = {}): Promise<Imported> {
  checkSurplus("importStore", 3, arguments);
  checkWork("importStore", options);
  check(options.signal);
  await load();
  const place = existing(directory, true);
  const letGo = takeLock(place, true);
  const files = new Files(place, false);
  try {
    return await pour(source, fromModule(() => StoreImport.intoNode(files)), options);
  } finally {
    files.closeAll();
    letGo();
  }
}

/** The directory, resolved; made if it is missing and that is wanted. */
function existing(directory: string, create: boolean): string {
  // A file system of bytes would be given another name, the same one for many.
  if (typeof directory === "string" && !isText(directory)) {
    throw invalid("Text", `the path of a directory cannot have half of a surrogate pair: ${JSON.stringify(directory)}`);
  }
  try {
    if (!fs.existsSync(directory) && create) makeDurably(path.resolve(directory));
    if (!fs.statSync(directory).isDirectory()) throw notAStore(directory, "it is not a directory; a store is one");
    return fs.realpathSync(directory);
  } catch (error) {
    throw failure(error, directory, "opening");
  }
}

/** Makes a directory and its missing parents, each name durable before the next. */
function makeDurably(directory: string): void {
  const parent = path.dirname(directory);
  if (!fs.existsSync(parent)) makeDurably(parent);
  try {
    fs.mkdirSync(directory);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
  syncDirectory(parent);
}

function syncDirectory(directory: string): void {
  // Windows offers no flush of a directory; NTFS writes names to its journal in order.
  if (process.platform === "win32") return;
  const handle = fs.openSync(directory, "r");
  try {
    fs.fsyncSync(handle);
  } catch (error) {
    // Some network file systems do not know the operation on a directory.
    if (codeOf(error) !== "EINVAL") throw error;
  } finally {
    fs.closeSync(handle);
  }
}

/** Takes the lock of the store, as the native backend does, and returns what gives it back. */
function takeLock(directory: string, create: boolean): () => void {
  const file = path.join(directory, LOCK);
  if (open.has(directory)) {
    throw new FoldbError("Locked", "Locked", `${directory} is locked: this program has the store open already; use that handle, or close it first`);
  }
  try {
    if (!fs.existsSync(file)) refuseForeign(directory, create);
    const lock = lockFile(file, directory);
    open.add(directory);
    return () => {
      open.delete(directory);
      fs.closeSync(lock);
    };
  } catch (error) {
    throw failure(error, file, "locking");
  }
}

/** macOS and the BSDs: the lock is taken while the file is opened. The numbers are those of their `fcntl.h`. */
const EXCLUSIVE_LOCK = 0x20;
const NONBLOCKING = 0x4;
/** Windows: libuv opens the file so that nobody else can. */
const EXCLUSIVE_OPEN = 0x10000000;

function lockFile(file: string, directory: string): number {
  const flags = fs.constants.O_RDWR | fs.constants.O_CREAT;
  switch (process.platform) {
    case "win32":
      return openLocked(file, flags | EXCLUSIVE_OPEN, directory);
    case "darwin":
    case "freebsd":
    case "openbsd":
    case "netbsd":
      return openLocked(file, flags | EXCLUSIVE_LOCK | NONBLOCKING, directory);
    default:
      return flock(file, flags, directory);
  }
}

function openLocked(file: string, flags: number, directory: string): number {
  try {
    return fs.openSync(file, flags, 0o666);
  } catch (error) {
    if (["EAGAIN", "EWOULDBLOCK", "EBUSY"].includes(codeOf(error) ?? "")) throw locked(directory);
    throw error;
  }
}

/** Programs that lock the open file that they get as number 3 and exit with 1 if somebody else has it. */
const LOCKERS: readonly (readonly [string, readonly string[]])[] = [
  ["flock", ["-n", "3"]],
  ["perl", ["-e", 'open(my $f, "+<&=", 3) or exit 2; exit(flock($f, 6) ? 0 : ($!{EWOULDBLOCK} ? 1 : 2))', "-MErrno"]],
  ["python3", ["-c", "import fcntl,sys\ntry: fcntl.flock(3, 6)\nexcept BlockingIOError: sys.exit(1)"]],
];

/**
 * Linux: Node has no `flock`, but the lock belongs to the open file and not to the process that asks for it. So a child
 * that inherits the file takes the lock and ends, and the lock stays until this process closes the file or dies.
 */
function flock(file: string, flags: number, directory: string): number {
  const handle = fs.openSync(file, flags, 0o666);
  const said: string[] = [];
  for (const [program, options] of LOCKERS) {
    const { status, error, stderr } = spawnSync(program, options, { stdio: ["ignore", "ignore", "pipe", handle] });
    if (status === 0) return handle;
    if (status === 1) {
      fs.closeSync(handle);
      throw locked(directory);
    }
    said.push(`${program}: ${error?.message ?? `exit status ${status} ${String(stderr).trim()}`}`);
  }
  fs.closeSync(handle);
  const why = `none of the programs that can take it works (${said.join("; ")}); install util-linux`;
  throw new FoldbError("Unsupported", "NoLock", `the store ${directory} cannot be locked: ${why}`);
}

/** Refuses a directory that holds other things, before anything is written into it. */
function refuseForeign(directory: string, create: boolean): void {
  const names = visible(directory);
  if (names.some((name) => OWN.some((own) => name.startsWith(own)))) return;
  if (names.length > 0) throw notAStore(directory, `it holds other files (such as "${names[0]}"); choose an empty or a new directory`);
  if (!create) throw notAStore(directory, "the directory is empty");
}

function visible(directory: string): string[] {
  return fs.readdirSync(directory).filter((name) => !name.startsWith(".") && name !== "lost+found");
}

/** The files of a directory, as `src/node.rs` asks for them. */
class Files {
  readonly #directory: string;
  /** How a file that is there is opened. */
  readonly #flags: string;
  readonly #open = new Set<number>();
  /** Files whose name may not be on stable media yet. */
  readonly #unnamed = new Set<number>();

  constructor(directory: string, readOnly: boolean) {
    this.#directory = directory;
    this.#flags = readOnly ? "r" : "r+";
  }

  list(): string[] {
    return visible(this.#directory).filter((name) => name !== LOCK);
  }

  create(name: string): number {
    return this.#opened(name, "wx+");
  }

  open(name: string): number {
    // Whoever created it may have died before the first sync, so its name counts as not yet durable.
    return this.#opened(name, this.#flags);
  }

  #opened(name: string, flags: string): number {
    const file = fs.openSync(path.join(this.#directory, name), flags);
    this.#open.add(file);
    this.#unnamed.add(file);
    return file;
  }

  remove(name: string): void {
    fs.unlinkSync(path.join(this.#directory, name));
  }

  close(file: number): void {
    this.#unnamed.delete(file);
    if (this.#open.delete(file)) fs.closeSync(file);
  }

  closeAll(): void {
    for (const file of [...this.#open]) this.close(file);
  }

  size(file: number): number {
    return fs.fstatSync(file).size;
  }

  read(file: number, bytes: Uint8Array, offset: number): number {
    return fs.readSync(file, bytes, 0, bytes.length, offset);
  }

  write(file: number, bytes: Uint8Array, offset: number): number {
    return fs.writeSync(file, bytes, 0, bytes.length, offset);
  }

  setSize(file: number, size: number): void {
    const old = this.size(file);
    if (size <= old) return fs.ftruncateSync(file, size);
    try {
      // Node cannot reserve room; writing zeros does, so that a full disk shows here and not at a commit.
      for (let at = old; at < size; ) at += fs.writeSync(file, ZEROS, 0, Math.min(ZEROS.length, size - at), at);
    } catch (error) {
      fs.ftruncateSync(file, old);
      throw error;
    }
  }

  sync(file: number): void {
    fs.fdatasyncSync(file);
    if (!this.#unnamed.has(file)) return;
    syncDirectory(this.#directory);
    // Every name that was there before is durable now.
    this.#unnamed.clear();
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

function locked(directory: string): FoldbError {
  return new FoldbError("Locked", "Locked", `${directory} is locked: another process, or another thread of this one, has the store open; close it there, or wait for it to end`);
}

function notAStore(directory: string, why: string): FoldbError {
  return new FoldbError("NotAStore", "NotAStore", `${directory} is not a foldb store: ${why}`);
}

/** What the system reported, in the terms of the package. */
function failure(error: unknown, place: string, action: string): FoldbError {
  if (error instanceof FoldbError) return error;
  const message = `${action} ${place}: ${error instanceof Error ? error.message : String(error)}`;
  switch (codeOf(error)) {
    case "ENOENT":
      return new FoldbError("NotFound", "FileMissing", message);
    case "ERR_INVALID_ARG_TYPE":
    case "ERR_INVALID_ARG_VALUE":
      return new FoldbError("Invalid", "Argument", message);
    case "ENOTDIR":
      return notAStore(place, "a part of the path is a file, not a directory");
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new FoldbError("Io", "Denied", message);
    case "ENOSPC":
    case "EDQUOT":
      return new FoldbError("StorageFull", "StorageFull", message);
    default:
      return new FoldbError("Io", "Io", message);
  }
}
