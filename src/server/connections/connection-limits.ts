/**
 * How many connections of which kind a node takes, from its settings and the limit of descriptors. Pure.
 *
 *   descriptors = reserve (log, catalog, ops port, dialed peers) + doorstep + peers + clients
 */

export interface ConnectionLimits {
  /** Clients together. */
  readonly clientsMax: number;
  /** Of one address, or with one name in the certificate. */
  readonly perClientMax: number;
  /** Nodes of the cluster: Raft and gossip, which have limits of their own below this one. */
  readonly peersMax: number;
  /** All, those included of which nothing is known yet. */
  readonly totalMax: number;
  /** A connection that asked for nothing for so long makes room for another. */
  readonly stalledMs: number;
}

export interface ConnectionSettings {
  readonly connectionsMax: number;
  /** 0: half of the connections that clients may have. */
  readonly perClientMax: number;
  /** The limit of the process (`ulimit -n`); undefined when it is not known or there is none. */
  readonly descriptors: number | undefined;
}

const peersMost = 512;
/** Places for connections of which nothing is known, beyond those that clients and peers do not use. */
const doorstepMost = 512;
const reserveLeast = 128;
const reserveMost = 1024;
const stalledMs = 2_000;

/** Descriptors that connections do not get: 128 to 1,024, a quarter of the limit, and never more than half. */
export function descriptorReserve(descriptors: number): number {
  const quarter = Math.min(reserveMost, Math.max(reserveLeast, Math.floor(descriptors / 4)));
  return Math.min(quarter, Math.floor(descriptors / 2));
}

export function connectionLimits(settings: ConnectionSettings): ConnectionLimits {
  const { connectionsMax, perClientMax, descriptors = Infinity } = settings;
  const left = descriptors === Infinity ? Infinity : descriptors - descriptorReserve(descriptors);
  const peersMax = Math.max(4, Math.min(peersMost, Math.floor(left / 8)));
  const doorstep = Math.max(4, Math.min(doorstepMost, Math.floor(left / 8)));
  const clientsMax = Math.max(1, Math.min(connectionsMax, left - peersMax - doorstep));
  return {
    clientsMax,
    perClientMax: perClientMax === 0 ? Math.ceil(clientsMax / 2) : Math.min(perClientMax, clientsMax),
    peersMax,
    totalMax: clientsMax + peersMax + doorstep,
    stalledMs,
  };
}
