// What a worker's file system and quota do wrong, on command: loaded by a worker before the package's own (`life.test.mjs`).

const faults = {};
// First to hear, so that the package does not: it would refuse the message.
addEventListener("message", (event) => {
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
