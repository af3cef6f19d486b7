/**
 * Limits the work that one connection causes in one turn of the event loop. When the turn is over, the rest of the
 * input waits for the next.
 *
 * A unit of work is one light request; any other request, and a stream that ends while its connection is read, counts
 * as eight. Light requests are limited by their number alone. Other work also ends the turn after turnMs.
 */
import type { H2Limits } from "./h2-limits.ts";

/** The work of a request that is not light, in light requests. */
export const requestWork = 8;

export class ReadTurn {
  /** Counts the turns of this connection. */
  number = 0;
  /** When the turn began, monotonic milliseconds. */
  nowMs: number;
  readonly #limits: Pick<H2Limits, "requestsPerTurn" | "turnMs">;
  readonly #clock: { monotonicMs(): number };
  #work = 0;
  /** Work other than light requests was done since the clock was read. */
  #isClockDue = false;
  #isOver = false;

  constructor(limits: Pick<H2Limits, "requestsPerTurn" | "turnMs">, clock: { monotonicMs(): number }) {
    this.#limits = limits;
    this.#clock = clock;
    this.nowMs = clock.monotonicMs();
  }

  /** Begins the next turn. */
  begin(): void {
    this.#work = 0;
    this.#isClockDue = false;
    this.#isOver = false;
    this.number++;
    this.readClock();
  }

  readClock(): void {
    this.nowMs = this.#clock.monotonicMs();
  }

  /** True if the turn takes no more frames. It is asked for every frame, so it reads the clock only when it must. */
  get isOver(): boolean {
    const { requestsPerTurn, turnMs } = this.#limits;
    if (this.#work >= requestsPerTurn * requestWork) return true;
    if (!this.#isClockDue) return this.#isOver;
    this.#isClockDue = false;
    this.#isOver ||= this.#clock.monotonicMs() - this.nowMs >= turnMs;
    return this.#isOver;
  }

  /** Counts a request, as light until addWork() adds to it. */
  addRequest(): void {
    this.#work++;
  }

  /** Counts work that is not light. */
  addWork(units: number): void {
    this.#work += units;
    this.#isClockDue = true;
  }
}
