/** Protocol versions of other members. */
import { protocolVersions } from "../codec/messages.ts";

/**
 * Returns whether a member with these version bytes can be in a cluster with this one. All members of a cluster use one
 * protocol version. Serf agents refuse every exchange with a member whose view contains a member of another version, or
 * of none, so such members are ignored.
 */
export function isCompatible(versions: Buffer): boolean {
  if (versions.length !== protocolVersions.length) return false;
  const [pmin = 0, pmax = 0, pcur = 0, dmin = 0, dmax = 0, dcur = 0] = versions;
  const [, , ourPcur = 0, ourDmin = 0, ourDmax = 0, ourDcur = 0] = protocolVersions;
  const protocol = pmin <= pcur && pcur <= pmax && pcur === ourPcur;
  const delegate = dmin <= dcur && dcur <= dmax && ourDmin <= dcur && dcur <= ourDmax;
  return protocol && delegate && dmin <= ourDcur && ourDcur <= dmax;
}

/** memberlist sends a nack if an indirect ping gets no ack. */
export function understandsNack(versions: Buffer): boolean {
  return (versions[1] ?? 0) >= 4;
}

export function understandsTcpPing(versions: Buffer): boolean {
  return (versions[1] ?? 0) >= 3;
}

/** The checksum layer of packets. */
export function understandsCrc(versions: Buffer): boolean {
  return (versions[1] ?? 0) >= 5;
}
