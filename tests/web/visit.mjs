// A tab of a profile of its own, in which workers of the package can be reached, and made to fail.

/** `prepare` is given the context before there is a page. In the page: `workers`, `faults` for those to come, `fail` for the first, `soon`. */
export async function visit(site, prepare) {
  const context = await site.browser.newContext();
  await context.addInitScript(() => {
    const Native = Worker;
    globalThis.workers = [];
    globalThis.Worker = class extends Native {
      constructor(url, options) {
        const failing = `${location.origin}/failing.mjs`;
        const faults = `import { fail } from ${JSON.stringify(failing)}; fail(${JSON.stringify(globalThis.faults ?? {})});`;
        const modules = [failing, `data:text/javascript,${encodeURIComponent(faults)}`, url];
        // All are imported before the worker hears its first message.
        const all = modules.map((module) => `import ${JSON.stringify(String(module))};`).join("");
        super(String(url).startsWith("blob:") ? url : URL.createObjectURL(new Blob([all], { type: "text/javascript" })), options);
        globalThis.workers.push(this);
      }
    };
    globalThis.fail = (faults) => globalThis.workers[0].postMessage({ faults });
    globalThis.soon = (promise) => {
      const kind = Promise.resolve(promise).then((value) => value ?? "done", ({ kind, code, message }) => (kind ? `${kind} ${code}` : message));
      return Promise.race([kind, new Promise((resolve) => setTimeout(() => resolve("nothing for a minute"), 60_000))]);
    };
  });
  if (prepare) await prepare(context);
  const page = await context.newPage();
  await page.goto(`${site.origin}/`);
  const cdp = await context.newCDPSession(page);
  return { context, page, cdp, run: (work, argument) => site.on(page, work, argument) };
}
