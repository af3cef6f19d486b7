/** The largest of many, as they come. Pure. */

interface Rated<T> {
  readonly value: number;
  readonly item: T;
}

/** Keeps the `limit` items with the largest values. Adding one costs a search among those. */
export class Largest<T> {
  readonly #limit: number;
  /** The largest one comes first; of equal ones, the one that was added first. */
  readonly #kept: Rated<T>[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(value: number, item: T): void {
    const { length } = this.#kept;
    if (length === this.#limit && value <= this.#kept[length - 1]!.value) return;
    let [low, high] = [0, length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#kept[middle]!.value >= value) low = middle + 1;
      else high = middle;
    }
    this.#kept.splice(low, 0, { value, item });
    if (this.#kept.length > this.#limit) this.#kept.pop();
  }

  /** The items, the largest one first. */
  get items(): readonly T[] {
    return this.#kept.map(({ item }) => item);
  }
}
