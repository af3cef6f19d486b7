/**
 * What a core hands to its driver: the contract of Ready, and the making of one.
 *
 * After each input, while hasReady(), the driver does this:
 *
 *   1. It takes ready().
 *   2. With synchronous storage it makes hardState, entries and snapshot durable, then sends the messages, applies
 *      committedEntries and calls advance().
 *      With asynchronous storage it sends messages to peers at once and in order. Messages to appendThread and
 *      applyThread are work for this node, done in order within each thread. When the work is done and, for appends,
 *      durable, the driver delivers its responses: to peers, or by step() here. Nothing else may be assumed durable before.
 *   3. It applies a committed entry that has a `change` by Core.applyChange().
 */
import { assert } from "../../lib/assert.ts";
import type { Raft } from "./raft.ts";
import { step } from "./step.ts";
import {
  appendThread,
  applyThread,
  type Entry,
  type HardState,
  type Message,
  message,
  type ReadState,
  type Snapshot,
  type SoftState,
  totalBytes,
} from "./types.ts";

/** What there is to do. The core does not change it after it was handed out. */
export interface Ready {
  readonly softState: SoftState | undefined;
  /** Present when it changed. */
  readonly hardState: HardState | undefined;
  readonly readStates: readonly ReadState[];
  /**
   * To be written, replacing the entries at and after the first one's index. An entry is in one Ready only, and no message
   * of an earlier one carries it. So a driver may complete the bytes of its own proposals here, in place and at the same
   * length, before it sends any message of this Ready. Only an append of a past term may carry an entry that is in no
   * Ready, because another one took its place first.
   */
  readonly entries: readonly Entry[];
  /** To be installed in place of the log. */
  readonly snapshot: Snapshot | undefined;
  readonly committedEntries: readonly Entry[];
  readonly messages: readonly Message[];
  /** True for entries, a new term or a vote: they must be durable before messages are sent. A commit index need not be. */
  readonly mustSync: boolean;
}

/** Makes each Ready from what changed in the core since the last one. */
export class ReadyMaker {
  readonly #raft: Raft;
  readonly #isAsync: boolean;
  #softState: SoftState;
  #hardState: HardState;
  /** Synchronous storage: the messages to step once all of the last Ready is done. */
  #onAdvance: Message[] = [];
  #isAdvancing = false;

  constructor(raft: Raft) {
    this.#raft = raft;
    this.#isAsync = raft.config.asyncStorage === true;
    this.#softState = raft.softState;
    this.#hardState = raft.hardState;
  }

  hasReady(): boolean {
    const raft = this.#raft;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.log.hasNextUnstable ||
      raft.log.nextUnstableSnapshot() !== undefined ||
      raft.log.hasNextCommitted(!this.#isAsync) ||
      raft.readStates.length > 0 ||
      this.#softStateChanged() ||
      this.#hardStateChanged()
    );
  }

  ready(): Ready {
    assert(!this.#isAdvancing, "ready() twice without advance()");
    const raft = this.#raft;
    const softState = this.#softStateChanged() ? raft.softState : undefined;
    const hardState = this.#hardStateChanged() ? raft.hardState : undefined;
    const entries = raft.log.nextUnstable();
    const snapshot = raft.log.nextUnstableSnapshot();
    const committedEntries = raft.log.nextCommitted(!this.#isAsync);
    const mustSync =
      entries.length > 0 || raft.term !== this.#hardState.term || raft.vote !== this.#hardState.vote;
    const { messages, readStates } = raft;
    if (this.#isAsync) {
      this.#handOutWork(hardState, entries, snapshot, committedEntries, messages);
    } else {
      this.#keepWork(snapshot, committedEntries, messages);
    }
    raft.messages = [];
    raft.messagesAfterAppend = [];
    raft.readStates = [];
    if (softState !== undefined) this.#softState = softState;
    if (hardState !== undefined) this.#hardState = hardState;
    raft.log.acceptUnstable();
    const last = committedEntries.at(-1);
    if (last !== undefined) {
      raft.log.acceptApplying(last.index, totalBytes(committedEntries), !this.#isAsync);
    }
    return { softState, hardState, readStates, entries, snapshot, committedEntries, messages, mustSync };
  }

  advance(): void {
    assert(!this.#isAsync, "with asynchronous storage there is nothing to advance");
    const done = this.#onAdvance;
    this.#onAdvance = [];
    this.#isAdvancing = false;
    for (const one of done) step(this.#raft, one);
  }

  /** Asynchronous storage: the work becomes messages to the threads. */
  #handOutWork(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
    committedEntries: readonly Entry[],
    messages: Message[],
  ): void {
    const { id, messagesAfterAppend } = this.#raft;
    if (
      entries.length > 0 ||
      hardState !== undefined ||
      snapshot !== undefined ||
      messagesAfterAppend.length > 0
    ) {
      // The answer to this node comes last: a leader's own acknowledgment needs the entries still unstable.
      const answer = this.#appendAnswer(snapshot);
      const responses = answer === undefined ? messagesAfterAppend : [...messagesAfterAppend, answer];
      messages.push(
        message("storage-append", appendThread, { from: id, ...hardState, entries, snapshot, responses }),
      );
    }
    if (committedEntries.length > 0) {
      messages.push(
        message("storage-apply", applyThread, {
          from: id,
          entries: committedEntries,
          responses: [this.#applyAnswer(committedEntries)],
        }),
      );
    }
  }

  /** Synchronous storage: the answers to this node wait for advance(). */
  #keepWork(snapshot: Snapshot | undefined, committedEntries: readonly Entry[], messages: Message[]): void {
    for (const one of this.#raft.messagesAfterAppend) {
      if (one.to === this.#raft.id) this.#onAdvance.push(one);
      else messages.push(one);
    }
    const answer = this.#appendAnswer(snapshot);
    if (answer !== undefined) this.#onAdvance.push(answer);
    if (committedEntries.length > 0) this.#onAdvance.push(this.#applyAnswer(committedEntries));
    this.#isAdvancing = true;
  }

  /**
   * The answer that all entries unstable now are durable. It covers more than this Ready writes, since an earlier write of
   * the same entries may have been answered in a past term.
   */
  #appendAnswer(snapshot: Snapshot | undefined): Message | undefined {
    const { id, term, log } = this.#raft;
    if (!log.hasUnstable && snapshot === undefined) return undefined;
    const last = log.hasUnstable ? { index: log.lastIndex, logTerm: log.lastTerm } : {};
    return message("storage-append-response", id, { from: appendThread, term, ...last, snapshot });
  }

  #applyAnswer(entries: readonly Entry[]): Message {
    return message("storage-apply-response", this.#raft.id, { from: applyThread, entries });
  }

  #softStateChanged(): boolean {
    return this.#softState.leader !== this.#raft.leader || this.#softState.role !== this.#raft.role;
  }

  #hardStateChanged(): boolean {
    const { term, vote, log } = this.#raft;
    const saved = this.#hardState;
    return saved.term !== term || saved.vote !== vote || saved.commit !== log.committed;
  }
}
