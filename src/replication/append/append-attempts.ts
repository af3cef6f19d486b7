/**
 * The requests of one stream in flight: each is sent to the local appender or to another leader, and can be given up
 * when the leader is replaced.
 *
 * When another leader is known, a request to the previous one is given up: at once if all its runs may be repeated, and
 * after a grace period otherwise, since its response may still arrive. A run without conditions that this node itself
 * proposed is not given up: Raft soon decides its outcome.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Appended, AppendOptions, RecordRun } from "../../types.ts";
import type { ForwardLimiter } from "./forward-limiter.ts";
import { joinedRun, type OrderedGroup, type QueuedRun } from "./ordered-runs.ts";
import { isRepeatable } from "./retry-decision.ts";

export interface AppendTargets {
  readonly clock: Clock;
  /** Appends on this node, which is the leader. Throws a Fault, or rejects with one. */
  readonly appendHere: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  /** Sends an append to a leader. An abort ends the wait with a fault that says whether it may have been written. */
  readonly forward: (
    leader: string,
    run: RecordRun,
    options: AppendOptions,
    signal: AbortSignal,
  ) => Promise<Appended>;
  readonly limiter: ForwardLimiter;
}

/** Called once for each attempt, possibly before start() returns. */
export interface AttemptOutcome<Run extends QueuedRun> {
  written(group: OrderedGroup<Run>, appended: Appended): void;
  failed(group: OrderedGroup<Run>, fault: Fault): void;
}

interface Attempt {
  giveUp: () => void;
  grace: Timer | undefined;
}

/** How long the response of a replaced leader is awaited. */
export const answerGraceMs = 200;

export class AppendAttempts<Run extends QueuedRun> {
  readonly #targets: AppendTargets;
  readonly #outcome: AttemptOutcome<Run>;
  readonly #attempts = new Map<OrderedGroup<Run>, Attempt>();

  constructor(targets: AppendTargets, outcome: AttemptOutcome<Run>) {
    this.#targets = targets;
    this.#outcome = outcome;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** Sends the group to its target. */
  start(group: OrderedGroup<Run>): void {
    const { appendHere, forward, limiter } = this.#targets;
    const { options } = group.runs[0]!;
    const run = joinedRun(group);
    const abort = new AbortController();
    const leader = leaderOf(group);
    const isHere = leader === "here";
    const attempt: Attempt = { giveUp: () => undefined, grace: undefined };
    this.#attempts.set(group, attempt);
    const release = isHere ? undefined : limiter.acquire(group.bytes, options);
    const end = (report: () => void): void => {
      if (!this.#attempts.delete(group)) return;
      attempt.grace?.cancel();
      release?.();
      report();
    };
    attempt.giveUp = (): void => {
      if (isHere) end(() => this.#outcome.failed(group, replacedHere()));
      else abort.abort();
    };
    let sent: Promise<Appended>;
    try {
      sent = isHere ? appendHere(run, options) : forward(leader, run, options, abort.signal);
    } catch (reason) {
      // Reported at once: otherwise a smaller run behind this one could be accepted before it.
      end(() => this.#outcome.failed(group, Fault.from(reason)));
      return;
    }
    sent.then(
      (appended) => end(() => this.#outcome.written(group, appended)),
      (reason) => end(() => this.#outcome.failed(group, Fault.from(reason))),
    );
  }

  /** Gives up the attempts that went to another leader than this one. */
  leaderChanged(leader: string): void {
    const { clock } = this.#targets;
    for (const [group, attempt] of [...this.#attempts]) {
      const target = leaderOf(group);
      if (target === leader) {
        attempt.grace?.cancel();
        attempt.grace = undefined;
      } else if (group.runs.every(({ options }) => isRepeatable(options))) attempt.giveUp();
      else if (target !== "here") attempt.grace ??= clock.after(answerGraceMs, () => attempt.giveUp());
    }
  }
}

/** A target is a term and the name of the leader, or "here" for this node. */
export const targetOf = (term: number, leader: string): string => `${term} ${leader}`;
export const leaderOf = ({ target }: Pick<OrderedGroup<QueuedRun>, "target">): string =>
  target.slice(target.indexOf(" ") + 1);

const replacedHere = (): Fault =>
  new Fault("interrupted", { message: "this node was replaced as the leader", written: "unknown" });
