/**
 * Names in the order of their UTF-8 bytes, for pages of a list. They are kept in pieces, so that a change moves the names of one
 * piece only: a merge of all names would hold the event loop. Pure.
 */
import { compareNames } from "../../lib/names/name-order.ts";

/** A piece of more names is divided in two. */
const pieceMax = 512;

export class SortedNames {
  /** In order. None is empty. */
  readonly #pieces: string[][] = [];

  /** Adds a name that is not there. */
  add(name: string): void {
    const pieces = this.#pieces;
    const ordinal = Math.max(0, this.#pieceOf(name));
    const piece = pieces[ordinal];
    if (piece === undefined) {
      pieces.push([name]);
      return;
    }
    piece.splice(positionIn(piece, name), 0, name);
    if (piece.length > pieceMax) pieces.splice(ordinal + 1, 0, piece.splice(pieceMax >>> 1));
  }

  /** Removes a name, if it is there. */
  remove(name: string): void {
    const ordinal = this.#pieceOf(name);
    const piece = this.#pieces[ordinal];
    if (piece === undefined) return;
    const at = positionIn(piece, name);
    if (piece[at] !== name) return;
    piece.splice(at, 1);
    if (piece.length === 0) this.#pieces.splice(ordinal, 1);
  }

  /** The names that begin with `prefix` and come after `after`. None may be added or removed meanwhile. */
  *from(prefix: string, after: string): Generator<string> {
    const isAfter = compareNames(after, prefix) >= 0;
    const first = isAfter ? after : prefix;
    let ordinal = Math.max(0, this.#pieceOf(first));
    let at = positionIn(this.#pieces[ordinal] ?? [], first);
    if (isAfter && this.#pieces[ordinal]?.[at] === after) at++;
    for (; ordinal < this.#pieces.length; ordinal++, at = 0) {
      const piece = this.#pieces[ordinal]!;
      for (; at < piece.length; at++) {
        const name = piece[at]!;
        if (!name.startsWith(prefix)) return;
        yield name;
      }
    }
  }

  /** The last piece that begins at or before the name; −1 if there is none. */
  #pieceOf(name: string): number {
    const pieces = this.#pieces;
    let [low, high] = [0, pieces.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareNames(pieces[middle]![0]!, name) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** The position of the first name that is not before `name`. */
function positionIn(names: readonly string[], name: string): number {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(names[middle]!, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
