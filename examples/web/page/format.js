// How things look to a person: numbers, sizes, times, values.

const numbers = new Intl.NumberFormat("en");
const times = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

export const count = (number) => numbers.format(number);

export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < units.length) {
    bytes /= 1024;
    unit++;
  }
  return `${unit === 0 ? bytes : bytes.toPrecision(3)} ${units[unit]}`;
}

export function duration(millis) {
  if (millis < 1) return `${(millis * 1000).toFixed(0)} µs`;
  if (millis < 1000) return `${millis.toPrecision(3)} ms`;
  return `${(millis / 1000).toPrecision(3)} s`;
}

/** Microseconds since 1970 as a date and a time of day. */
export const time = (micros) => times.format(new Date(micros / 1000));

/** A value of the store as JSON shows it, with what JSON has no form for in words. */
export function shown(value, indent) {
  const text = JSON.stringify(
    value,
    (_, part) => {
      if (typeof part === "bigint") return Number.isSafeInteger(Number(part)) ? Number(part) : `${part}`;
      if (part instanceof Uint8Array) return `${part.length} bytes`;
      if (part instanceof Map) return Object.fromEntries(part);
      if (part instanceof Set) return [...part];
      return part;
    },
    indent,
  );
  return text ?? "nothing";
}

export const keyText = (key) => (typeof key === "string" ? key : `0x${[...key].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`);
