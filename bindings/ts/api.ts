// The public types of foldb, written once for both forms of the API: see `api/common.ts`.

export type * from "./api/cells.js";
export type * from "./api/commits.js";
export type * from "./api/common.js";
export type * from "./api/documents.js";
export type * from "./api/events.js";
export type * from "./api/expiry.js";
export type * from "./api/history.js";
export type * from "./api/kv.js";
export type * from "./api/listening.js";
export type * from "./api/queue.js";
export type * from "./api/reports.js";
export type * from "./api/runs.js";
export type * from "./api/spaces.js";
export type * from "./api/store.js";
export type * from "./api/trace.js";
export type * from "./api/transactions.js";
export type * from "./api/work.js";
