/**
 * Appends that another node has sent here, on the leader: without room they wait, in the order in which they came.
 *
 *   append → no append waits, and there is room: straight to the appender
 *          → otherwise: in line → room again → the appender
 *
 * A refusal would break the order of a stream: what it sent behind the refused append is on its way already, and might
 * find room. The memory is bounded by what RequestServer accepts of each connection.
 *
 * Never: passes one that came before; holds one past its deadline once its turn has come.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { Appended, AppendOptions, RecordRun } from "../../types.ts";

export interface ForwardedAppendsPorts {
  readonly clock: Clock;
  /** Appends on this node. Throws Fault "overloaded" when there is no room, or another Fault. */
  readonly here: (run: RecordRun, options: AppendOptions) => Promise<Appended>;
  /** May this node append now? */
  readonly ready: () => boolean;
  /** Does it lead still, ready or not? False for a node that takes no appends at all any more. */
  readonly leads: () => boolean;
  /** For an append whose turn comes on a node that does not lead any more, or takes none. */
  readonly notLeader: () => Fault;
}

interface Waiting {
  readonly run: RecordRun;
  readonly options: AppendOptions;
  readonly resolve: (appended: Promise<Appended>) => void;
  readonly reject: (fault: Fault) => void;
}

/** Room comes when a group is written: a few milliseconds on most disks. */
const lookMs = 5;

export class ForwardedAppends {
  readonly #ports: ForwardedAppendsPorts;
  readonly #waiting: Waiting[] = [];
  #start = 0;
  #timer: Timer | undefined;

  constructor(ports: ForwardedAppendsPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#waiting.length - this.#start;
  }

  /** The run's bytes must stay as they are until this is settled. Throws what the appender throws, but for "overloaded". */
  append(run: RecordRun, options: AppendOptions): Promise<Appended> {
    if (this.size === 0) {
      const appending = this.#attempt(run, options);
      if (appending !== undefined) return appending;
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, options, resolve, reject });
      this.#arm();
    });
  }

  /** Undefined when there is no room. */
  #attempt(run: RecordRun, options: AppendOptions): Promise<Appended> | undefined {
    try {
      return this.#ports.here(run, options);
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.kind === "overloaded" && fault.written === "no") return undefined;
      throw fault;
    }
  }

  #arm(): void {
    this.#timer ??= this.#ports.clock.after(lookMs, () => {
      this.#timer = undefined;
      this.#advance();
      if (this.size > 0) this.#arm();
    });
  }

  #advance(): void {
    const { clock, ready, leads, notLeader } = this.#ports;
    const now = clock.monotonicMs();
    while (this.size > 0) {
      const { run, options, resolve, reject } = this.#waiting[this.#start]!;
      if (now >= (options.deadlineMs ?? Number.POSITIVE_INFINITY)) {
        reject(new Fault("deadline", { message: "the leader had no room in time" }));
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
      this.#next();
    }
  }

  #next(): void {
    this.#start++;
    if (this.#start < 1024 && this.size > 0) return;
    this.#waiting.splice(0, this.#start);
    this.#start = 0;
  }
}
