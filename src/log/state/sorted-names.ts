/** Names in the order of their UTF-8 bytes, for pages of a list. Pure. */

/**
 * Compares two names by their UTF-8 bytes. UTF-16 has another order only for surrogates, which stand for code points above
 * the others.
 */
export function compareNames(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return byteRank(a) - byteRank(b);
  }
  return one.length - other.length;
}

const byteRank = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);

export class SortedNames {
  readonly #names: string[];

  constructor(names: Iterable<string>) {
    this.#names = [...names].sort(compareNames);
  }

  add(name: string): void {
    const at = this.#position(name);
    if (this.#names[at] !== name) this.#names.splice(at, 0, name);
  }

  delete(name: string): void {
    const at = this.#position(name);
    if (this.#names[at] === name) this.#names.splice(at, 1);
  }

  /** At most `limit` names that begin with `prefix` and come after `after`. */
  page(prefix: string, after: string, limit: number): string[] {
    let at = this.#position(prefix);
    if (compareNames(after, prefix) >= 0) {
      at = this.#position(after);
      if (this.#names[at] === after) at++;
    }
    const found: string[] = [];
    for (; at < this.#names.length && found.length < limit; at++) {
      const name = this.#names[at]!;
      if (!name.startsWith(prefix)) break;
      found.push(name);
    }
    return found;
  }

  /** The position of the first name that is not before `name`. */
  #position(name: string): number {
    let [low, high] = [0, this.#names.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames(this.#names[middle]!, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
