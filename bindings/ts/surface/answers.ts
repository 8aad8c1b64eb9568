// The answers that several operations have, as they are read.

import type * as api from "../api.js";
import type { Reader } from "../wire/reader.js";
import type { Read } from "./caller.js";

/** The answer of an operation that says nothing. Known by identity: such writes can wait in a transaction. */
export const nothing: Read<void> = () => undefined;

export const flag: Read<boolean> = (answer) => answer.flag();
export const number: Read<number> = (answer) => answer.number();
export const optionalNumber: Read<number | undefined> = (answer) => answer.optional(() => answer.number());
export const swept = (answer: Reader): api.Swept => ({ entries: answer.number(), isComplete: answer.flag() });
export const maybe = (answer: Reader): any => answer.maybe();
export const maybeDocument = (answer: Reader): any => answer.maybe(true);
