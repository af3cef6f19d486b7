/** The clock of a node: calls back once a tick, and less often while the node is idle. */
import { assert } from "../../lib/assert.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";

export interface TickerOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  readonly tick: () => void;
  /** True while no heartbeat is due and no timeout runs. */
  readonly isIdle: () => boolean;
}

/** An idle node ticks this many times less often: ten wakes a second, not a hundred. */
const idleTicks = 10;

export class Ticker {
  readonly #options: TickerOptions;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: TickerOptions) {
    this.#options = options;
  }

  start(): void {
    assert(this.#timer === undefined && !this.#isStopped, "start() once");
    this.#arm();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    const { clock, tickMs, isIdle } = this.#options;
    const waitMs = isIdle() ? idleTicks * tickMs : tickMs;
    const due = clock.monotonicMs() + waitMs;
    this.#timer = clock.after(waitMs, () => {
      // After a pause of the process the sockets are read first, so that the silence does not start an election. A pause
      // counts as one tick, however long it was.
      if (clock.monotonicMs() > due + tickMs) clock.soon(() => this.#tick());
      else this.#tick();
    });
  }

  #tick(): void {
    if (this.#isStopped) return;
    this.#arm();
    this.#options.tick();
  }
}
