/**
 * A histogram of durations with exponential buckets: any number of samples in bounded memory. A percentile is at most 3 %
 * too high and never too low.
 */

/** Buckets for each doubling. */
const bucketsPerDoubling = 32;

export class LatencyHistogram {
  readonly #counts: number[] = [];
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  get max(): number {
    return this.#max;
  }

  /** Adds a duration in milliseconds, at least 0. */
  add(milliseconds: number): void {
    const bucket = bucketOf(milliseconds);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count++;
    this.#max = Math.max(this.#max, milliseconds);
  }

  /** Returns the duration that this share (0 to 1) of the samples did not exceed; 0 without samples. */
  percentile(share: number): number {
    const rank = Math.ceil(share * this.#count);
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count ?? 0;
      if (seen >= rank && seen > 0) return Math.min(upperEdge(bucket), this.#max);
    }
    return 0;
  }
}

/** All durations up to one microsecond share the first bucket. */
const bucketOf = (milliseconds: number): number =>
  milliseconds <= 0.001 ? 0 : Math.ceil(Math.log2(milliseconds / 0.001) * bucketsPerDoubling);

const upperEdge = (bucket: number): number => 0.001 * 2 ** (bucket / bucketsPerDoubling);
