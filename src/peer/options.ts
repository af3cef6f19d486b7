/** Options and limits of the peer network, with their defaults. */
import type { Duplex } from "node:stream";
import type { Fault } from "../fault.ts";
import type { Prng } from "../lib/prng.ts";
import type { Logger, Metrics } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { RaftNode } from "../raft/mod.ts";
import type { BootRecords, RowsTransfer } from "../replication/mod.ts";
import type { PeerHello } from "./handshake/introduction.ts";
import type {
  ForwardedAction,
  ForwardedCall,
  ForwardedCaller,
  ForwardedStart,
  ForwardTarget,
  PeerService,
} from "./incoming/request-server.ts";
import type { LinkLimits } from "./link/peer-link.ts";

export interface PeerNetworkOptions {
  /** Called for each handshake. */
  readonly self: () => PeerHello;
  /**
   * Opens a socket to a peer, with the marker byte sent or ALPN negotiated. Errors are emitted by the socket. `name` is
   * that of the member that is expected at the address, or undefined.
   */
  readonly dial: (address: string, name: string | undefined) => Duplex;
  readonly clock: Clock;
  readonly random: Prng;
  /** Default: no log. */
  readonly logger?: Logger;
  /** Default: no metrics. */
  readonly metrics?: Metrics;
  readonly serve: PeerService;
  /**
   * Checks the permission for a forwarded write again, at the leader. Default: every subject has it.
   * @throws Fault if the caller has no permission
   */
  readonly authorize?: (caller: ForwardedCaller, action: ForwardedAction, log: string | undefined) => void;
  /** Called at the start of each forwarded write that this node executes. */
  readonly begin?: (start: ForwardedStart) => ForwardedCall;
  /**
   * The member `by` refuses this node because of its data directory. All channels have been closed, and none are accepted
   * or opened from now on.
   */
  readonly onDisowned?: (fault: Fault, by: string) => void;
  /** Limits that differ from `defaultPeerLimits`. */
  readonly limits?: Partial<PeerLimits>;
}

/** The part of a Replica that the peer network uses. */
export interface PeerReplica {
  readonly started: boolean;
  /** Must not be read before `started`. */
  readonly node: Pick<RaftNode, "receive" | "reportUnreachable" | "connectionRefused" | "reportSnapshot"> &
    Partial<Pick<RaftNode, "forgetProgress" | "promised" | "promisedBy" | "leader" | "isLeader" | "status">>;
  readonly log: ForwardTarget;
  /** Boot numbers of this node and of the other members. */
  readonly boots?: BootRecords;
  /** The rows of named logs, which a snapshot names and does not contain. */
  readonly rows?: Pick<RowsTransfer, "fetch" | "read">;
}

export interface PeerLimits extends LinkLimits {
  /** Maximum bytes of the running requests of one incoming connection. */
  readonly requestBytesMax: number;
  /** Maximum number of incoming connections. */
  readonly incomingMax: number;
  /** Maximum number of probes that run at the same time. */
  readonly probesMax: number;
  /** Milliseconds for a handshake. */
  readonly handshakeMs: number;
  /** Milliseconds for a probe, and for a request without a deadline. */
  readonly requestMs: number;
  /** Milliseconds for a forwarded write without a deadline. */
  readonly forwardMs: number;
  readonly tickMs: number;
  /** Ticks without activity after which an incoming connection is closed. */
  readonly incomingSilentTicksMax: number;
}

const mebibyte = 1024 * 1024;

export const defaultPeerLimits: PeerLimits = {
  control: { countMax: 16_384, bytesMax: 4 * mebibyte },
  bulk: { countMax: 16_384, bytesMax: 32 * mebibyte },
  requestsMax: 16_384,
  requestBytesMax: 64 * mebibyte,
  incomingMax: 256,
  probesMax: 64,
  handshakeMs: 5_000,
  requestMs: 5_000,
  forwardMs: 15_000,
  tickMs: 1_000,
  silentTicksMax: 5,
  incomingSilentTicksMax: 30,
};

/** The state of the link to one member. */
export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  /** Are both channels open? */
  readonly connected: boolean;
  /** Milliseconds since the last frame of the member was received; infinite if none was. */
  readonly silentMs: number;
  /** The introduction that the member sent last. */
  readonly hello: PeerHello | undefined;
  /** Milliseconds that the member's clock is ahead of this node's, if known. */
  readonly clockOffMs: number | undefined;
  /** Why one of the two nodes refuses the link. */
  readonly refused: string | undefined;
  /** The reason of the refusal in one word, such as `other-cluster`. */
  readonly refusedFor: string | undefined;
}
