// The few things that this page needs of a framework.

export const $ = (id) => document.getElementById(id);

/** An element with properties and children. Text is text: nothing from a store is ever taken for markup. */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property in element) element[property] = value;
    else element.setAttribute(property, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Says what happened to whoever listens instead of looking. */
export function say(text) {
  $("said").textContent = text;
}

const ADVICE = {
  Locked: "Another tab has this store open. Close it there, then reload this page.",
  StorageFull: "Nothing was lost. Free some space, or delete another store of this site, and try again.",
  Unsupported: "This page needs a current browser, and https or localhost.",
  Corrupt: "Nothing was changed.",
  RunEnded: "Resume the run first: the button is beside its name.",
  Crashed: "Reload the page: what was committed is there.",
  Poisoned: "Reload the page: what was committed is there.",
};

/** Shows an error in words, with what to do. */
export function complain(error, what) {
  const box = $("error");
  const advice = ADVICE[error?.kind];
  const close = el("button", { type: "button", className: "quiet" }, "Dismiss");
  close.addEventListener("click", hush);
  const text = el("div", {}, el("strong", {}, `${what} failed`), el("p", {}, error?.message ?? String(error)));
  if (advice) text.append(el("p", {}, advice));
  box.replaceChildren(text, close);
  box.hidden = false;
  if (!error?.kind) console.error(error);
}

export function hush() {
  $("error").hidden = true;
}

/** Does something that a person asked for; a failure is told. */
export async function attempt(what, work) {
  hush();
  try {
    return await work();
  } catch (error) {
    complain(error, what);
    return undefined;
  }
}

/** Does the newest of what is asked for, one after the other, and skips what is out of date. */
export function newest(work) {
  let running = false;
  let next;
  return async (...given) => {
    next = given;
    if (running) return;
    running = true;
    try {
      while (next) {
        const now = next;
        next = undefined;
        await work(...now);
      }
    } finally {
      running = false;
    }
  };
}
