// What the module takes at most.

/** Most bytes of a request, with what a page sends along with it: see `src/store.rs`. */
export const INPUT_BYTES_MAX = 264 << 20;
