/** The time of a log whose frames get a timestamp from before, in the beginning of a run. */
import type { Clock } from "../../../src/lib/time/clock.ts";
import { LogTime } from "../../../src/replication/time/log-time.ts";

export class StampedEarlier extends LogTime {
  readonly #earlierMs: () => number;

  /** `earlierMs` returns how much earlier than its time a frame is stamped now, in milliseconds. */
  constructor(clock: Clock, earlierMs: () => number) {
    super(clock);
    this.#earlierMs = earlierMs;
  }

  override stampMs(): number {
    return super.stampMs() - this.#earlierMs();
  }
}
