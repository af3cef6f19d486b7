/**
 * Rejects appends whose deadline has passed, so many in one turn of the event loop. One timer serves all, and it runs only while
 * an append has a deadline.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { QueuedAppend, QueuedGroup } from "../../log/mod.ts";

const checkIntervalMs = 50;
/** Appends that are rejected in one turn. Each of them is answered. */
const rejectedAtOnce = 512;

export class AppendDeadlines {
  readonly #clock: Clock;
  readonly #groups: () => Iterable<QueuedGroup>;
  #timer: Timer | undefined;
  /** The appends that are still to be looked at, while that takes several turns. */
  #left: Iterator<QueuedAppend> | undefined;
  #isAnyLeft = false;
  #closed = false;

  /** `groups` returns the groups with unsettled appends. */
  constructor(clock: Clock, groups: () => Iterable<QueuedGroup>) {
    this.#clock = clock;
    this.#groups = groups;
  }

  /** Starts the timer, unless it runs. To be called for each append with a deadline. */
  start(): void {
    this.#isAnyLeft = true;
    if (this.#left !== undefined) return;
    this.#timer ??= this.#clock.after(checkIntervalMs, () => {
      this.#timer = undefined;
      this.#isAnyLeft = false;
      this.#left = waitersOf([...this.#groups()]);
      this.#look();
    });
  }

  readonly #look = (): void => {
    if (this.#closed) return;
    const now = this.#clock.monotonicMs();
    for (let rejected = 0; rejected < rejectedAtOnce; ) {
      const step = this.#left!.next();
      if (step.done === true) {
        this.#left = undefined;
        if (this.#isAnyLeft) this.start();
        return;
      }
      const append = step.value;
      if (append.deadlineMs! > now) {
        this.#isAnyLeft = true;
        continue;
      }
      append.isLate = true;
      append.reject(new Fault("deadline", { written: "unknown" }));
      rejected++;
    }
    this.#clock.soon(this.#look);
  };

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}

/** The appends that have a deadline and were not rejected for it. */
function* waitersOf(groups: readonly QueuedGroup[]): Generator<QueuedAppend> {
  for (const { waiters } of groups)
    for (const append of waiters) if (append.deadlineMs !== undefined && append.isLate !== true) yield append;
}
