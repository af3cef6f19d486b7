/**
 * What one client knows to be committed: the highest offset it was acknowledged or has seen. Pure.
 *
 * Never: goes back.
 */
import type { Appended, Offset } from "../types.ts";

export class Session {
  #next: Offset = 0;

  /** One past the highest offset known to be committed. */
  get next(): Offset {
    return this.#next;
  }

  appended({ firstOffset, count }: Appended): void {
    this.saw(firstOffset + count);
  }

  /** Everything before `next` is committed. */
  saw(next: Offset): void {
    if (next > this.#next) this.#next = next;
  }
}
