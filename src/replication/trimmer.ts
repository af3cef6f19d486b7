/**
 * Trims the log, on this node or through the leader.
 *
 * A trim may always be repeated: a second one has no effect. So when the leader is replaced, the trim is sent to the new
 * one at once. The name of a named log is resolved once, so a log that is created again under the name is not trimmed.
 */
import { Fault } from "../fault.ts";
import type { Clock } from "../lib/time/clock.ts";
import { batchKind, encodeTrim, outOfRange, type SegmentedLog } from "../log/mod.ts";
import type { AppendOptions, LogRef, Offset } from "../types.ts";
import type { Appender } from "./append/appender.ts";
import { finalFault } from "./append/retry-decision.ts";
import type { LeaderWatch } from "./leader-watch.ts";
import { deletedMeanwhile } from "./logs/log-refusals.ts";

export interface TrimmerPorts {
  readonly log: Pick<SegmentedLog, "bounds">;
  readonly appender: Pick<Appender, "command" | "confirmed">;
  /** Trims a named log on this node, which is the leader. Returns its lowest offset after it. */
  readonly trimNamed: (log: LogRef, before: Offset, deadlineMs: number | undefined) => Promise<Offset>;
  /** Returns the log with its id, as the cluster knows it. Rejects with Fault "not-found" if there is none. */
  readonly resolved: (log: LogRef, deadlineMs: number) => Promise<LogRef>;
  readonly clock: Clock;
  readonly watch: LeaderWatch;
  /** Sends a trim to the leader and returns the lowest offset after it. An abort ends the wait with a Fault. */
  readonly forward: (
    leader: string,
    before: Offset,
    options: AppendOptions,
    signal: AbortSignal,
  ) => Promise<Offset>;
  /** Resolves when this node shows the log trimmed so far, or when the time for that is over. */
  readonly visibleHere: (lowest: Offset, options: AppendOptions) => Promise<void>;
}

const attemptsMax = 5;
const backoffMs = 100;

export class Trimmer {
  readonly #ports: TrimmerPorts;

  constructor(ports: TrimmerPorts) {
    this.#ports = ports;
  }

  /**
   * Trims on this node, which is the leader. Returns the lowest offset after it.
   * @throws Fault "out-of-range" for an offset beyond the end
   */
  async trimHere(before: Offset, { log: named, deadlineMs }: AppendOptions = {}): Promise<Offset> {
    const { log, appender, trimNamed } = this.#ports;
    if (named !== undefined) return trimNamed(named, before, deadlineMs);
    if (before > log.bounds.next) await appender.confirmed();
    if (before > log.bounds.next) throw outOfRange(before, log.bounds);
    if (before > log.bounds.lowest) await appender.command(batchKind.trim, encodeTrim(before));
    return log.bounds.lowest;
  }

  /** Trims on the leader, up to `untilMs` of the monotonic clock, and waits until this node shows it. */
  async trimOnLeader(before: Offset, options: AppendOptions, untilMs: number): Promise<Offset> {
    const { clock, watch, resolved } = this.#ports;
    let { log } = options;
    let undecided: Fault | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        if (attempt > 1) {
          await watch.changed(Math.min(untilMs, clock.monotonicMs() + backoffMs * (attempt - 1)));
        }
        const leader = await watch.leader(untilMs);
        if (leader === "here")
          return await this.trimHere(before, { ...options, ...(log === undefined ? {} : { log }) });
        if (log !== undefined) log = await resolved(log, untilMs);
        return await this.#forward(leader, before, { ...options, ...(log === undefined ? {} : { log }) });
      } catch (reason) {
        const fault = Fault.from(reason);
        if (fault.written === "unknown") undecided ??= fault;
        const isLate = attempt >= attemptsMax || clock.monotonicMs() >= untilMs;
        const mayRepeat = ["not-leader", "unavailable", "interrupted", "unknown"].includes(fault.kind);
        if (isLate || !mayRepeat) throw finalFault(refusalOf(fault, options.log), undecided);
      }
    }
  }

  /** Sends the trim to this leader. The attempt is given up when the leader is replaced. */
  async #forward(leader: string, before: Offset, options: AppendOptions): Promise<Offset> {
    const { watch, forward, visibleHere } = this.#ports;
    const replaced = new AbortController();
    const stop = watch.listen(() => {
      const known = watch.known();
      if (known !== undefined && known !== leader) replaced.abort();
    });
    try {
      const lowest = await forward(leader, before, options, replaced.signal);
      await visibleHere(lowest, options);
      return lowest;
    } finally {
      stop();
    }
  }
}

/** Returns the refusal of a trim of a log. A caller that stated no id learns nothing from one that is about an id. */
const refusalOf = (fault: Fault, log: LogRef | undefined): Fault =>
  log !== undefined && log.id === undefined && fault.facts.reason === "ANOTHER_LOG"
    ? deletedMeanwhile(log.name)
    : fault;
