/**
 * Appends that followers forwarded to this leader. While the appender's queue is full for a subject in a log, its appends to the
 * log wait here, in arrival order. Those of other logs and subjects go on.
 *
 *   append → nothing of its log and subject waits, and the appender accepts it → the appender
 *          → otherwise: queued in its flow → retried every few milliseconds, first one first → the appender
 *
 * A refusal would break the order of a stream: a follower has already sent the appends behind the refused one, and a
 * smaller one of them could be accepted. RequestServer limits the requests and bytes of each connection, which bounds the
 * memory used here.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Appended, AppendOptions, RecordRun } from "../../types.ts";

export interface ForwardedAppendsPorts {
  readonly clock: Clock;
  /** Appends on this node. Throws Fault "overloaded" when the queue is full, or another Fault. */
  readonly append: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  /** Returns true if this node can append now. */
  readonly ready: () => boolean;
  /** Returns true if this node is the leader, ready or not. False for a node that takes no appends at all. */
  readonly leads: () => boolean;
  /** The fault for a queued append when this node no longer leads or takes no appends. */
  readonly notLeader: () => Fault;
}

interface WaitingAppend {
  readonly run: RecordRun;
  readonly options: AppendOptions;
  readonly resolve: (appended: Promise<Appended>) => void;
  readonly reject: (fault: Fault) => void;
}

/** The queue has space again when a group is written, which takes a few milliseconds on most disks. */
const retryMs = 5;
/** Flows that the appender may refuse in one retry. The others are tried in the next one. */
const refusedMax = 32;

/** The appends of one subject to one log, from `start` on. */
interface Flow {
  readonly appends: WaitingAppend[];
  start: number;
}

export class ForwardedAppends {
  readonly #ports: ForwardedAppendsPorts;
  /** The flows that are not empty, the next one to try first. */
  readonly #flows = new Map<string, Flow>();
  #size = 0;
  #timer: Timer | undefined;

  constructor(ports: ForwardedAppendsPorts) {
    this.#ports = ports;
  }

  /** The number of appends that wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * Appends the run, now or when its turn comes. The caller must not change the run's bytes until this settles.
   * @throws what the appender throws, except Fault "overloaded"; Fault "deadline" when the turn comes too late
   */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    const key = flowKey(options);
    const waiting = this.#flows.get(key);
    if (waiting === undefined) {
      const appending = this.#attempt(run, options);
      if (appending !== undefined) return appending;
    }
    const flow = waiting ?? { appends: [], start: 0 };
    this.#flows.set(key, flow);
    return new Promise((resolve, reject) => {
      flow.appends.push({ run, options, resolve, reject });
      this.#size++;
      this.#scheduleRetry();
    });
  }

  /** Returns undefined when the appender's queue is full. */
  #attempt(run: RecordRun, options: AppendOptions): Promise<Appended> | undefined {
    try {
      return this.#ports.append(run, options);
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.kind === "overloaded" && fault.written === "no") return undefined;
      throw fault;
    }
  }

  #scheduleRetry(): void {
    this.#timer ??= this.#ports.clock.after(retryMs, () => {
      this.#timer = undefined;
      this.#retry();
      if (this.size > 0) this.#scheduleRetry();
    });
  }

  /** Handles the appends of the flows, each from the first one on until one has to wait further. */
  #retry(): void {
    let refused = 0;
    for (const [key, flow] of [...this.#flows]) {
      this.#retryFlow(flow);
      if (flow.start === flow.appends.length) {
        this.#flows.delete(key);
        continue;
      }
      // During a transfer nothing is tried, and the deadlines of all flows are looked at.
      if (!this.#ports.ready()) continue;
      // A flow that was refused comes last in the next retry.
      this.#flows.delete(key);
      this.#flows.set(key, flow);
      if (++refused === refusedMax) return;
    }
  }

  #retryFlow(flow: Flow): void {
    const { clock, ready, leads, notLeader } = this.#ports;
    const now = clock.monotonicMs();
    while (flow.start < flow.appends.length) {
      const { run, options, resolve, reject } = flow.appends[flow.start]!;
      if (now >= (options.deadlineMs ?? Number.POSITIVE_INFINITY)) {
        reject(new Fault("deadline", { message: "the leader's append queue was full until the deadline" }));
      } else if (!leads()) {
        reject(notLeader());
      } else if (!ready()) {
        return;
      } else {
        try {
          const appending = this.#attempt(run, options);
          if (appending === undefined) return;
          resolve(appending);
        } catch (reason) {
          reject(Fault.from(reason));
        }
      }
      this.#removeFirst(flow);
    }
  }

  #removeFirst(flow: Flow): void {
    this.#size--;
    flow.start++;
    if (flow.start < 1024) return;
    flow.appends.splice(0, flow.start);
    flow.start = 0;
  }
}

/** Names of logs and subjects hold no line break. */
const flowKey = ({ log, subject }: AppendOptions): string => `${subject ?? ""}\n${log?.name ?? ""}`;
