// What a worker's file system and quota do wrong, on command: loaded by a worker before the package's own (`life.test.mjs`).

/** `flush`, `estimate`: they fail. `hang`: what of files never answers. `deaf`: messages of a type, or all, that are not heard. `hurry`: long timers are short. */
const faults = {};
// First to hear, so that the package does not: it would refuse the message.
addEventListener("message", (event) => {
  if (faults.deaf === "all" || event.data.type === faults.deaf) event.stopImmediatePropagation();
  if (!event.data.faults) return;
  Object.assign(faults, event.data.faults);
  event.stopImmediatePropagation();
});

const { flush } = FileSystemSyncAccessHandle.prototype;
FileSystemSyncAccessHandle.prototype.flush = function () {
  if (faults.flush) throw new DOMException("the device failed", "UnknownError");
  return flush.call(this);
};

const { estimate } = StorageManager.prototype;
StorageManager.prototype.estimate = function () {
  return faults.estimate ? Promise.reject(new TypeError("no estimate here")) : estimate.call(this);
};

/** What was asked and is answered by nobody. */
export const hanging = [];
for (const [prototype, name] of [[FileSystemFileHandle.prototype, "createSyncAccessHandle"], [FileSystemDirectoryHandle.prototype, "getFileHandle"], [StorageManager.prototype, "persisted"]]) {
  const ask = prototype[name];
  prototype[name] = function (...options) {
    if (faults.hang !== name) return ask.apply(this, options);
    hanging.push(name);
    return new Promise(() => {});
  };
}

// What waits for an answer that will not come need not wait for long. What waits for one that will gets enough.
const timer = globalThis.setTimeout;
globalThis.setTimeout = (work, millis, ...more) => timer(work, faults.hurry && hanging.length > 0 && millis >= 5000 ? 1000 : millis, ...more);
export const fail = (wanted) => Object.assign(faults, wanted);
