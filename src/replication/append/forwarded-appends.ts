/**
 * Appends that followers forwarded to this leader. While the appender's queue is full they wait here, in arrival order.
 *
 *   append → the queue is empty and the appender accepts it → the appender
 *          → otherwise: queued → retried every few milliseconds, first one first → the appender
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

export class ForwardedAppends {
  readonly #ports: ForwardedAppendsPorts;
  readonly #queue: WaitingAppend[] = [];
  #start = 0;
  #timer: Timer | undefined;

  constructor(ports: ForwardedAppendsPorts) {
    this.#ports = ports;
  }

  /** The number of appends that wait. */
  get size(): number {
    return this.#queue.length - this.#start;
  }

  /**
   * Appends the run, now or when its turn comes. The caller must not change the run's bytes until this settles.
   * @throws what the appender throws, except Fault "overloaded"; Fault "deadline" when the turn comes too late
   */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    if (this.size === 0) {
      const appending = this.#attempt(run, options);
      if (appending !== undefined) return appending;
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ run, options, resolve, reject });
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

  /** Handles queued appends from the first one on, until one has to wait further. */
  #retry(): void {
    const { clock, ready, leads, notLeader } = this.#ports;
    const now = clock.monotonicMs();
    while (this.size > 0) {
      const { run, options, resolve, reject } = this.#queue[this.#start]!;
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
      this.#removeFirst();
    }
  }

  #removeFirst(): void {
    this.#start++;
    if (this.#start < 1024 && this.size > 0) return;
    this.#queue.splice(0, this.#start);
    this.#start = 0;
  }
}
