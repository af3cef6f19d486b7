/**
 * The time of the log: the timestamps of records and the time for expiry by age. Reads the clock for ClockTrust, and
 * logs changes of its status.
 */
import { Fault } from "../../fault.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { Moment } from "../../lib/time/clock-leap.ts";
import { type ClockStatus, ClockTrust, clockProblem } from "./clock-trust.ts";

/** Readings of both clocks that are further apart are repeated: the process was suspended between them. */
const readingMsMax = 1_000;
/** A status is valid for this long, unless the wall clock was set meanwhile. */
const statusMs = 100;
const statusMovedMsMax = 1_000;

export type ClockReading = readonly [wallMs: number, steady: boolean, fresh: boolean];

/** The stored observation that the clock was set. */
export interface ClockNotes {
  readonly clockSetByMs: number | undefined;
  /** The time that the clock would have shown when the observation was stored. Undefined in data of older versions. */
  readonly clockWithoutLeapsMs: number | undefined;
  saveClockSet(byMs: number | undefined, withoutLeapsMs: number | undefined): void;
}

export class LogTime {
  readonly trust = new ClockTrust();
  readonly #clock: Clock;
  readonly #logger: Logger;
  #notes: ClockNotes | undefined;
  #storedByMs: number | undefined;
  #last: ClockStatus | undefined;
  /** When #last was computed. Undefined: it is no longer valid. */
  #at: Moment | undefined;
  #hadProblem = false;

  constructor(clock: Clock, logger: Logger = noLogger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Sets the other voters, by name. */
  compareWith(voters: readonly string[]): void {
    this.trust.compareWith(voters, this.#now());
    this.#at = undefined;
  }

  /** Called once, when the log is open. `newestMs` is the timestamp at its end. */
  begin(newestMs: number, notes: ClockNotes): void {
    this.#notes = notes;
    this.#storedByMs = notes.clockSetByMs;
    this.trust.begin(newestMs, this.#storedByMs, this.#now(), notes.clockWithoutLeapsMs);
    this.status();
  }

  /** Whether the clock can be trusted. Logs a line when the status changes. */
  status(now = this.#now()): ClockStatus {
    const last = this.#last;
    if (last !== undefined && this.#at !== undefined && isSoonAfter(now, this.#at)) return last;
    const status = this.trust.status(now);
    this.#last = status;
    this.#at = now;
    this.#store(now);
    if (status.kind !== (last?.kind ?? "trusted")) this.#changed(status);
    return status;
  }

  /** The problem of the clock with figures; undefined if none is known. */
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

  /** The timestamp of a record that is made now, before it is raised to that of the previous record. */
  stampMs(): number {
    const now = this.#now();
    const stampMs = this.trust.stampMs(now);
    this.#store(now);
    return stampMs;
  }

  /** The current time for expiry by age; undefined while the clock is not trusted. */
  expiryMs(): number | undefined {
    const now = this.#now();
    return this.status(now).kind === "trusted" ? now.wallMs : undefined;
  }

  /**
   * Stores durably that the clock was set, before a record gets a timestamp from it: otherwise a process that starts
   * within the hour could not detect it from the newest record.
   */
  #store(now: Moment): void {
    const byMs = this.trust.setByMs(now);
    if ((byMs === undefined) === (this.#storedByMs === undefined) || this.#notes === undefined) return;
    try {
      this.#notes.saveClockSet(byMs, byMs === undefined ? undefined : this.trust.withoutLeapsMs(now));
      this.#storedByMs = byMs;
    } catch (reason) {
      // A refusal of the disk is reported by the next write of the log. The next call tries again.
      if (!(reason instanceof Fault) && !(reason instanceof Error && "code" in reason)) throw reason;
    }
  }

  #changed(status: ClockStatus): void {
    const problem = clockProblem(status);
    const { byMs, leftMs, offMs, successors } = status;
    if (problem !== undefined) {
      this.#hadProblem = true;
      this.#logger.warn({ byMs, leftMs, clocks: offMs, successors }, problem);
    } else if (status.kind === "trusted" && this.#hadProblem) {
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
  return passedMs < statusMs && Math.abs(now.wallMs - before.wallMs - passedMs) < statusMovedMsMax;
}
