/** What one client knows to be committed. Reads in mode "session" see at least this. */
import type { Appended, Offset } from "../types.ts";

export class Session {
  #next: Offset = 0;

  /** One past the highest offset that is known to be committed. It never decreases. */
  get next(): Offset {
    return this.#next;
  }

  appended({ firstOffset, count }: Appended): void {
    this.observed(firstOffset + count);
  }

  /** Records that everything before `next` is committed. */
  observed(next: Offset): void {
    if (next > this.#next) this.#next = next;
  }
}
