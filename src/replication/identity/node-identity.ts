/** The identity of a node: its data directory's random id, and the peer id that is derived from it. Pure. */
import type { PeerId } from "../../raft/mod.ts";
import type { NodeId } from "../../types.ts";

export interface NodeIdentity {
  readonly name: NodeId;
  /** The directory id in hexadecimal; see directoryText(). */
  readonly directory: string;
  readonly peer: PeerId;
}

/**
 * Returns the peer id of a node in Raft: 48 bits of the random id of its data directory. So a peer id is not used twice,
 * and an empty directory under the name of an old node is another peer.
 */
export function peerIdOf(directoryId: Uint8Array): PeerId {
  let peer = 0;
  for (let at = 0; at < 6; at++) peer = peer * 256 + directoryId[at]!;
  return peer + 1;
}

/** Returns a directory id as it is written in configurations and handshakes, in hexadecimal. */
export const directoryText = (directoryId: Uint8Array): string => Buffer.from(directoryId).toString("hex");
