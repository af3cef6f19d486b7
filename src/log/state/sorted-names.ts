/** Names in the order of their UTF-8 bytes, for pages of a list. Pure. */
import { compareNames } from "../../lib/name-order.ts";

export class SortedNames {
  /** Put in order when they are first used: a copy for a checkpoint needs no order. */
  readonly #all: string[];
  #isOrdered = false;

  constructor(names: Iterable<string>) {
    this.#all = [...names];
  }

  get #names(): string[] {
    if (!this.#isOrdered) this.#all.sort(compareNames);
    this.#isOrdered = true;
    return this.#all;
  }

  add(name: string): void {
    const names = this.#names;
    const at = this.#position(name);
    if (names[at] !== name) names.splice(at, 0, name);
  }

  delete(name: string): void {
    const at = this.#position(name);
    if (this.#names[at] === name) this.#names.splice(at, 1);
  }

  /** At most `limit` names that begin with `prefix` and come after `after`. */
  page(prefix: string, after: string, limit: number): string[] {
    const names = this.#names;
    let at = this.#position(prefix);
    if (compareNames(after, prefix) >= 0) {
      at = this.#position(after);
      if (names[at] === after) at++;
    }
    const found: string[] = [];
    for (; at < names.length && found.length < limit; at++) {
      const name = names[at]!;
      if (!name.startsWith(prefix)) break;
      found.push(name);
    }
    return found;
  }

  /** The position of the first name that is not before `name`. */
  #position(name: string): number {
    const names = this.#names;
    let [low, high] = [0, names.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames(names[middle]!, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
