// Text as UTF-8 has it.

const HALF = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Whether a string is text: half of a surrogate pair is none, and an encoder would put something else in its place. */
export function isText(string: string): boolean {
  return !HALF.test(string);
}
