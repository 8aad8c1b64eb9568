import { open } from "foldb";

// In the browser's private file system, through a worker that the package starts.
const db = await open("visits");

// Several writes, whole or not at all; on stable media when this resolves.
await db.transaction(async (tx) => {
  await tx.kv.addI64("visits", 1);
  await tx.events.append("visits", "visit", { at: new Date(), page: location.pathname });
});

const visits = await db.kv.get("visits");
const [first] = await db.events.range("visits", { limit: 1 });
document.querySelector("#state").textContent = db.created ? "The store was created." : "The store was found again.";
document.querySelector("#visits").textContent = `Visits: ${visits}, the first at ${first.payload.at.toLocaleString()}. Reload this page.`;
