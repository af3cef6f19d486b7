/** What a node is given, and the settings of its core. */
import type { Clock } from "../../lib/time/clock.ts";
import type {
  CoreConfig,
  CoreEvent,
  CoreStatus,
  Member,
  Message,
  PeerFaultReason,
  PeerId,
} from "../core/mod.ts";
import type { RaftStorage, RaftTransport, StateMachine } from "./ports.ts";

export interface RaftNodeOptions {
  readonly peer: PeerId;
  readonly clock: Clock;
  readonly random: CoreConfig["random"];
  readonly storage: RaftStorage;
  readonly transport: RaftTransport;
  readonly machine: StateMachine;
  /** Milliseconds in a tick. Default 10. */
  readonly tickMs?: number;
  /** Ticks without a message from the leader after which a follower campaigns, up to twice as many. Default 100. */
  readonly electionTicks?: number;
  /** Ticks between two heartbeats. Default 10. */
  readonly heartbeatTicks?: number;
  /** Bytes of entries in one append. Default 1 MiB. */
  readonly messageBytesMax?: number;
  /** Bytes of entries in one group written. Default 4 MiB. */
  readonly groupBytesMax?: number;
  /** Appends in flight to one follower. Default 256. */
  readonly inflightMessagesMax?: number;
  /** Bytes of entries in flight to one follower. Default 16 MiB. */
  readonly inflightBytesMax?: number;
  /** Bytes of proposals accepted and not yet applied. Default 64 MiB. */
  readonly uncommittedBytesMax?: number;
  /** Proposals that wait for a turn. Default 65,536; besides, they have at most 64 MiB. */
  readonly queuedMax?: number;
  /** Callers that wait for a read. Default 65,536. */
  readonly readsMax?: number;
  /** Called for each event of the core. */
  readonly observe?: (event: CoreEvent) => void;
  /** A peer sent an impossible message, which was ignored. At most once a message. */
  readonly onPeerFault?: (why: PeerFaultReason, message: Message) => void;
  /** Role, term or leader changed. */
  readonly onChange?: (status: NodeStatus) => void;
  /** A hand-over of leadership began or ended. */
  readonly onHandOver?: () => void;
  /** The storage failed: the node has stopped, and the process should end. */
  readonly onFailure?: (cause: unknown) => void;
}

export interface NodeStatus extends CoreStatus {
  readonly leaderMember: Member | undefined;
  readonly diskFull: boolean;
  readonly stopped: boolean;
}

const mebibyte = 1024 * 1024;
const noBytes = new Uint8Array(0);

/** Options with their defaults, as far as the node itself needs them. */
export interface NodeSettings {
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly messageBytesMax: number;
  readonly groupBytesMax: number;
  readonly queuedMax: number;
  readonly queuedBytesMax: number;
  readonly readsMax: number;
}

export function nodeSettings(options: RaftNodeOptions): NodeSettings {
  return {
    tickMs: options.tickMs ?? 10,
    electionTicks: options.electionTicks ?? 100,
    messageBytesMax: options.messageBytesMax ?? mebibyte,
    groupBytesMax: options.groupBytesMax ?? 4 * mebibyte,
    queuedMax: options.queuedMax ?? 65_536,
    queuedBytesMax: 64 * mebibyte,
    readsMax: options.readsMax ?? 65_536,
  };
}

export function coreConfig(
  options: RaftNodeOptions,
  { electionTicks, messageBytesMax }: NodeSettings,
  initial: CoreConfig["initial"],
  observe: (event: CoreEvent) => void,
): CoreConfig {
  const { peer: id, storage, random } = options;
  return {
    id,
    storage,
    initial,
    random,
    electionTicks,
    heartbeatTicks: options.heartbeatTicks ?? 10,
    preVote: true,
    checkQuorum: true,
    disableProposalForwarding: true,
    commitByVote: true,
    snapshotsMayPredateUs: true,
    asyncStorage: true,
    messageBytesMax,
    applyingBytesMax: 4 * mebibyte,
    uncommittedBytesMax: options.uncommittedBytesMax ?? 64 * mebibyte,
    inflightMessagesMax: options.inflightMessagesMax ?? 256,
    inflightBytesMax: options.inflightBytesMax ?? 16 * mebibyte,
    draft: (change) => storage.format?.draft(change) ?? noBytes,
    observe,
  };
}
