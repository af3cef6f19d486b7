/**
 * The appends of one stream, or a single append, sent to the current leader. Their order in the log is the order of the
 * calls.
 *
 *   append → this node leads, and nothing of the stream is in flight elsewhere: the appender
 *          → otherwise: queued (OrderedRuns) → leader known → sent (AppendAttempts) → visible here → resolved
 *
 * When another node becomes leader, runs that may be repeated are sent to it at once. Runs without conditions wait a
 * short time for the response of the previous leader and then fail as interrupted. The first failure that is not retried
 * ends the stream: the runs queued behind it are not written.
 *
 * A producer's run is also written when this node's own log shows it, whichever leader it was sent to.
 */
import { Fault } from "../../fault.ts";
import type { Timer } from "../../lib/time/clock.ts";
import type { Appended, AppendOptions, ProducerStamp, RecordRun } from "../../types.ts";
import { type LeaderWatch, noLeaderMessage } from "../leader-watch.ts";
import { AppendAttempts, type AppendTargets, leaderOf, targetOf } from "./append-attempts.ts";
import { type OrderedGroup, OrderedRuns, type QueuedRun } from "./ordered-runs.ts";
import type { ProducedRunWatch } from "./produced-run-watch.ts";
import { failedBefore, finalFault, type RetryDecision, retryDecision } from "./retry-decision.ts";

export interface AppendStreamPorts extends AppendTargets {
  readonly watch: Pick<LeaderWatch, "target" | "known" | "listen">;
  /** The current term of this node. */
  readonly term: () => number;
  /** Resolves when this node's log shows a forwarded append, or when the time for that is over. */
  readonly visibleHere: (appended: Appended, options: AppendOptions) => Promise<void>;
  readonly produced: ProducedRunWatch;
  /** The fault for an append with `forward: false`. */
  readonly notLeader: () => Fault;
  /** The reason why this node takes no appends at all, if so. */
  readonly unusable: () => Fault | undefined;
}

/** How long a stream waits without progress: for a leader, or for a leader that accepts its appends. */
export const leaderWaitMs = 4_000;
const backoffMsMax = 200;
const attemptsMax = 20;

interface StreamRun extends QueuedRun {
  /** The fault of the first attempt that may have written it. */
  undecided: Fault | undefined;
  /** The last refusal while all runs before it were settled. */
  refusal: Fault | undefined;
  resolve(appended: Appended): void;
  reject(fault: Fault): void;
  unobserve: (() => void) | undefined;
}

export class AppendStream {
  readonly #ports: AppendStreamPorts;
  /** Undefined for a single append. */
  readonly #stream: { readonly ended: boolean } | undefined;
  readonly #order = new OrderedRuns<StreamRun>();
  readonly #attempts: AppendAttempts<StreamRun>;
  /** Appends in flight on this node without a copy of their bytes, and their term. */
  #direct = 0;
  #directTerm = 0;
  #failure: Fault | undefined;
  #progressMs = 0;
  #failedAttempts = 0;
  /** Nothing is sent before this time, unless the leader changes. */
  #notBefore = 0;
  #stopListening: (() => void) | undefined;
  #timer: Timer | undefined;
  #isSendDue = false;
  /** True while the stream waits for the limiter. Other requests are in flight then, which counts as progress. */
  #isLimited = false;

  constructor(ports: AppendStreamPorts, stream?: { readonly ended: boolean }) {
    this.#ports = ports;
    this.#stream = stream;
    this.#attempts = new AppendAttempts<StreamRun>(ports, {
      written: (group, appended) => this.#written(group, appended),
      failed: (group, fault) => this.#attemptFailed(group, fault),
    });
  }

  /** The caller may reuse the run's bytes when this returns. Rejects with a Fault. */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    if (this.#failure !== undefined) return Promise.reject(failedBefore(this.#failure));
    return this.isDirect ? this.#appendDirectly(run, options) : this.#queue(run, options);
  }

  /** True if the next append goes to the appender of this node at once. */
  get isDirect(): boolean {
    if (this.#failure !== undefined || this.#order.size > 0) return false;
    return this.#ports.watch.target() === "here" && this.#isSameTerm;
  }

  /** True if the direct appends in flight belong to the current term, so that the next append follows them. */
  get #isSameTerm(): boolean {
    return this.#direct === 0 || this.#directTerm === this.#ports.term();
  }

  #appendDirectly(run: RecordRun, options: AppendOptions): Promise<Appended> {
    let appending: Promise<Appended>;
    try {
      appending = this.#ports.appendHere(run, options);
    } catch (reason) {
      const fault = Fault.from(reason);
      const isFull = fault.kind === "overloaded" && this.#stream !== undefined;
      if (isFull) return this.#queue(run, options);
      this.#fail(fault);
      return Promise.reject(fault);
    }
    this.#directTerm = this.#ports.term();
    this.#direct++;
    appending.then(this.#directWritten, this.#directFailed);
    return appending;
  }

  readonly #directWritten = (): void => {
    this.#direct--;
    if (this.#direct === 0 && this.#order.size > 0) this.#send();
  };

  readonly #directFailed = (reason: unknown): void => {
    this.#direct--;
    this.#fail(Fault.from(reason));
    this.#setTimer();
  };

  #queue(run: RecordRun, options: AppendOptions): Promise<Appended> {
    try {
      this.#stopListening ??= this.#ports.watch.listen(() => this.#leaderChanged());
    } catch (reason) {
      // The run is not queued: an append that is rejected as not written must not be sent later.
      const fault = Fault.from(reason);
      this.#fail(fault);
      return Promise.reject(fault);
    }
    const copy = { bytes: new Uint8Array(run.bytes), count: run.count };
    return new Promise((resolve, reject) => {
      const now = this.#ports.clock.monotonicMs();
      if (this.#order.size === 0) this.#progressMs = now;
      this.#order.add({
        run: copy,
        options,
        overtaken: false,
        settled: false,
        undecided: undefined,
        refusal: undefined,
        resolve,
        reject,
        unobserve: undefined,
      });
      this.#sendSoon();
    });
  }

  /** Sends in the next microtask, so that the runs queued in this one can be joined. */
  #sendSoon(): void {
    if (this.#isSendDue) return;
    this.#isSendDue = true;
    queueMicrotask(() => {
      this.#isSendDue = false;
      this.#send();
    });
  }

  /** Sends the runs that may be sent now, and sets the timer for the others. */
  readonly #send = (): void => {
    const { clock, limiter, watch, unusable } = this.#ports;
    if (this.#order.size > 0) {
      const now = clock.monotonicMs();
      const fault =
        this.#stream?.ended === true ? new Fault("canceled") : (unusable() ?? this.#hopeless(now));
      if (fault !== undefined) this.#failWaiting(fault);
    }
    let isLimited = false;
    let waitsFor: AppendOptions = {};
    let hasSent = false;
    for (;;) {
      const leader = watch.target();
      if (leader !== undefined && leader !== "here" && this.#order.first?.options.forward === false) {
        this.#failWaiting(this.#ports.notLeader());
        break;
      }
      if (leader === undefined || clock.monotonicMs() < this.#notBefore) break;
      if (this.#direct > 0 && (leader !== "here" || !this.#isSameTerm)) break;
      const target = targetOf(this.#ports.term(), leader);
      const next = this.#order.next(target);
      if (next === undefined) break;
      isLimited = leader !== "here" && !limiter.mayAcquire(this.#send, next.options);
      if (isLimited) {
        waitsFor = next.options;
        break;
      }
      const group = this.#order.takeNext(target);
      if (group === undefined) break;
      this.#start(group);
      hasSent = true;
    }
    // A stream that has sent something waits behind the other streams.
    if (hasSent || !isLimited) limiter.stopWaiting(this.#send);
    if (isLimited) limiter.wait(this.#send, waitsFor);
    this.#isLimited = isLimited;
    this.#setTimer();
  };

  /** Why the first run will not be sent any more, if so: it is too late, or a later run was written. */
  #hopeless(now: number): Fault | undefined {
    const { first } = this.#order;
    if (first === undefined || this.#order.inFlight.size > 0 || this.#direct > 0) return undefined;
    if (first.overtaken) {
      return new Fault("unavailable", {
        message: "a later append of the stream was written, so this one cannot be in order",
        cause: first.refusal,
      });
    }
    if (now >= (first.options.deadlineMs ?? Number.POSITIVE_INFINITY)) {
      return new Fault("deadline", { message: "no leader took the append in time" });
    }
    if (this.#isLimited) return undefined;
    const isOver = now >= this.#progressMs + leaderWaitMs || this.#failedAttempts >= attemptsMax;
    if (!isOver) return undefined;
    return first.refusal ?? new Fault("unavailable", { message: noLeaderMessage });
  }

  #start(group: OrderedGroup<StreamRun>): void {
    const first = group.runs[0]!;
    const stamp = watchedStamp(first.options);
    if (stamp !== undefined) {
      first.unobserve ??= this.#ports.produced.observe(stamp, first.run.count, (seen) =>
        this.#observed(first, seen),
      );
    }
    this.#attempts.start(group);
  }

  #written(group: OrderedGroup<StreamRun>, appended: Appended): void {
    this.#order.written(group);
    this.#progress();
    const resolve = (): void => {
      let firstOffset = appended.firstOffset;
      for (const run of group.runs) {
        // A repeated append of a stream has no records.
        const count = Math.min(run.run.count, appended.count);
        run.unobserve?.();
        run.resolve({ ...appended, firstOffset, count });
        firstOffset += count;
      }
    };
    if (leaderOf(group) === "here") resolve();
    else this.#ports.visibleHere(appended, group.runs[0]!.options).then(resolve, resolve);
    this.#send();
  }

  /** This node's log shows a producer's run, so it and all runs before it in the stream are written. */
  #observed(run: StreamRun, appended: Appended): void {
    if (run.settled) return;
    run.unobserve?.();
    this.#order.settle(run);
    this.#progress();
    run.resolve(appended);
    this.#sendSoon();
  }

  #attemptFailed(group: OrderedGroup<StreamRun>, fault: Fault): void {
    this.#order.failed(group);
    const first = group.runs.find(({ settled }) => !settled);
    if (first === undefined) {
      this.#send();
      return;
    }
    const isFirst = first === this.#order.first;
    const decision = retryDecision({
      fault,
      options: first.options,
      isFirst,
      isStream: this.#stream !== undefined,
      undecided: first.undecided,
    });
    if (fault.written === "unknown") for (const run of group.runs) run.undecided ??= fault;
    if (decision === "fail") {
      for (const run of group.runs) this.#reject(run, fault);
      this.#fail(fault);
    } else {
      // A run behind the first may be refused only because the first is missing.
      if (isFirst) first.refusal = fault;
      this.#scheduleRetry(group, decision);
    }
    this.#send();
  }

  /** A retry is sent at once to another leader, and after a backoff to the same one. */
  #scheduleRetry(group: OrderedGroup<StreamRun>, decision: RetryDecision): void {
    // All groups that were in flight together count as one attempt.
    if (this.#attempts.size > 0) return;
    this.#failedAttempts++;
    const { clock, watch } = this.#ports;
    const waitMs = decision === "observe" ? backoffMsMax : Math.min(backoffMsMax, 20 * this.#failedAttempts);
    const isSame = leaderOf(group) === watch.target();
    this.#notBefore = isSame ? clock.monotonicMs() + waitMs : 0;
  }

  #leaderChanged(): void {
    const { clock, watch } = this.#ports;
    this.#notBefore = 0;
    const leader = watch.known();
    if (leader !== undefined) {
      this.#progressMs = clock.monotonicMs();
      this.#attempts.leaderChanged(leader);
    }
    this.#sendSoon();
  }

  #progress(): void {
    this.#progressMs = this.#ports.clock.monotonicMs();
    this.#failedAttempts = 0;
  }

  /** Ends the stream: the waiting runs fail because of this fault. The runs in flight settle by themselves. */
  #fail(fault: Fault): void {
    this.#failure ??= finalFault(fault, undefined);
    for (const run of this.#order.takeWaiting()) this.#reject(run, failedBefore(this.#failure));
  }

  /** Ends the stream: the first run, if it is not in flight, fails with this fault itself. */
  #failWaiting(fault: Fault): void {
    const { first } = this.#order;
    const isInFlight = [...this.#order.inFlight].some(({ runs }) => runs.some((run) => run === first));
    if (first !== undefined && !isInFlight) this.#reject(first, fault);
    this.#fail(fault);
  }

  #reject(run: StreamRun, fault: Fault): void {
    run.unobserve?.();
    if (run.settled) return;
    this.#order.settle(run, false);
    const isUnforwarded = run.options.forward === false && fault.kind === "not-leader";
    run.reject(isUnforwarded ? fault : finalFault(fault, run.undecided));
  }

  /** Sets the timer for the next send, or stops the timer and listening when nothing waits. */
  #setTimer(): void {
    const { clock } = this.#ports;
    this.#timer?.cancel();
    this.#timer = undefined;
    const { first, inFlight, size } = this.#order;
    if (size === 0) {
      this.#stopListening?.();
      this.#stopListening = undefined;
      return;
    }
    const now = clock.monotonicMs();
    const isIdle = inFlight.size === 0 && this.#direct === 0;
    if (!isIdle) return;
    const due = Math.min(
      this.#isLimited ? Number.POSITIVE_INFINITY : this.#progressMs + leaderWaitMs,
      first?.options.deadlineMs ?? Number.POSITIVE_INFINITY,
      this.#notBefore > now ? this.#notBefore : Number.POSITIVE_INFINITY,
    );
    if (due < Number.POSITIVE_INFINITY) this.#timer = clock.after(Math.max(1, due - now), this.#send);
  }
}

/**
 * The producer whose batches tell that a run is written. Undefined without one, and for a named log without an id: a batch
 * of the same producer in another log would be taken for it.
 */
function watchedStamp({ producer, log }: AppendOptions): ProducerStamp | undefined {
  if (producer === undefined || log === undefined) return producer;
  return log.id === undefined ? undefined : { ...producer, logId: log.id };
}
