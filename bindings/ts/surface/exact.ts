// Calls with more arguments than they take.
//
// Invariant: one rule for all calls of the surface: what a call does not take is refused. A second argument of `replayDefault`, or a
// message for `end`, would else be overlooked.

import { surplus } from "../given.js";
import type { Caller } from "./caller.js";
import type { Place } from "./place.js";

/** These say at once what they are, in both forms of the API, and so what is wrong with them. */
const DIRECT = ["run", "subscribe", "onCommit", "queue", "tail"];

type Method = (this: { caller: Caller; place: Place }, ...given: unknown[]) => unknown;

/** Has calls of a class refuse what they do not take: those that are named, or all of its own. No parameter of theirs has a default value. */
export function exact(surface: { prototype: object; name: string }, names = Object.getOwnPropertyNames(surface.prototype)): void {
  const methods = surface.prototype as Record<string, Method>;
  for (const name of names) {
    const method = methods[name]!;
    const takes = method.length;
    if (name === "constructor") continue;
    methods[name] = function () {
      if (arguments.length > takes) {
        const error = surplus(name, takes, arguments);
        if (error && DIRECT.includes(name)) throw error;
        if (error) return this.caller.refuse(this.place, error);
      }
      return method.apply(this, arguments as unknown as unknown[]);
    };
  }
}
