export default {
  // The development server would move the package's modules away from the worker and the WebAssembly beside them.
  optimizeDeps: { exclude: ["foldb"] },
  // The package's worker is a module.
  worker: { format: "es" },
  // `await` at the top of a module, as in every browser that has OPFS.
  build: { target: "es2022" },
};
