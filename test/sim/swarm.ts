/**
 * What may go wrong in one seed: each draws its own subset of faults and its own strengths.
 *
 * Never: does any of it.
 */
import type { Prng } from "../../src/lib/prng.ts";

export interface Swarm {
  readonly nodes: number;
  readonly clients: number;
  /** Virtual time of the phase with faults. */
  readonly chaosMs: number;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** What a real node runs, on a simulated disk, or core and driver alone over a storage in memory. */
  readonly realLog: boolean;
  // Clients of real nodes, besides those that just write and ask for the end.
  readonly producers: boolean;
  readonly conditional: boolean;
  readonly readers: boolean;
  /** How many of the plain writes carry a producer's sequence, so that a lost answer is asked for again. */
  readonly numbered: number;
  /** How long a follower waits for the answer to what it forwarded. */
  readonly patienceMs: number;
  /** Nobody writes any more so long before the faults end: what is left undone then stays so. */
  readonly quietMs: number;
  // The network, probabilities a message.
  readonly loss: number;
  readonly duplicate: number;
  readonly delayMs: number;
  /** One in so many messages is very late. */
  readonly straggle: number;
  readonly partitions: boolean;
  readonly oneWayCuts: boolean;
  /** Leaders that are cut off and come back while the next one goes. */
  readonly rivals: boolean;
  /** Links that lose what is large. */
  readonly narrowLinks: boolean;
  /** Trouble at the very moment when something changes. */
  readonly strikes: boolean;
  // Processes.
  readonly crashes: boolean;
  readonly powerCuts: boolean;
  readonly pauses: boolean;
  readonly clockDrift: boolean;
  /** Wall clocks that are set, by more than records are kept for. */
  readonly clockLeaps: boolean;
  // Disks.
  readonly syncMs: number;
  readonly slowSyncs: boolean;
  /** Disks that stand still for seconds. */
  readonly stalls: boolean;
  readonly failingSyncs: boolean;
  readonly fullDisks: boolean;
  // Operators.
  readonly churn: boolean;
  readonly transfers: boolean;
  readonly compaction: boolean;
  readonly refusedConnections: boolean;
  /** A data directory is put back to an older copy. */
  readonly rollbacks: boolean;
  /** Small limits, so that windows and groups fill up. */
  readonly tightLimits: boolean;
  /** A message for each entry, so that of several some arrive. */
  readonly smallMessages: boolean;
  /** Clients that append streams. */
  readonly streams: boolean;
}

export function drawSwarm(chance: Prng): Swarm {
  const maybe = (probability: number): boolean => chance.chance(probability);
  const nodes = chance.pick([1, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5, 5, 7]);
  return {
    nodes,
    clients: chance.pick([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]),
    chaosMs: chance.between(6, 16) * 1000,
    tickMs: chance.pick([20, 50]),
    electionTicks: 10,
    heartbeatTicks: chance.pick([1, 2, 3]),
    realLog: maybe(0.55),
    producers: maybe(0.5),
    conditional: maybe(0.3),
    readers: maybe(0.5),
    numbered: maybe(0.5) ? chance.float() : 0,
    patienceMs: chance.pick([100, 400, 2000]),
    quietMs: maybe(0.35) ? chance.between(1000, 5000) : 0,
    loss: maybe(0.5) ? chance.float() * 0.3 : 0,
    duplicate: maybe(0.5) ? chance.float() * 0.3 : 0,
    delayMs: chance.pick([1, 2, 10, 40]),
    straggle: maybe(0.5) ? 0.02 : 0,
    partitions: maybe(0.6),
    oneWayCuts: maybe(0.4),
    rivals: maybe(0.45),
    narrowLinks: maybe(0.35),
    strikes: maybe(0.5),
    crashes: maybe(0.7),
    powerCuts: maybe(0.7),
    pauses: maybe(0.3),
    clockDrift: maybe(0.3),
    syncMs: chance.pick([0, 0, 1, 5, 20]),
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
  };
}
