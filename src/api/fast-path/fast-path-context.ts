/** What the fast path and its methods share: the options of one fast path, its pacer and its buffers. */
import type { MemoryBudget } from "../../memory/mod.ts";
import type { CallTracker } from "../calls/call-tracker.ts";
import type { OriginRules } from "../http/origin-rules.ts";
import type { ClusterAdmin } from "../methods/admin-operations.ts";
import type { AppendContext } from "../methods/append.ts";
import type { LogDirectory } from "../methods/logs/log-directory.ts";
import type { StreamBudget } from "../methods/stream-budget.ts";
import type { Pacer } from "../methods/tails/pacer.ts";
import type { BufferPool } from "./buffer-pool.ts";
import type { FastCall } from "./fast-call.ts";
import type { OriginHeads } from "./response-head.ts";

export interface FastPathOptions extends AppendContext {
  readonly logs: LogDirectory;
  readonly calls: CallTracker;
  readonly memory: MemoryBudget;
  readonly streamBudget: StreamBudget;
  /** Interval of heartbeats on a stream that asked for markers. */
  readonly heartbeatMs: number;
  /** Time of the filter of one request, in milliseconds. Default 10 s. */
  readonly filterMs?: number | undefined;
  readonly origins: OriginRules;
  /** Deadline of `POST /`, in milliseconds. */
  readonly responseMs: number;
  /** Reads the log for a backup. Undefined: Connect's handlers answer. */
  readonly backup?: ClusterAdmin["backup"] | undefined;
}

/** What every method works with. */
export interface FastPathContext extends FastPathOptions {
  readonly pacer: Pacer;
  readonly buffers: BufferPool;
  readonly heads: OriginHeads;
}

/** Serves one call that has begun. `forward` is false when the client asked not to be forwarded to the leader. */
export type ServeMethod = (context: FastPathContext, call: FastCall, forward: boolean) => void;
