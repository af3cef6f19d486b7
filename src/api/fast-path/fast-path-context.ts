/** What the fast path and its methods share: the options of one fast path, its pacer and its buffers. */
import type { Tracer } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RecordLimits } from "../../log/mod.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { CommitLog } from "../../types.ts";
import type { CallTracker } from "../calls/call-tracker.ts";
import type { Traffic } from "../calls/traffic.ts";
import type { LogDirectory } from "../methods/logs/log-directory.ts";
import type { StreamBudget } from "../methods/stream-budget.ts";
import type { BufferPool } from "./buffer-pool.ts";
import type { FastCall } from "./fast-call.ts";
import type { Pacer } from "./pacer.ts";

export interface FastPathOptions {
  readonly log: CommitLog;
  readonly logs: LogDirectory;
  readonly calls: CallTracker;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly tracer: Tracer;
  readonly recordLimits: RecordLimits;
  /** Largest request message, in bytes. */
  readonly requestBytesMax: number;
  readonly memory: MemoryBudget;
  readonly streamBudget: StreamBudget;
  /** Interval of heartbeats on a stream that asked for markers. */
  readonly heartbeatMs: number;
}

/** What every method works with. */
export interface FastPathContext extends FastPathOptions {
  readonly pacer: Pacer;
  readonly buffers: BufferPool;
}

/** Serves one call that has begun. `forward` is false when the client asked not to be forwarded to the leader. */
export type ServeMethod = (context: FastPathContext, call: FastCall, forward: boolean) => void;
