/**
 * The settings of a core, and their checks. The unit of time is the tick.
 */
import { Fault } from "../../fault.ts";
import type { Observer } from "./events.ts";
import type { InitialState, LogStorage } from "./storage.ts";
import type { ConfChange, PeerId } from "./types.ts";

export interface CoreConfig {
  readonly id: PeerId;
  readonly storage: LogStorage;
  readonly initial: InitialState;
  /** Ticks without a message from a leader after which a follower campaigns: this many, up to twice as many. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Draws election timeouts: a whole number in low … high. */
  readonly random: { between(low: number, high: number): number };
  /** Asks for pre-votes before it raises the term. Fully effective only with checkQuorum. */
  readonly preVote?: boolean;
  /** A leader without answers from a quorum steps down. A follower with a live leader ignores requests for votes. */
  readonly checkQuorum?: boolean;
  /** `lease` answers linearizable reads without asking a quorum, which is wrong after a pause of the process. Default "safe". */
  readonly reads?: "safe" | "lease";
  /** A leader that a change removes or demotes becomes a follower once the change is applied. */
  readonly stepDownOnRemoval?: boolean;
  /** Appends configuration changes that the current configuration does not allow. For tests. */
  readonly disableConfChangeValidation?: boolean;
  readonly disableProposalForwarding?: boolean;
  /**
   * A node that refuses a vote sends what it knows to be committed. Without that, nodes could wait without end for the vote
   * of a removed node: it knows that its removal is committed, they do not, and its log is longer. A node that may not
   * campaign and knows no leader sends it without a request.
   */
  readonly commitByVote?: boolean;
  /**
   * Accepts a snapshot whose configuration lacks this node. A snapshot that stands for the start of the leader's log may be
   * older than this node's joining, and later entries add it.
   */
  readonly snapshotsMayPredateUs?: boolean;
  /** Local writes are messages to the append and apply threads, not done at advance(). See ready.ts. */
  readonly asyncStorage?: boolean;
  /** Bytes of entries in one append; one entry may be larger. Default no limit. */
  readonly messageBytesMax?: number;
  /** Bytes of entries handed out to be applied and not yet acknowledged. Default messageBytesMax. */
  readonly applyingBytesMax?: number;
  /** Bytes of proposals not yet applied; a leader drops proposals beyond it. Default no limit. */
  readonly uncommittedBytesMax?: number;
  /** Unanswered appends with entries per follower. */
  readonly inflightMessagesMax: number;
  /** Bytes of the same; 0 for no limit. */
  readonly inflightBytesMax?: number;
  /** After leaderConnectionLost() a follower campaigns within this many ticks. Default 5. */
  readonly connectionLostTicks?: number;
  /**
   * Returns the bytes of an entry that the core proposes itself: an empty one, or one that leaves a joint configuration.
   * Pure. Default: no bytes.
   */
  draft?(change: ConfChange | undefined): Uint8Array;
  readonly observe?: Observer;
}

/** @throws Fault "config" for a setting that is out of range or does not fit another */
export function checkConfig(config: CoreConfig): void {
  const refuse = (message: string): never => {
    throw new Fault("config", { message });
  };
  if (!Number.isSafeInteger(config.id) || config.id < 1) refuse("a peer id is a whole number from 1");
  if (config.heartbeatTicks < 1) refuse("heartbeatTicks must be at least 1");
  if (config.electionTicks <= config.heartbeatTicks) refuse("electionTicks must exceed heartbeatTicks");
  if (config.inflightMessagesMax < 1) refuse("inflightMessagesMax must be at least 1");
  const inflightBytes = config.inflightBytesMax ?? 0;
  if (inflightBytes !== 0 && inflightBytes < (config.messageBytesMax ?? Number.POSITIVE_INFINITY)) {
    refuse("inflightBytesMax must be at least messageBytesMax");
  }
  if (config.reads === "lease" && config.checkQuorum !== true) refuse("lease reads need checkQuorum");
}
