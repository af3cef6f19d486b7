/**
 * The time of the log: what records are stamped with and what expires by age. Reads the clock for ClockTrust, and
 * reports when the verdict on it changes.
 */
import { Fault } from "../../fault.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Moment } from "../../lib/time/clock-leap.ts";
import { type ClockStatus, ClockTrust, clockProblem } from "./clock-trust.ts";

/** Two readings further apart than this are not one moment: the process stood still between them. */
const readingMsMax = 1_000;
/** A verdict is good for this long, unless the wall clock was set meanwhile. */
const verdictMs = 100;
const verdictMovedMsMax = 1_000;

export type ClockReading = readonly [wallMs: number, steady: boolean, fresh: boolean];

/** What outlives the process. */
export interface ClockNotes {
  readonly clockSetByMs: number | undefined;
  /** What the clock would have shown without that, when it was noted. Undefined in an older note. */
  readonly clockWithoutLeapsMs: number | undefined;
  saveClockSet(byMs: number | undefined, withoutLeapsMs: number | undefined): void;
}

export class LogTime {
  readonly trust = new ClockTrust();
  readonly #clock: Clock;
  readonly #logger: Logger;
  #notes: ClockNotes | undefined;
  #noted: number | undefined;
  #last: ClockStatus | undefined;
  /** When it was made, as long as it holds. */
  #at: Moment | undefined;
  #hadProblem = false;

  constructor(clock: Clock, logger: Logger = noLogger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The other voters, by name. */
  compareWith(voters: readonly string[]): void {
    this.trust.compareWith(voters, this.#now());
    this.#at = undefined;
  }

  /** Once, when the log is open: `newestMs` is the timestamp at its end. */
  begin(newestMs: number, notes: ClockNotes): void {
    this.#notes = notes;
    this.#noted = notes.clockSetByMs;
    this.trust.begin(newestMs, this.#noted, this.#now(), notes.clockWithoutLeapsMs);
    this.status();
  }

  /** May the clock be trusted? Logs a line when that changes. */
  status(now = this.#now()): ClockStatus {
    const last = this.#last;
    if (last !== undefined && this.#at !== undefined && isSoonAfter(now, this.#at)) return last;
    const verdict = this.trust.status(now);
    this.#last = verdict;
    this.#at = now;
    this.#note(now);
    if (verdict.kind !== (last?.kind ?? "trusted")) this.#changed(verdict);
    return verdict;
  }

  /** What is wrong with the clock; undefined where nothing is known to be. */
  get problem(): string | undefined {
    return clockProblem(this.status());
  }

  /**
   * Returns what this node reports to its peers: its wall clock, true if that was not set within the last hour, and true
   * if this node started within the hour with an empty log.
   */
  reading(): ClockReading {
    const now = this.#now();
    this.status(now);
    return [now.wallMs, this.trust.setByMs(now) === undefined, this.trust.isFresh(now)];
  }

  /** The timestamp of a record that is made now. Not yet raised to that of the record before it. */
  stampMs(): number {
    const now = this.#now();
    const stampMs = this.trust.stampMs(now);
    this.#note(now);
    return stampMs;
  }

  /** The time by which something may expire; undefined while the clock is not trusted. */
  expiryMs(): number | undefined {
    const now = this.#now();
    return this.status(now).kind === "trusted" ? now.wallMs : undefined;
  }

  /**
   * Notes durably that the clock was set, before a record is stamped by it: a process that starts within the hour could
   * not tell by the newest record any more.
   */
  #note(now: Moment): void {
    const byMs = this.trust.setByMs(now);
    if ((byMs === undefined) === (this.#noted === undefined) || this.#notes === undefined) return;
    try {
      this.#notes.saveClockSet(byMs, byMs === undefined ? undefined : this.trust.withoutLeapsMs(now));
      this.#noted = byMs;
    } catch (reason) {
      // The disk refused it, and will say so elsewhere. What is not noted is tried again.
      if (!(reason instanceof Fault) && !(reason instanceof Error && "code" in reason)) throw reason;
    }
  }

  #changed(verdict: ClockStatus): void {
    const problem = clockProblem(verdict);
    const { byMs, leftMs, offMs, successors } = verdict;
    if (problem !== undefined) {
      this.#hadProblem = true;
      this.#logger.warn({ byMs, leftMs, clocks: offMs, successors }, problem);
    } else if (verdict.kind === "trusted" && this.#hadProblem) {
      this.#hadProblem = false;
      this.#logger.info({ clocks: offMs }, "the clock is trusted again");
    }
  }

  #now(): Moment {
    for (let tries = 1; ; tries++) {
      const before = this.#clock.monotonicMs();
      const wallMs = this.#clock.wallMs();
      const monotonicMs = this.#clock.monotonicMs();
      if (monotonicMs - before <= readingMsMax || tries === 3) return { wallMs, monotonicMs };
    }
  }
}

function isSoonAfter(now: Moment, before: Moment): boolean {
  const passedMs = now.monotonicMs - before.monotonicMs;
  return passedMs < verdictMs && Math.abs(now.wallMs - before.wallMs - passedMs) < verdictMovedMsMax;
}
