/** Gossip timing for tests: the same protocol as on a local network, about five times as fast. */
import { lanTiming, type Timing } from "../../../src/membership/swim/timing.ts";

export const localTiming: Timing = {
  ...lanTiming,
  probeIntervalMs: 250,
  probeTimeoutMs: 120,
  suspicionMult: 3,
  gossipIntervalMs: 50,
  gossipToTheDeadMs: 6_000,
  deadNodeReclaimMs: 2_000,
  pushPullIntervalMs: 5_000,
  postJoinSyncMs: 500,
  reconnectIntervalMs: 2_000,
  broadcastTimeoutMs: 2_000,
  leavePropagateMs: 150,
};
