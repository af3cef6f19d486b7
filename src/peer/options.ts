/**
 * What the network of peers is given, and its limits. Types and defaults, nothing else.
 *
 * Never: does anything.
 */
import type { Duplex } from "node:stream";
import type { Fault } from "../fault.ts";
import type { Prng } from "../lib/prng.ts";
import type { Logger, Metrics } from "../lib/telemetry.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { RaftNode } from "../raft/mod.ts";
import type { BootRecords } from "../replication/mod.ts";
import type { CommitLog } from "../types.ts";
import type { QueueBounds } from "./connection/send-queue.ts";
import type { PeerHello } from "./handshake/handshake.ts";
import type {
  ForwardedCall,
  ForwardedCaller,
  ForwardedStart,
  PeerService,
} from "./incoming/request-server.ts";

export interface PeerNetworkOptions {
  /** Asked anew for each handshake. */
  readonly self: () => PeerHello;
  /**
   * A socket towards a peer, its marker byte or ALPN dealt with; errors arrive as its events. `name` is that of the
   * member that is expected there, when one is.
   */
  readonly dial: (address: string, name: string | undefined) => Duplex;
  readonly clock: Clock;
  readonly random: Prng;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly serve: PeerService;
  /** Decides once more here, at the leader, about what came in elsewhere. Throws the Fault that refuses it. */
  readonly authorize?: (caller: ForwardedCaller, action: "produce" | "trim") => void;
  /** Told of every write that came in elsewhere and is done here: it is a call here too. */
  readonly begin?: (start: ForwardedStart) => ForwardedCall;
  /**
   * Members refuse this node's claim to its directory, as `by` says. The network takes no part any more: no lane is
   * open, none is let in.
   */
  readonly onDisowned?: (fault: Fault, by: string) => void;
  readonly limits?: Partial<PeerLimits>;
}

/** The part of a Replica that peers reach. */
export interface PeerReplica {
  readonly started: boolean;
  /** There is none before it is started. */
  readonly node: Pick<RaftNode, "receive" | "reportUnreachable" | "connectionRefused" | "reportSnapshot"> &
    Partial<Pick<RaftNode, "forgetProgress" | "promised" | "promisedBy" | "leader" | "isLeader">>;
  readonly log: Pick<CommitLog, "append" | "trim">;
  /** Boot numbers of this node and of the others. */
  readonly boots?: BootRecords;
}

export interface PeerLimits {
  /** What waits to be sent, a lane. */
  readonly control: QueueBounds;
  readonly bulk: QueueBounds;
  /** Requests on their way over one lane, and those of one connection that are being answered. */
  readonly requestsMax: number;
  /** Bytes that came with the requests of one connection that are being answered. */
  readonly requestBytesMax: number;
  /** Connections that came in. */
  readonly incomingMax: number;
  /** Probes and questions to nodes that no link leads to, under way at once. */
  readonly visitsMax: number;
  readonly handshakeMs: number;
  /** For questions without a deadline. */
  readonly questionMs: number;
  /** For forwarded writes without a deadline. */
  readonly forwardMs: number;
  readonly tickMs: number;
  /** Ticks without a byte moved after which a link, or a connection that came in, is taken to be dead. */
  readonly silentTicksMax: number;
  readonly incomingSilentTicksMax: number;
}

const mebibyte = 1024 * 1024;

export const defaultPeerLimits: PeerLimits = {
  control: { countMax: 16_384, bytesMax: 4 * mebibyte },
  bulk: { countMax: 16_384, bytesMax: 32 * mebibyte },
  requestsMax: 16_384,
  requestBytesMax: 64 * mebibyte,
  incomingMax: 256,
  visitsMax: 64,
  handshakeMs: 5_000,
  questionMs: 5_000,
  forwardMs: 15_000,
  tickMs: 1_000,
  silentTicksMax: 5,
  incomingSilentTicksMax: 30,
};

/** One member as this node's links see it. */
export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  /** Are both links to it open? */
  readonly connected: boolean;
  /** Milliseconds since anything was heard of it; infinite when nothing was. */
  readonly silentMs: number;
  /** What it said of itself when a link was last opened. */
  readonly hello: PeerHello | undefined;
  /** How far its clock is ahead of this node's, in milliseconds, where that is known. */
  readonly clockOffMs: number | undefined;
  /** Why it, or this node, refuses the link. */
  readonly refused: string | undefined;
  /** The reason of that in one word, such as `other-cluster`. */
  readonly refusedFor: string | undefined;
}
