// JSON text as values, without rounding: a browser's own parser makes 12345678901234567000 of 12345678901234567890.

/** The value of a JSON text. An integer that a number cannot hold is a bigint; one of more than 64 bits, which no document can hold, throws. */
export function parseJson(text) {
  return JSON.parse(text, (_, value, context) => {
    if (typeof value !== "number" || !Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    if (source === undefined) throw new RangeError(`this browser has rounded an integer to ${value}; write it as text, or use a newer browser`);
    // What is written as a float is one, however large.
    if (!/^-?\d+$/.test(source)) return value;
    const integer = BigInt(source);
    if (integer < -(2n ** 63n) || integer >= 2n ** 64n) throw new RangeError(`${source} is an integer of more than 64 bits, which a document cannot hold; write it as text`);
    return integer;
  });
}
