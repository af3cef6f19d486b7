/**
 * Decides when segments are removed whose frames must be folded onto the base first. The base is then written again as a whole, so
 * the segments wait until they are a quarter of it, or half a minute: removing each segment of a burst of creates would write a
 * base of 60 MB for every 0.5 MB of the log.
 */
import type { Clock } from "../../lib/time/clock.ts";
import type { SealedSegment } from "../segment/sealed-segment.ts";

/** The base is at most so many times as large as the segments. */
const baseShare = 4;
const waitMaxMs = 30_000;
/** Frames of the segments that are removed at once, besides those of the first two: their logs are in memory meanwhile. */
const framesMax = 65_536;

export class RemovalPace {
  readonly #clock: Pick<Clock, "monotonicMs"> | undefined;
  #sinceMs: number | undefined;

  /** Without a clock nothing waits. */
  constructor(clock: Pick<Clock, "monotonicMs"> | undefined) {
    this.#clock = clock;
  }

  /** Returns true if a removal of these segments is to begin now. `baseBytes`: the size of the base file. */
  isDue(segments: readonly SealedSegment[], baseBytes: number): boolean {
    const nowMs = this.#clock?.monotonicMs() ?? Number.POSITIVE_INFINITY;
    this.#sinceMs ??= nowMs;
    let bytes = 0;
    for (const segment of segments) bytes += segment.bytes;
    if (bytes * baseShare < baseBytes && nowMs - this.#sinceMs < waitMaxMs) return false;
    this.#sinceMs = undefined;
    return true;
  }

  /** The first of these segments, which are removed together. */
  together(segments: readonly SealedSegment[]): readonly SealedSegment[] {
    let frames = 0;
    const end = segments.findIndex(({ seal }, k) => {
      frames += seal.entries;
      return frames > framesMax && k >= 2;
    });
    return end < 0 ? segments : segments.slice(0, end);
  }
}
