/**
 * How late timers of this process are, for metrics. A timer of the runtime fires every 10 ms and counts how late it is, which
 * takes 0.3 % of a processor. It starts at the first reading: a process whose metrics are not read has no such timer.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** The time between two firings of the timer. The histogram has the whole time between them. */
const resolutionMs = 10;

/** Seconds. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

type DelayHistogram = Pick<
  ReturnType<typeof monitorEventLoopDelay>,
  "enable" | "disable" | "count" | "percentile" | "max" | "reset"
>;

export class EventLoopDelay implements Disposable {
  readonly #open: () => DelayHistogram;
  #histogram: DelayHistogram | undefined;
  #reading: LoopDelay | undefined;
  #isFresh = false;

  /** `open` returns a histogram of nanoseconds. Default: that of Node.js. */
  constructor(open: () => DelayHistogram = () => monitorEventLoopDelay({ resolution: resolutionMs })) {
    this.#open = open;
  }

  /**
   * Returns the delays since the reading before, undefined the first time. All calls of one collection, which has no await in it,
   * return the same reading. If the timer has not fired since, that is the one before.
   */
  read(): LoopDelay | undefined {
    if (this.#isFresh) return this.#reading;
    this.#isFresh = true;
    queueMicrotask(() => {
      this.#isFresh = false;
    });
    if (this.#histogram === undefined) {
      this.#histogram = this.#open();
      this.#histogram.enable();
    }
    const histogram = this.#histogram;
    if (histogram.count === 0) return this.#reading;
    const [p50, p99] = [histogram.percentile(50), histogram.percentile(99)];
    this.#reading = { p50: lateness(p50), p99: lateness(p99), max: lateness(histogram.max) };
    histogram.reset();
    return this.#reading;
  }

  [Symbol.dispose](): void {
    this.#histogram?.disable();
  }
}

const lateness = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3);
