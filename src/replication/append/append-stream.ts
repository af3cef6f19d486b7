/**
 * The appends of one stream, or a single one, wherever the leader is: their order in the log is the order of the calls.
 *
 *   append → this node leads, and nothing of the stream is on its way elsewhere: straight to the appender
 *          → otherwise: queued (OrderedRuns) → leader known → forwarded → shown here → answered
 *
 * When another node leads, what was forwarded to the one before is not waited for: a repeatable append is sent to the new
 * leader at once, a plain one gets a short grace for the answer that may be on its way and then ends as interrupted.
 * The first failure that is no reason to try again ends the stream: what waits behind it is not written.
 *
 * A producer's append also counts as written when this node's own log shows it, whichever leader it was sent to.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Appended, AppendOptions, RecordRun } from "../../types.ts";
import { type LeaderWatch, noLeaderMessage } from "../leader-watch.ts";
import type { ForwardLimiter } from "./forward-limiter.ts";
import { type Flight, joinedRun, OrderedRuns, type QueuedRun } from "./ordered-runs.ts";
import type { ProducedRunWatch } from "./produced-run-watch.ts";
import { finalFault, isRepeatable, type RetryDecision, retryDecision } from "./retry-decision.ts";

export interface AppendStreamPorts {
  readonly clock: Clock;
  readonly watch: Pick<LeaderWatch, "target" | "known" | "listen">;
  /** The term that this node is in. */
  readonly term: () => number;
  /** Appends on this node, which leads. Throws a Fault, or rejects with one. */
  readonly here: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  /** Sends an append to a leader. An abort ends the wait, with a fault that says whether it may have been written. */
  readonly there: (
    leader: string,
    run: RecordRun,
    options: AppendOptions,
    signal: AbortSignal,
  ) => Promise<Appended>;
  /** Resolves when this node shows what was appended elsewhere, or after a while. */
  readonly shown: (appended: Appended, options: AppendOptions) => Promise<void>;
  readonly gate: ForwardLimiter;
  readonly produced: ProducedRunWatch;
  /** For a caller that does not want its append forwarded. */
  readonly notLeader: () => Fault;
  /** Why this node takes no appends at all, if so. */
  readonly unusable: () => Fault | undefined;
}

/** How long a stream waits without progress: for a leader, or for one that takes what it is sent. */
export const leaderWaitMs = 4_000;
/** What is on its way back from a leader that was replaced is waited for so long. */
export const graceMs = 200;
const backoffMsMax = 200;
const attemptsMax = 20;

interface WaitingRun extends QueuedRun {
  undecided: Fault | undefined;
  /** Why it was last refused while no unsettled run of its stream stood before it. */
  refusal: Fault | undefined;
  resolve(appended: Appended): void;
  reject(fault: Fault): void;
  unobserve: (() => void) | undefined;
}

interface Way {
  /** Ends the wait for the answer. */
  giveUp: () => void;
  grace: Timer | undefined;
}

export class AppendStream {
  readonly #ports: AppendStreamPorts;
  /** Undefined for a single append. */
  readonly #stream: { readonly ended: boolean } | undefined;
  readonly #order = new OrderedRuns<WaitingRun>();
  readonly #ways = new Map<Flight<WaitingRun>, Way>();
  /** Appends under way on this node itself, without a copy, and their term. */
  #here = 0;
  #hereTerm = 0;
  #failure: Fault | undefined;
  #progressMs = 0;
  #attempts = 0;
  /** Nothing is sent before, but when the leader changes. */
  #notBefore = 0;
  #stopListening: (() => void) | undefined;
  #timer: Timer | undefined;
  #isDue = false;
  /** Waits for room in the gate: others are under way, and that is progress. */
  #isInLine = false;

  constructor(ports: AppendStreamPorts, stream?: { readonly ended: boolean }) {
    this.#ports = ports;
    this.#stream = stream;
  }

  /** The run's bytes are copied before this returns, if they are needed longer. */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    if (this.#failure !== undefined) return Promise.reject(behind(this.#failure));
    if (this.#order.size === 0 && this.#ports.watch.target() === "here" && this.#isContinued) {
      return this.#appendHere(run, options);
    }
    return this.#queue(run, options);
  }

  /** What is under way on this node was appended in its present term, so what follows comes behind it. */
  get #isContinued(): boolean {
    return this.#here === 0 || this.#hereTerm === this.#ports.term();
  }

  #appendHere(run: RecordRun, options: AppendOptions): Promise<Appended> {
    let appending: Promise<Appended>;
    try {
      appending = this.#ports.here(run, options);
    } catch (reason) {
      const fault = Fault.from(reason);
      const isFull = fault.kind === "overloaded" && this.#stream !== undefined;
      if (isFull) return this.#queue(run, options);
      this.#fail(fault);
      return Promise.reject(fault);
    }
    this.#hereTerm = this.#ports.term();
    this.#here++;
    appending.then(this.#hereDone, this.#hereFailed);
    return appending;
  }

  readonly #hereDone = (): void => {
    this.#here--;
    if (this.#here === 0 && this.#order.size > 0) this.#pump();
  };

  readonly #hereFailed = (reason: unknown): void => {
    this.#here--;
    this.#fail(Fault.from(reason));
    this.#arm();
  };

  #queue(run: RecordRun, options: AppendOptions): Promise<Appended> {
    try {
      this.#stopListening ??= this.#ports.watch.listen(() => this.#leaderChanged());
    } catch (reason) {
      // Not queued: what is answered as not written must not be sent later.
      const fault = Fault.from(reason);
      this.#fail(fault);
      return Promise.reject(fault);
    }
    const copy = { bytes: new Uint8Array(run.bytes), count: run.count };
    return new Promise((resolve, reject) => {
      const now = this.#ports.clock.monotonicMs();
      if (this.#order.size === 0) this.#progressMs = now;
      const waiting: WaitingRun = {
        run: copy,
        options,
        overtaken: false,
        settled: false,
        undecided: undefined,
        refusal: undefined,
        resolve,
        reject,
        unobserve: undefined,
      };
      this.#order.add(waiting);
      this.#pumpSoon();
    });
  }

  /** In the next microtask, so that what one turn queues can travel together. */
  #pumpSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#pump();
    });
  }

  readonly #pump = (): void => {
    const { clock, gate, watch, unusable } = this.#ports;
    if (this.#order.size > 0) {
      const now = clock.monotonicMs();
      const fault =
        this.#stream?.ended === true ? new Fault("canceled") : (unusable() ?? this.#hopeless(now));
      if (fault !== undefined) this.#giveUpWaiting(fault);
    }
    let isFull = false;
    let hasSent = false;
    for (;;) {
      const leader = watch.target();
      if (leader !== undefined && leader !== "here" && this.#order.first?.options.forward === false) {
        this.#giveUpWaiting(this.#ports.notLeader());
        break;
      }
      if (leader === undefined || clock.monotonicMs() < this.#notBefore) break;
      if (this.#here > 0 && (leader !== "here" || !this.#isContinued)) break;
      const target = `${this.#ports.term()} ${leader}`;
      if (!this.#order.canSend(target)) break;
      isFull = leader !== "here" && !gate.isOpenTo(this.#pump);
      if (isFull) break;
      const flight = this.#order.next(target);
      if (flight === undefined) break;
      this.#send(flight, leader);
      hasSent = true;
    }
    // A stream that had its turn goes to the end of the line.
    if (hasSent || !isFull) gate.stepOut(this.#pump);
    if (isFull) gate.wait(this.#pump);
    this.#isInLine = isFull;
    this.#arm();
  };

  /** Why the first run is not sent any more, if so: it is late, or a later one was written meanwhile. */
  #hopeless(now: number): Fault | undefined {
    const { first } = this.#order;
    if (first === undefined || this.#order.flights.size > 0 || this.#here > 0) return undefined;
    if (first.overtaken) {
      return new Fault("unavailable", {
        message: "a later append of the stream was written, so this one cannot be in order",
        cause: first.refusal,
      });
    }
    if (now >= (first.options.deadlineMs ?? Number.POSITIVE_INFINITY)) {
      return new Fault("deadline", { message: "no leader took the append in time" });
    }
    if (this.#isInLine) return undefined;
    const isOver = now >= this.#progressMs + leaderWaitMs || this.#attempts >= attemptsMax;
    if (!isOver) return undefined;
    return first.refusal ?? new Fault("unavailable", { message: noLeaderMessage });
  }

  #send(flight: Flight<WaitingRun>, leader: string): void {
    const { here, there, gate, produced } = this.#ports;
    const [first] = flight.runs as readonly [WaitingRun, ...WaitingRun[]];
    const run = joinedRun(flight);
    const abort = new AbortController();
    const way: Way = { giveUp: () => undefined, grace: undefined };
    this.#ways.set(flight, way);
    const { producer } = first.options;
    if (producer !== undefined) {
      first.unobserve ??= produced.observe(producer, first.run.count, (seen) => this.#observed(first, seen));
    }
    const isHere = leader === "here";
    if (!isHere) gate.enter(flight.bytes);
    const landed = (): void => {
      way.grace?.cancel();
      this.#ways.delete(flight);
      if (!isHere) gate.leave(flight.bytes);
    };
    const ended = (settle: () => void): void => {
      if (!this.#ways.has(flight)) return;
      landed();
      settle();
    };
    way.giveUp = (): void => {
      if (isHere) ended(() => this.#lost(flight, replacedHere()));
      else abort.abort();
    };
    let sent: Promise<Appended>;
    try {
      sent = isHere ? here(run, first.options) : there(leader, run, first.options, abort.signal);
    } catch (reason) {
      // Now, or a smaller run behind this one might find the room that this one lacked.
      ended(() => this.#lost(flight, Fault.from(reason)));
      return;
    }
    sent.then(
      (appended) => ended(() => this.#written(flight, appended, !isHere)),
      (reason) => ended(() => this.#lost(flight, Fault.from(reason))),
    );
  }

  #written(flight: Flight<WaitingRun>, appended: Appended, isElsewhere: boolean): void {
    this.#order.written(flight);
    this.#progress();
    const answer = (): void => {
      let firstOffset = appended.firstOffset;
      for (const run of flight.runs) {
        const { count } = run.run;
        run.unobserve?.();
        run.resolve({ ...appended, firstOffset, count });
        firstOffset += count;
      }
    };
    if (isElsewhere) this.#ports.shown(appended, flight.runs[0]!.options).then(answer, answer);
    else answer();
    this.#pump();
  }

  /** This node's log shows a producer's run: it is written, and all before it of its stream are. */
  #observed(run: WaitingRun, appended: Appended): void {
    if (run.settled) return;
    run.unobserve?.();
    this.#order.settle(run);
    this.#progress();
    run.resolve(appended);
    this.#pumpSoon();
  }

  #lost(flight: Flight<WaitingRun>, fault: Fault): void {
    this.#order.failed(flight);
    const first = flight.runs.find(({ settled }) => !settled);
    if (first === undefined) {
      this.#pump();
      return;
    }
    const isFirst = first === this.#order.first;
    const verdict = retryDecision({
      fault,
      options: first.options,
      isFirst,
      isStream: this.#stream !== undefined,
      undecided: first.undecided,
    });
    if (fault.written === "unknown") for (const run of flight.runs) run.undecided ??= fault;
    if (verdict === "fail") {
      this.#end(flight.runs, fault);
    } else {
      // A run behind the first may be refused only because the first is missing.
      if (isFirst) first.refusal = fault;
      this.#again(flight, verdict);
    }
    this.#pump();
  }

  /** It will be sent again: at once to another leader, after a while to the same. */
  #again({ target }: Flight<WaitingRun>, verdict: RetryDecision): void {
    // All that was under way together is one attempt.
    if (this.#ways.size > 0) return;
    this.#attempts++;
    const { clock, watch } = this.#ports;
    const waitMs = verdict === "observe" ? backoffMsMax : Math.min(backoffMsMax, 20 * this.#attempts);
    const isSame = leaderOf(target) === watch.target();
    this.#notBefore = isSame ? clock.monotonicMs() + waitMs : 0;
  }

  #leaderChanged(): void {
    const { clock, watch } = this.#ports;
    this.#notBefore = 0;
    const leader = watch.known();
    if (leader !== undefined) {
      this.#progressMs = clock.monotonicMs();
      for (const [{ target, runs }, way] of [...this.#ways]) {
        if (leaderOf(target) === leader) {
          way.grace?.cancel();
          way.grace = undefined;
          continue;
        }
        // Raft itself decides soon what becomes of a plain append that this node has proposed.
        if (runs.every(({ options }) => isRepeatable(options))) way.giveUp();
        else if (leaderOf(target) !== "here") way.grace ??= clock.after(graceMs, () => way.giveUp());
      }
    }
    this.#pumpSoon();
  }

  #progress(): void {
    this.#progressMs = this.#ports.clock.monotonicMs();
    this.#attempts = 0;
  }

  /** Ends the stream, for the reason that these runs failed. */
  #end(runs: readonly WaitingRun[], fault: Fault): void {
    for (const run of runs) this.#reject(run, fault);
    this.#fail(fault);
  }

  /** What waits fails because of the failure before it. What is under way settles by itself. */
  #fail(fault: Fault): void {
    this.#failure ??= finalFault(fault, undefined);
    for (const run of this.#order.takeWaiting()) this.#reject(run, behind(this.#failure));
  }

  /** The first that waits fails for this reason, and ends the stream. */
  #giveUpWaiting(fault: Fault): void {
    const { first } = this.#order;
    const isUnderWay = [...this.#order.flights].some(({ runs }) => runs.some((run) => run === first));
    if (first !== undefined && !isUnderWay) this.#reject(first, fault);
    this.#fail(fault);
  }

  #reject(run: WaitingRun, fault: Fault): void {
    run.unobserve?.();
    if (run.settled) return;
    this.#order.settle(run, false);
    const wantsLeader = run.options.forward === false && fault.kind === "not-leader";
    run.reject(wantsLeader ? fault : finalFault(fault, run.undecided));
  }

  /** A timer for what waits; none, and no listening, when nothing does. */
  #arm(): void {
    const { clock } = this.#ports;
    this.#timer?.cancel();
    this.#timer = undefined;
    const { first, flights, size } = this.#order;
    if (size === 0) {
      this.#stopListening?.();
      this.#stopListening = undefined;
      return;
    }
    const now = clock.monotonicMs();
    const isIdle = flights.size === 0 && this.#here === 0;
    if (!isIdle) return;
    const due = Math.min(
      this.#isInLine ? Number.POSITIVE_INFINITY : this.#progressMs + leaderWaitMs,
      first?.options.deadlineMs ?? Number.POSITIVE_INFINITY,
      this.#notBefore > now ? this.#notBefore : Number.POSITIVE_INFINITY,
    );
    if (due < Number.POSITIVE_INFINITY) this.#timer = clock.after(Math.max(1, due - now), this.#pump);
  }
}

/** A target is a term and a name. */
const leaderOf = (target: string): string => target.slice(target.indexOf(" ") + 1);

const replacedHere = (): Fault =>
  new Fault("interrupted", { message: "this node was replaced as the leader", written: "unknown" });

const behind = (cause: Fault): Fault =>
  new Fault("unavailable", { message: "an append before this one on the stream failed", cause });
