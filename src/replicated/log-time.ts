/**
 * The time of the log: what records are stamped with and what expires by age. Reads the clock for ClockTrust, and
 * reports when the verdict on it changes.
 */
import type { Clock } from "../lib/clock.ts";
import type { Moment } from "../lib/clock-leap.ts";
import { type Logger, noLogger } from "../lib/telemetry.ts";
import { ClockTrust, type ClockVerdict, clockProblem } from "./clock-trust.ts";

/** Two readings further apart than this are not one moment: the process stood still between them. */
const readingMsMax = 1_000;
/** A verdict is good for this long, unless the wall clock was set meanwhile. */
const verdictMs = 100;
const verdictMovedMsMax = 1_000;

export class LogTime {
  readonly trust = new ClockTrust();
  readonly #clock: Clock;
  readonly #logger: Logger;
  #last: ClockVerdict | undefined;
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
  begin(newestMs: number): void {
    this.trust.begin(newestMs, this.#now());
    this.verdict();
  }

  /** May the clock be trusted? Logs a line when that changes. */
  verdict(now = this.#now()): ClockVerdict {
    const last = this.#last;
    if (last !== undefined && this.#at !== undefined && isSoonAfter(now, this.#at)) return last;
    const verdict = this.trust.verdict(now);
    this.#last = verdict;
    this.#at = now;
    if (verdict.kind !== (last?.kind ?? "trusted")) this.#changed(verdict);
    return verdict;
  }

  /** What is wrong with the clock; undefined where nothing is known to be. */
  get problem(): string | undefined {
    return clockProblem(this.verdict());
  }

  /** What this node tells its peers: its wall clock, and whether it was not set within the last hour. */
  reading(): readonly [wallMs: number, steady: boolean] {
    const now = this.#now();
    this.verdict(now);
    return [now.wallMs, this.trust.steady(now)];
  }

  /** The timestamp of a record that is made now. Not yet raised to that of the record before it. */
  stampMs(): number {
    return this.trust.stampMs(this.#now());
  }

  /** The time by which something may expire; undefined while the clock is not trusted. */
  expiryMs(): number | undefined {
    const now = this.#now();
    return this.verdict(now).kind === "trusted" ? now.wallMs : undefined;
  }

  #changed(verdict: ClockVerdict): void {
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
