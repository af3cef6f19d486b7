/** Names in the order of their UTF-8 bytes, for pages of a list. Names are only added. Pure. */
import { compareNames } from "../../lib/name-order.ts";

/** Names that are put in order together: this many, or an eighth of those that are in order. */
const recentMin = 512;

export class SortedNames {
  #names: string[];
  /** Names that are not in order yet. An insert into a long array costs a copy of it, so they are merged together. */
  #recent: string[] = [];

  constructor(names: Iterable<string>) {
    this.#names = [...names].sort(compareNames);
  }

  /** Adds a name that is not there. */
  add(name: string): void {
    this.#recent.push(name);
    if (this.#recent.length >= Math.max(recentMin, this.#names.length >>> 3)) this.#merge();
  }

  /** The names that begin with `prefix` and come after `after`. None may be added meanwhile. */
  *from(prefix: string, after: string): Generator<string> {
    this.#merge();
    const names = this.#names;
    let at = this.#position(prefix);
    if (compareNames(after, prefix) >= 0) {
      at = this.#position(after);
      if (names[at] === after) at++;
    }
    for (; at < names.length; at++) {
      const name = names[at]!;
      if (!name.startsWith(prefix)) return;
      yield name;
    }
  }

  #merge(): void {
    if (this.#recent.length === 0) return;
    const recent = this.#recent.sort(compareNames);
    const merged: string[] = [];
    let next = 0;
    for (const name of this.#names) {
      while (next < recent.length && compareNames(recent[next]!, name) < 0) merged.push(recent[next++]!);
      merged.push(name);
    }
    while (next < recent.length) merged.push(recent[next++]!);
    this.#names = merged;
    this.#recent = [];
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
