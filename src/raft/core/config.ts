/**
 * What a core is told about itself, and the checks of it.
 *
 * Never: has a unit of time but the tick.
 */
import { Fault } from "../../fault.ts";
import type { Observer } from "./events.ts";
import type { InitialState, LogStorage } from "./storage.ts";
import type { ConfChange, PeerId } from "./types.ts";

export interface CoreConfig {
  readonly id: PeerId;
  readonly storage: LogStorage;
  readonly initial: InitialState;
  /** Without word from a leader for this many ticks, up to twice as many, a follower campaigns. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Chance, for election timeouts: a whole number in low … high. */
  readonly random: { between(low: number, high: number): number };
  /** Ask before raising the term. Only full strength with checkQuorum. */
  readonly preVote?: boolean;
  /** A leader that hears of no quorum steps down; a follower with a live leader ignores votes. */
  readonly checkQuorum?: boolean;
  /** `lease` answers linearizable reads without asking a quorum: wrong when clocks stand still. Default safe. */
  readonly reads?: "safe" | "lease";
  /** A leader that a change removes or demotes becomes a follower once that is applied. */
  readonly stepDownOnRemoval?: boolean;
  /** Let configuration changes into the log that the current configuration does not allow. For tests. */
  readonly disableConfChangeValidation?: boolean;
  readonly disableProposalForwarding?: boolean;
  /**
   * Who refuses a vote says what it knows to be committed. Without that, nodes may wait for ever for the vote of one
   * that has left: it knows that its leaving is committed, they do not, and its log is longer than theirs. Who may
   * not campaign and hears of no leader says it unasked.
   */
  readonly commitByVote?: boolean;
  /**
   * Take a snapshot whose configuration this node is not in: where it stands for the start of the leader's log, it may
   * be older than our joining, and what follows it brings us in.
   */
  readonly snapshotsMayPredateUs?: boolean;
  /** Local writes are messages to the append and apply threads (ready.ts) instead of being over at advance(). */
  readonly asyncStorage?: boolean;
  /** Bytes of entries in one append; at least one entry goes whatever its size. Default no limit. */
  readonly messageBytesMax?: number;
  /** Bytes of entries handed out to be applied and not yet acknowledged. Default messageBytesMax. */
  readonly applyingBytesMax?: number;
  /** Bytes of proposals not yet applied, beyond which a leader drops new ones. Default no limit. */
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

/** Throws Fault "config" naming what does not fit. */
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
