/** Rejects appends whose deadline has passed. One timer serves all, and it runs only while an append has a deadline. */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { QueuedGroup } from "../../log/mod.ts";

const checkIntervalMs = 50;

export class AppendDeadlines {
  readonly #clock: Clock;
  readonly #groups: () => Iterable<QueuedGroup>;
  #timer: Timer | undefined;

  /** `groups` returns the groups with unsettled appends. */
  constructor(clock: Clock, groups: () => Iterable<QueuedGroup>) {
    this.#clock = clock;
    this.#groups = groups;
  }

  /** Starts the timer, unless it runs. To be called for each append with a deadline. */
  start(): void {
    this.#timer ??= this.#clock.after(checkIntervalMs, () => {
      this.#timer = undefined;
      const now = this.#clock.monotonicMs();
      let isAnyLeft = false;
      for (const { waiters } of this.#groups()) {
        for (const { deadlineMs, reject } of waiters) {
          if (deadlineMs === undefined) continue;
          if (deadlineMs <= now) reject(new Fault("deadline", { written: "unknown" }));
          else isAnyLeft = true;
        }
      }
      if (isAnyLeft) this.start();
    });
  }

  close(): void {
    this.#timer?.cancel();
  }
}
