// Tells the server of each write and sync of a worker's files, before it is done: what the server does not answer is not done
// (`import-kill.test.mjs`). Loaded by a worker before the package's own.

const tell = () => {
  const request = new XMLHttpRequest();
  // The worker stands still meanwhile.
  request.open("GET", new URL("/step", import.meta.url), false);
  request.send();
};

for (const name of ["write", "truncate", "flush"]) {
  const work = FileSystemSyncAccessHandle.prototype[name];
  FileSystemSyncAccessHandle.prototype[name] = function (...options) {
    tell();
    return work.apply(this, options);
  };
}
