/** The dependencies of the handlers of log.v1.Log. */
import type { Tracer } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RecordLimits } from "../../log/mod.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { CommitLog } from "../../types.ts";
import type { Traffic } from "../calls/traffic.ts";
import type { ClusterView } from "../cluster-view.ts";
import type { LogDirectory } from "../methods/logs/log-directory.ts";
import type { StreamBudget } from "../methods/stream-budget.ts";

/** What the RPCs of log.v1.Log need. */
export interface LogServiceOptions {
  readonly log: CommitLog;
  readonly logs: LogDirectory;
  readonly cluster: ClusterView;
  readonly clock: Clock;
  readonly traffic: Traffic;
  readonly tracer: Tracer;
  readonly recordLimits: RecordLimits;
  /** Largest message that is accepted, in bytes. */
  readonly requestBytesMax: number;
  readonly streamBudget: StreamBudget;
  readonly clusterVersion: string;
  readonly memory: MemoryBudget;
  /** Interval of the heartbeats of a stream with markers. */
  readonly heartbeatMs: number;
}
