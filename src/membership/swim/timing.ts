/**
 * How fast gossip is, and how much of it: memberlist's defaults for a local network, and the formulas on them.
 * All times are milliseconds.
 *
 * Never: reads a clock.
 */

export interface Timing {
  /** One member is probed every so often. */
  readonly probeIntervalMs: number;
  /** How long a direct ping may take before others are asked to ping too. */
  readonly probeTimeoutMs: number;
  /** How many others are asked. */
  readonly indirectProbes: number;
  /** Also ping by TCP when UDP stays silent. */
  readonly tcpPing: boolean;
  readonly suspicionMult: number;
  readonly suspicionMaxTimeoutMult: number;
  readonly healthScoreMax: number;
  readonly gossipIntervalMs: number;
  readonly gossipNodes: number;
  /** The dead still get gossip for so long, that they may learn of it and refute. */
  readonly gossipToTheDeadMs: number;
  /** A dead member's name may be taken at another address after so long. */
  readonly deadNodeReclaimMs: number;
  readonly retransmitMult: number;
  readonly pushPullIntervalMs: number;
  /** Who joined exchanges state once more after so long: what was spread while it came is known to others by then. */
  readonly postJoinSyncMs: number;
  readonly streamTimeoutMs: number;
  /** Serf: failed and left members are kept so long. */
  readonly tombstoneMs: number;
  readonly reapIntervalMs: number;
  readonly reconnectIntervalMs: number;
  readonly recentIntentMs: number;
  readonly broadcastTimeoutMs: number;
  readonly leavePropagateMs: number;
  readonly queryTimeoutMult: number;
  /** A tick that comes so late says that this process stood still, see the room's note. */
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

/** How often one message is passed on by each member, in a cluster of `members`. */
export function retransmitLimit(timing: Timing, members: number): number {
  return timing.retransmitMult * Math.ceil(Math.log10(members + 1));
}

/** Bounds of a suspicion's life, and how many confirmations bring it from the upper to the lower one. */
export function suspicionBounds(
  timing: Timing,
  members: number,
): { minMs: number; maxMs: number; confirmations: number } {
  const scale = Math.max(1, Math.log10(Math.max(1, members)));
  const minMs = timing.suspicionMult * scale * timing.probeIntervalMs;
  const wanted = timing.suspicionMult - 2;
  const confirmations = members - 2 < wanted ? 0 : wanted;
  return { minMs, maxMs: minMs * timing.suspicionMaxTimeoutMult, confirmations };
}

/** Lifeguard's decay: the life of a suspicion after `confirmed` independent confirmations. */
export function suspicionTimeoutMs(
  bounds: { minMs: number; maxMs: number; confirmations: number },
  confirmed: number,
): number {
  if (bounds.confirmations < 1) return bounds.minMs;
  const share = Math.log(confirmed + 1) / Math.log(bounds.confirmations + 1);
  return Math.max(bounds.minMs, bounds.maxMs - share * (bounds.maxMs - bounds.minMs));
}

/** Above 32 members a full exchange is rarer, so that its cost to the cluster grows slower. */
export function pushPullIntervalMs(timing: Timing, members: number): number {
  if (members <= 32) return timing.pushPullIntervalMs;
  return timing.pushPullIntervalMs * (Math.ceil(Math.log2(members) - 5) + 1);
}

/** How long a query runs when the asker does not say. */
export function queryTimeoutMs(timing: Timing, members: number): number {
  return timing.gossipIntervalMs * timing.queryTimeoutMult * Math.ceil(Math.log10(members + 1));
}
