/**
 * Computes how many connections of each kind a node takes, from its settings and the limit of file descriptors.
 *
 *   descriptors = reserve (log, catalog, ops port, links to peers) + arriving + peers + clients
 */

export interface ConnectionLimits {
  /** All clients together. */
  readonly clientsMax: number;
  /** Clients with one address, or with one name in the certificate. */
  readonly perClientMax: number;
  /** Peers: Raft links and gossip streams, which have lower limits of their own. */
  readonly peersMax: number;
  /** All connections, including those that have not sent their first bytes. */
  readonly totalMax: number;
  /** A connection without a request for this many milliseconds may be ended for another. */
  readonly stalledMs: number;
}

export interface ConnectionSettings {
  readonly connectionsMax: number;
  /** 0 is half of the connections that clients may have. */
  readonly perClientMax: number;
  /** The limit of the process (`ulimit -n`); undefined if it is unknown or there is none. */
  readonly descriptors: number | undefined;
}

export const peersMost = 512;
/** Places for connections whose protocol is not known yet. */
const arrivingMost = 512;
/** Each kind has at least this many places, even with few descriptors. */
const placesLeast = 4;
const reserveLeast = 128;
const reserveMost = 1024;
const stalledMs = 2_000;

/** Descriptors that connections do not get: a quarter of the limit, within 128 and 1,024, but at most a half. */
export function descriptorReserve(descriptors: number): number {
  const quarter = Math.min(reserveMost, Math.max(reserveLeast, Math.floor(descriptors / 4)));
  return Math.min(quarter, Math.floor(descriptors / 2));
}

export function connectionLimits(settings: ConnectionSettings): ConnectionLimits {
  const { connectionsMax, perClientMax, descriptors = Infinity } = settings;
  const left = descriptors === Infinity ? Infinity : descriptors - descriptorReserve(descriptors);
  const peersMax = Math.max(placesLeast, Math.min(peersMost, Math.floor(left / 8)));
  const arriving = Math.max(placesLeast, Math.min(arrivingMost, Math.floor(left / 8)));
  const clientsMax = Math.max(1, Math.min(connectionsMax, left - peersMax - arriving));
  return {
    clientsMax,
    perClientMax: perClientMax === 0 ? Math.ceil(clientsMax / 2) : Math.min(perClientMax, clientsMax),
    peersMax,
    totalMax: clientsMax + peersMax + arriving,
    stalledMs,
  };
}
