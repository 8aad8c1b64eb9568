// Spaces: what a run and the default space have.

import type { Cells, CellsReader } from "./cells.js";
import type { Mode } from "./common.js";
import type { Documents, DocumentsReader } from "./documents.js";
import type { Events, EventsReader } from "./events.js";
import type { Kv, KvReader } from "./kv.js";
import type { Trace, TraceReader } from "./trace.js";

/** The five primitives of a run or of the default space, for reading. */
export interface SpaceReader<M extends Mode> {
  /** Key-value pairs. */
  readonly kv: KvReader<M>;
  /** JSON documents. */
  readonly json: DocumentsReader<M>;
  /** Event streams. */
  readonly events: EventsReader<M>;
  /** State cells. */
  readonly state: CellsReader<M>;
  /** Trace entries. */
  readonly trace: TraceReader<M>;
}

/** The five primitives of a run or of the default space. */
export interface Space<M extends Mode> {
  /** Key-value pairs. */
  readonly kv: Kv<M>;
  /** JSON documents. */
  readonly json: Documents<M>;
  /** Event streams. */
  readonly events: Events<M>;
  /** State cells. */
  readonly state: Cells<M>;
  /** Trace entries. */
  readonly trace: Trace<M>;
}
