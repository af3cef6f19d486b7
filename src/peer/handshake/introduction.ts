/** How a node introduces itself when a connection opens. */
import { fromHex } from "../../lib/bytes.ts";
import type { PeerId } from "../../raft/mod.ts";
import { type BootClaim, peerIdOf } from "../../replication/mod.ts";

/** Version of the frames that follow the handshake. Both nodes must use the same. */
export const peerProtocol = 1;
/** The only Raft group. The field is reserved for several logs. */
export const defaultGroup = "default";

/** A node's description of itself. */
export interface PeerHello {
  readonly name: string;
  /** Id of the data directory, in hexadecimal (directoryText). */
  readonly directory: string;
  /** Undefined if the node belongs to no cluster yet. Raft messages are exchanged only within one cluster. */
  readonly clusterId: string | undefined;
  /** Does its directory hold a Raft configuration? */
  readonly configured: boolean;
  /** Version of the software. */
  readonly version: string;
  /** Address at which the node accepts connections. */
  readonly address: string;
  readonly wallMs: number;
  /** Boot number of the directory. Nodes of earlier versions do not send it; then it is not checked. */
  readonly boot?: BootClaim;
  /** The highest level that the node has. Nodes of earlier versions do not send it, and have level 0. */
  readonly level?: number;
  /** The level of the node's log: it exchanges nothing with nodes that do not have it. Default 0. */
  readonly levelOfLog?: number;
}

/**
 * What a connection is for. The two channels carry Raft: control for votes, heartbeats, responses and small requests,
 * bulk for appends, snapshots and forwarded records. A probe is a short connection for at most one request.
 */
export type ChannelName = "control" | "bulk";
export type ConnectionPurpose = ChannelName | "probe";

export interface Introduction {
  readonly protocol: number;
  readonly group: string;
  readonly purpose: ConnectionPurpose;
  readonly hello: PeerHello;
}

/** The Raft id of a node with this data directory. */
export const peerIdOfHello = ({ directory }: Pick<PeerHello, "directory">): PeerId =>
  peerIdOf(fromHex(directory));
