// What the lists of cases look with. Runs anywhere.

/** Goes on with a result, at once or when it is there. (A module that exports `then` is a promise to `import()`.) */
export const chain = (value, go) => (typeof value?.then === "function" ? value.then(go) : go(value));

export function equal(found, expected, what = "value") {
  const show = (value) =>
    JSON.stringify(value, (_, part) => {
      if (typeof part === "bigint") return `${part}n`;
      if (Object.is(part, -0)) return "-0";
      if (typeof part === "number" && !Number.isFinite(part)) return String(part);
      if (part instanceof Map) return { Map: [...part] };
      if (part instanceof Set) return { Set: [...part] };
      if (part instanceof Uint8Array) return { bytes: [...part] };
      return part === undefined ? "undefined" : part;
    });
  if (show(found) !== show(expected)) throw new Error(`${what}: expected ${show(expected)}, found ${show(found)}`);
}

/** What a function that is given to a call throws, the call throws: as it is, and not in anything. */
export async function throwsOwn(work) {
  const own = new Error("mine");
  const thrown = await Promise.resolve()
    .then(() => work(() => { throw own; }))
    .catch((error) => error);
  if (thrown !== own) throw new Error(`expected the error of the function itself, found ${String(thrown)}`);
}

export async function fails(kind, work) {
  let result;
  try {
    result = await work();
  } catch (error) {
    if (error.name !== "FoldbError") throw error;
    equal(error.kind, kind, `kind of "${error.message}"`);
    if (!error.code || !error.message) throw new Error("an error without code or message");
    return error;
  }
  throw new Error(`expected ${kind}, found a result: ${String(result)}`);
}
