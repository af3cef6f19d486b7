/** The rate of something that grows, over the last seconds. Pure: the caller has the clock. */
const windowMs = 5_000;

interface Point {
  readonly atMs: number;
  readonly count: number;
}

export class Rate {
  #points: Point[] = [];

  /** Forgets what was before: the growth was interrupted. */
  clear(): void {
    this.#points = [];
  }

  /** Notes the count at a time of a monotonic clock, in milliseconds. */
  note(atMs: number, count: number): void {
    this.#points.push({ atMs, count });
    const old = this.#points.findIndex((point) => point.atMs >= atMs - windowMs);
    // The point before the window stays: the window begins between two points.
    if (old > 1) this.#points.splice(0, old - 1);
  }

  /** For each second. Undefined until there are two points at different times. */
  get perSecond(): number | undefined {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
    return ((last.count - first.count) * 1000) / (last.atMs - first.atMs);
  }
}
