/**
 * Linearizable reads. Callers of one turn share one question to the leader, and wait until the answered index is applied
 * here. An unanswered question is repeated with a new context. A read is never answered by a question older than itself.
 *
 * Contexts begin at a random number: an answer to an earlier run of this node must not confirm a read.
 */
import { Fault } from "../../fault.ts";
import type { Prng } from "../../lib/prng.ts";
import type { RaftIndex, ReadState } from "../core/mod.ts";
import type { NodeSettings } from "./options.ts";

export interface ReadWaiter {
  /** Everything acknowledged before the read is applied here, at least up to `index`. */
  ready(index: RaftIndex): void;
  failed(fault: Error): void;
}

interface Question {
  waiters: ReadWaiter[];
  askedAt: number;
  deadline: number;
}

export interface ReadQueueLimits {
  readonly waitingMax: number;
  readonly retryTicks: number;
  readonly timeoutTicks: number;
}

export const readQueueLimits = ({ readsMax, electionTicks }: NodeSettings): ReadQueueLimits => ({
  waitingMax: readsMax,
  retryTicks: Math.max(1, Math.floor(electionTicks / 2)),
  timeoutTicks: electionTicks * 4,
});

/** Returns the context before the first one. The low 20 bits are left to count the questions of one run. */
export const firstContext = (random: Pick<Prng, "between">): number =>
  random.between(1, 2 ** 31 - 1) * 2 ** 20;

export class Reads {
  readonly #limits: ReadQueueLimits;
  #context: number;
  #fresh: ReadWaiter[] = [];
  readonly #asked = new Map<number, Question>();
  /** Answered questions that wait for their index to be applied, ascending by index. */
  #confirmed: { index: RaftIndex; waiters: ReadWaiter[] }[] = [];
  #waiting = 0;

  constructor(limits: ReadQueueLimits, firstContext: number) {
    this.#limits = limits;
    this.#context = firstContext;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** False if too many callers wait. */
  add(waiter: ReadWaiter): boolean {
    if (this.#waiting >= this.#limits.waitingMax) return false;
    this.#waiting++;
    this.#fresh.push(waiter);
    return true;
  }

  /** Asks for new callers, and repeats questions that were not answered in time; with `all`, all unanswered ones. */
  ask(now: number, all: boolean, ask: (context: number) => void): void {
    const again: Question[] = [];
    for (const [context, question] of this.#asked) {
      if (!all && now - question.askedAt < this.#limits.retryTicks) break;
      this.#asked.delete(context);
      again.push(question);
    }
    if (this.#fresh.length > 0) {
      const deadline = now + this.#limits.timeoutTicks;
      again.push({ waiters: this.#fresh, askedAt: now, deadline });
      this.#fresh = [];
    }
    for (const question of again) {
      question.askedAt = now;
      this.#asked.set(++this.#context, question);
      ask(this.#context);
    }
  }

  answered(state: ReadState, applied: RaftIndex): void {
    const question = this.#asked.get(state.context);
    if (question === undefined) return;
    this.#asked.delete(state.context);
    if (state.index <= applied) {
      this.#finish(question.waiters, applied);
      return;
    }
    let at = this.#confirmed.length;
    while (at > 0 && (this.#confirmed[at - 1]?.index ?? 0) > state.index) at--;
    this.#confirmed.splice(at, 0, { index: state.index, waiters: question.waiters });
  }

  appliedTo(index: RaftIndex): void {
    while (this.#confirmed.length > 0 && (this.#confirmed[0]?.index ?? 0) <= index) {
      this.#finish(this.#confirmed.shift()?.waiters ?? [], index);
    }
  }

  expire(now: number): void {
    for (const [context, question] of this.#asked) {
      if (question.deadline > now) continue;
      this.#asked.delete(context);
      this.#fail(question.waiters, new Fault("unavailable", { message: "no leader could confirm the read" }));
    }
  }

  abandon(cause?: unknown): void {
    const all = [
      ...this.#fresh,
      ...[...this.#asked.values(), ...this.#confirmed].flatMap((one) => one.waiters),
    ];
    this.#fresh = [];
    this.#asked.clear();
    this.#confirmed = [];
    this.#fail(all, new Fault("unavailable", { message: "the node is stopping", cause }));
  }

  #finish(waiters: readonly ReadWaiter[], index: RaftIndex): void {
    this.#waiting -= waiters.length;
    for (const waiter of waiters) waiter.ready(index);
  }

  #fail(waiters: readonly ReadWaiter[], fault: Fault): void {
    this.#waiting -= waiters.length;
    for (const waiter of waiters) waiter.failed(fault);
  }
}
