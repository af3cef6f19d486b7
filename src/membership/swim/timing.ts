/**
 * The timers and limits of gossip with memberlist's and Serf's defaults for a local network, and the formulas on them.
 * All times are milliseconds.
 */

export interface Timing {
  /** One member is probed in each interval. */
  readonly probeIntervalMs: number;
  /** Time for the reply to a direct ping. After it, others are asked to ping. */
  readonly probeTimeoutMs: number;
  /** Number of members that are asked for an indirect ping. */
  readonly indirectProbes: number;
  /** Also ping by TCP if there is no reply by UDP. */
  readonly tcpPing: boolean;
  readonly suspicionMult: number;
  readonly suspicionMaxTimeoutMult: number;
  /** The health score stays below this. */
  readonly healthScoreMax: number;
  readonly gossipIntervalMs: number;
  /** Number of members that get gossip in each interval. */
  readonly gossipNodes: number;
  /** A dead member still gets gossip for this time, so that it can learn of its death and refute it. */
  readonly gossipToTheDeadMs: number;
  /** After this time, a dead member's name may be used at another address. */
  readonly deadNodeReclaimMs: number;
  readonly retransmitMult: number;
  readonly pushPullIntervalMs: number;
  /** Time after a join until a second push/pull. It brings the broadcasts that were under way during the join. */
  readonly postJoinSyncMs: number;
  readonly streamTimeoutMs: number;
  /** Serf: failed and left members are kept for this time. */
  readonly tombstoneMs: number;
  readonly reapIntervalMs: number;
  readonly reconnectIntervalMs: number;
  /** Serf: intents of unknown members are kept for this time. */
  readonly recentIntentMs: number;
  readonly broadcastTimeoutMs: number;
  readonly leavePropagateMs: number;
  readonly queryTimeoutMult: number;
  /** A tick that is later than this shows that the process stood still (see schedule.ts). */
  readonly stallMs: number;
}

export const lanTiming: Timing = {
  probeIntervalMs: 1_000,
  probeTimeoutMs: 500,
  indirectProbes: 3,
  tcpPing: true,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  healthScoreMax: 8,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToTheDeadMs: 30_000,
  deadNodeReclaimMs: 30_000,
  retransmitMult: 4,
  pushPullIntervalMs: 30_000,
  postJoinSyncMs: 2_000,
  streamTimeoutMs: 10_000,
  tombstoneMs: 24 * 3_600_000,
  reapIntervalMs: 15_000,
  reconnectIntervalMs: 30_000,
  recentIntentMs: 5 * 60_000,
  broadcastTimeoutMs: 5_000,
  leavePropagateMs: 1_000,
  queryTimeoutMult: 16,
  stallMs: 300,
};

/** How often each member transmits one message in a cluster of `members` (memberlist's retransmitLimit). */
export function retransmitLimit(timing: Timing, members: number): number {
  return timing.retransmitMult * Math.ceil(Math.log10(members + 1));
}

/** The shortest and longest time of a suspicion, and the number of confirmations that lead to the shortest. */
export interface SuspicionBounds {
  readonly minMs: number;
  readonly maxMs: number;
  readonly confirmations: number;
}

export function suspicionBounds(timing: Timing, members: number): SuspicionBounds {
  const scale = Math.max(1, Math.log10(Math.max(1, members)));
  const minMs = timing.suspicionMult * scale * timing.probeIntervalMs;
  const wanted = timing.suspicionMult - 2;
  const confirmations = members - 2 < wanted ? 0 : wanted;
  return { minMs, maxMs: minMs * timing.suspicionMaxTimeoutMult, confirmations };
}

/** Lifeguard's suspicion timeout after `confirmed` independent confirmations. */
export function suspicionTimeoutMs(bounds: SuspicionBounds, confirmed: number): number {
  if (bounds.confirmations < 1) return bounds.minMs;
  const share = Math.log(confirmed + 1) / Math.log(bounds.confirmations + 1);
  return Math.max(bounds.minMs, bounds.maxMs - share * (bounds.maxMs - bounds.minMs));
}

/** The push/pull interval. It grows above 32 members, so that the cost to the cluster grows more slowly. */
export function pushPullIntervalMs(timing: Timing, members: number): number {
  if (members <= 32) return timing.pushPullIntervalMs;
  return timing.pushPullIntervalMs * (Math.ceil(Math.log2(members) - 5) + 1);
}

/** The default timeout of a query (Serf's DefaultQueryTimeout). */
export function queryTimeoutMs(timing: Timing, members: number): number {
  return timing.gossipIntervalMs * timing.queryTimeoutMult * Math.ceil(Math.log10(members + 1));
}
