/**
 * Proposals and their waiters.
 *
 *   queued → handed to the core (index and term known) → applied │ replaced: not written │ given up: unknown
 *
 * Index and term identify an entry: if an entry of another term is applied at the index, this one never will be. Of several
 * entries the first ones may still be committed.
 */

import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import type { Entry, RaftIndex, Term } from "../core/mod.ts";
import type { ProposalWaiter } from "./ports.ts";

export interface Queued {
  readonly entries: readonly Entry[];
  readonly waiter: ProposalWaiter;
}

interface Pending {
  readonly first: RaftIndex;
  /** Its first entry is applied: it is written at least in part. */
  begun: boolean;
  readonly last: RaftIndex;
  readonly term: Term;
  readonly waiter: ProposalWaiter;
  /** The tick at which it fails as unknown; undefined while this node leads in its term. */
  deadline: number | undefined;
}

export class Proposals {
  #queued: Queued[] = [];
  #queuedBytes = 0;
  readonly #queuedMax: number;
  readonly #queuedBytesMax: number;
  /** Ascending by last, from #start on. */
  #pending: Pending[] = [];
  #start = 0;

  constructor(queuedMax: number, queuedBytesMax: number) {
    this.#queuedMax = queuedMax;
    this.#queuedBytesMax = queuedBytesMax;
  }

  /** Proposals that the core has accepted and that are not decided. */
  get pending(): number {
    return this.#pending.length - this.#start;
  }

  /** False if a limit is reached: nothing was queued. */
  queue(proposed: Queued): boolean {
    let bytes = 0;
    for (const entry of proposed.entries) bytes += entry.bytes.length;
    const full = this.#queued.length >= this.#queuedMax || this.#queuedBytes + bytes > this.#queuedBytesMax;
    if (full && this.#queued.length > 0) return false;
    this.#queued.push(proposed);
    this.#queuedBytes += bytes;
    return true;
  }

  takeQueued(): readonly Queued[] {
    const taken = this.#queued;
    if (taken.length === 0) return taken;
    this.#queued = [];
    this.#queuedBytes = 0;
    return taken;
  }

  /** The core has accepted it: its entries are at `first` to `last` in `term`. */
  accepted(waiter: ProposalWaiter, first: RaftIndex, last: RaftIndex, term: Term): void {
    // A later term of this node may begin below undecided entries of an earlier one. They are gone from this log, but
    // another node may have them and commit them, so their result is unknown.
    while (this.pending > 0 && (this.#pending.at(-1) as Pending).last >= last) {
      const replaced = this.#pending.pop() as Pending;
      assert(replaced.term < term, "two proposals at one index");
      replaced.waiter.failed(undecided("another leader's entries took its place here"));
    }
    this.#pending.push({ first, begun: false, last, term, waiter, deadline: undefined });
  }

  /** Entries were applied: answers all waiters up to the last of them. */
  applied(entries: readonly Entry[]): void {
    const base = (entries[0] as Entry).index;
    const end = base + entries.length;
    for (; this.pending > 0; this.#start++) {
      const pending = this.#pending[this.#start] as Pending;
      const { first, last, term, waiter } = pending;
      if (entries[first - base]?.term === term) pending.begun = true;
      if (last >= end) break;
      const found = entries[last - base];
      assert(found !== undefined, "a proposal was skipped");
      if (found.term === term) waiter.applied(last);
      else if (pending.begun)
        waiter.failed(undecided("another leader's entry took the place of its last ones"));
      else waiter.failed(notWritten());
    }
    this.#shrink();
  }

  /** A snapshot replaced the log up to `index`: it is not known which proposals are in it. */
  coveredBy(index: RaftIndex): void {
    for (; this.pending > 0; this.#start++) {
      const { last, waiter } = this.#pending[this.#start] as Pending;
      if (last > index) break;
      waiter.failed(undecided("a snapshot took the place of the log"));
    }
    this.#shrink();
  }

  /** This node does not lead in their term any more: they fail at `deadline` if they are undecided then. */
  orphan(term: Term, deadline: number): void {
    for (let at = this.#start; at < this.#pending.length; at++) {
      const pending = this.#pending[at] as Pending;
      if (pending.term <= term) pending.deadline ??= deadline;
    }
  }

  expire(now: number): void {
    if (this.pending === 0) return;
    const live: Pending[] = [];
    for (const pending of this.#pending.slice(this.#start)) {
      if (pending.deadline === undefined || pending.deadline > now) live.push(pending);
      else pending.waiter.failed(undecided("this node lost the leadership before it was decided"));
    }
    this.#pending = live;
    this.#start = 0;
  }

  /** The node stops: queued proposals are not written, those that the core has accepted are unknown. */
  abandon(cause?: unknown): void {
    for (const { waiter } of this.takeQueued()) waiter.failed(new Fault("unavailable", { cause }));
    for (const { waiter } of this.#pending.slice(this.#start)) {
      waiter.failed(undecided("the node stopped before it was decided", cause));
    }
    this.#pending = [];
    this.#start = 0;
  }

  #shrink(): void {
    if (this.#start === this.#pending.length) {
      this.#pending.length = 0;
      this.#start = 0;
    } else if (this.#start >= 1024) {
      this.#pending.splice(0, this.#start);
      this.#start = 0;
    }
  }
}

const notWritten = (): Fault =>
  new Fault("unavailable", { message: "another leader's entry took its place", written: "no" });

const undecided = (message: string, cause?: unknown): Fault =>
  new Fault("interrupted", { message, written: "unknown", cause });
