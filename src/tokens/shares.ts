/** Limits what is under way at the same time for each key, so that one of them cannot take the place of all. Pure. */
export class Shares {
  readonly #max: number;
  /** Key → what is under way for it. */
  readonly #counts = new Map<string, number>();

  /** @param max what can be under way for one key */
  constructor(max: number) {
    this.#max = max;
  }

  /** Returns whether the key has as much under way as it may. */
  isFull(key: string): boolean {
    return (this.#counts.get(key) ?? 0) >= this.#max;
  }

  begin(key: string): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  end(key: string): void {
    const left = (this.#counts.get(key) ?? 1) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}
