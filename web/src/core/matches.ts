/**
 * The offsets that passed the filter, ascending, as a queue in a plain array: added at the end, dropped at the
 * front with the ring.
 */
export class Matches {
  #offsets: number[] = [];
  #head = 0;
  /** How many were dropped from the front since the last clear. */
  dropped = 0;

  get count(): number {
    return this.#offsets.length - this.#head;
  }

  clear(): void {
    this.#offsets = [];
    this.#head = 0;
    this.dropped = 0;
  }

  /** Offsets come in ascending order. */
  add(offset: number): void {
    this.#offsets.push(offset);
  }

  at(index: number): number | undefined {
    return this.#offsets[this.#head + index];
  }

  /** Index of the first match at or after this offset. */
  lowerBound(offset: number): number {
    let [low, high] = [this.#head, this.#offsets.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle] as number) < offset) low = middle + 1;
      else high = middle;
    }
    return low - this.#head;
  }

  /** Drops the matches before this offset. Returns their number. */
  dropBefore(offset: number): number {
    const gone = this.lowerBound(offset);
    this.#head += gone;
    this.dropped += gone;
    if (this.#head > 4096 && this.#head * 2 > this.#offsets.length) {
      this.#offsets = this.#offsets.slice(this.#head);
      this.#head = 0;
    }
    return gone;
  }
}
