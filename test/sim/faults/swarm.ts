/**
 * The faults of one seed. Each seed draws its own subset of faults and its own rates ("swarm testing", Groce et al. 2012).
 */
import type { Prng } from "../../../src/lib/prng.ts";

export interface Swarm {
  readonly nodes: number;
  readonly clients: number;
  /** Virtual duration of the phase with faults. */
  readonly chaosMs: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** True: the whole replica on a simulated disk. False: only the core and its driver, with a storage in memory. */
  readonly realLog: boolean;
  // Clients of real replicas, in addition to plain writers and readers of the end.
  readonly producers: boolean;
  readonly conditional: boolean;
  readonly readers: boolean;
  /** Share of the plain writes that carry a producer's sequence, so that the log can retry them. */
  readonly numbered: number;
  /** How long a follower waits for the response to a forwarded write. */
  readonly forwardTimeoutMs: number;
  /** Clients stop writing this long before the faults end, so that unfinished work stays unfinished. */
  readonly quietMs: number;
  // Network: probabilities per message.
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMs: number;
  /** Share of the messages that are very late. */
  readonly straggle: number;
  readonly partitions: boolean;
  readonly oneWayCuts: boolean;
  /** Leaders that are isolated and return when the next one goes. */
  readonly alternateLeaders: boolean;
  /** Links that lose large messages. */
  readonly narrowLinks: boolean;
  /** Faults at the time of a critical event. */
  readonly targetedFaults: boolean;
  // Processes.
  readonly crashes: boolean;
  readonly powerCuts: boolean;
  readonly pauses: boolean;
  readonly clockDrift: boolean;
  /** Wall clocks that are set by more than the retention time. */
  readonly clockLeaps: boolean;
  // Disks.
  readonly syncMs: number;
  readonly slowSyncs: boolean;
  /** Disks that stall for seconds. */
  readonly stalls: boolean;
  readonly failingSyncs: boolean;
  readonly fullDisks: boolean;
  // Operators.
  readonly churn: boolean;
  readonly transfers: boolean;
  readonly compaction: boolean;
  readonly refusedConnections: boolean;
  /** Data directories that are replaced by an older copy. */
  readonly rollbacks: boolean;
  /** Small limits, so that windows and groups become full. */
  readonly tightLimits: boolean;
  /** One message per entry, so that only some of several entries arrive. */
  readonly smallMessages: boolean;
  /** Clients that append streams. */
  readonly streams: boolean;
  /** Clients of named logs. */
  readonly namedLogs: boolean;
  /** The log begins with cursors that expire soon. */
  readonly oldCursors: boolean;
  /** Nodes settle segments, and values are long enough for that. */
  readonly settles: boolean;
  /** Nodes make backups in a bucket with faults of its own. */
  readonly bucket: boolean;
}

export function drawSwarm(random: Prng): Swarm {
  const maybe = (probability: number): boolean => random.chance(probability);
  const nodes = random.pick([1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 5, 7]);
  return {
    nodes,
    clients: random.pick([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]),
    chaosMs: random.between(6, 16) * 1000,
    tickMs: random.pick([20, 50]),
    electionTicks: 10,
    heartbeatTicks: random.pick([1, 2, 3]),
    realLog: maybe(0.55),
    producers: maybe(0.5),
    conditional: maybe(0.3),
    readers: maybe(0.5),
    numbered: maybe(0.5) ? random.float() : 0,
    forwardTimeoutMs: random.pick([100, 400, 2000]),
    quietMs: maybe(0.35) ? random.between(1000, 5000) : 0,
    loss: maybe(0.5) ? random.float() * 0.3 : 0,
    duplicate: maybe(0.5) ? random.float() * 0.3 : 0,
    delayMs: random.pick([1, 2, 10, 40]),
    straggle: maybe(0.5) ? 0.02 : 0,
    partitions: maybe(0.6),
    oneWayCuts: maybe(0.4),
    alternateLeaders: maybe(0.45),
    narrowLinks: maybe(0.35),
    targetedFaults: maybe(0.5),
    crashes: maybe(0.7),
    powerCuts: maybe(0.7),
    pauses: maybe(0.3),
    clockDrift: maybe(0.3),
    syncMs: random.pick([0, 0, 1, 5, 20]),
    slowSyncs: maybe(0.3),
    stalls: maybe(0.3),
    failingSyncs: maybe(0.2),
    fullDisks: maybe(0.2),
    churn: maybe(0.5),
    transfers: maybe(0.4),
    compaction: maybe(0.6),
    refusedConnections: maybe(0.4),
    tightLimits: maybe(0.3),
    smallMessages: maybe(0.3),
    rollbacks: maybe(0.6),
    streams: maybe(0.5),
    clockLeaps: maybe(0.3),
    namedLogs: maybe(0.5),
    oldCursors: random.stream("old-cursors").chance(0.6),
    settles: random.stream("settles").chance(0.5),
    bucket: random.stream("bucket").chance(0.3),
  };
}
