/** The dependencies of the handlers of log.v1.Log. */
import type { MemoryBudget } from "../../memory/mod.ts";
import type { CallTracker } from "../calls/call-tracker.ts";
import type { TrafficHistory } from "../calls/traffic-history.ts";
import type { ClusterView } from "../cluster-view.ts";
import type { AppendContext } from "../methods/append.ts";
import type { LogDirectory } from "../methods/logs/log-directory.ts";
import type { StreamBudget } from "../methods/stream-budget.ts";

/** What the RPCs of log.v1.Log need. */
export interface LogServiceOptions extends AppendContext {
  readonly logs: LogDirectory;
  readonly calls: Pick<CallTracker, "beginTail" | "inProgress">;
  readonly cluster: ClusterView;
  readonly history: Pick<TrafficHistory, "last">;
  readonly streamBudget: StreamBudget;
  readonly clusterVersion: string;
  readonly memory: MemoryBudget;
  /** Interval of the heartbeats of a stream with markers. */
  readonly heartbeatMs: number;
  /** Time of the filter of one request, in milliseconds. Default 10 s. */
  readonly filterMs?: number | undefined;
}
