/**
 * What one client knows to be committed in a log. Reads in mode "session" see at least this.
 *
 * For `default` that is an offset. For a named log it is also a place in the Raft log, `s<life>.<index>` in requests: the token
 * of a response, or the index of a batch that was read. A place is never waited for if it does not exist.
 */
import type { Appended, Offset, SeenPlace } from "../types.ts";

/** Everything before `next` is committed. A node that has reached `place` shows it; undefined if only the offset is known. */
export interface Seen {
  readonly next: Offset;
  readonly place: SeenPlace | undefined;
}

const nothing: Seen = { next: 0, place: undefined };

export class Session {
  #seen: Seen = nothing;

  /** What is known. Its offset never decreases. */
  get seen(): Seen {
    return this.#seen;
  }

  /** One past the highest offset that is known to be committed. */
  get next(): Offset {
    return this.#seen.next;
  }

  /** `token`: of the response. A node that has not applied the append yet sends none. */
  appended({ firstOffset, count }: Appended, token: string | undefined): void {
    this.observed({ next: firstOffset + count, place: placeOf(token) });
  }

  observed(seen: Seen): void {
    this.#seen = later(this.#seen, seen);
  }
}

/** The one that reaches further. With a place if both end at the same offset. */
export function later(one: Seen, other: Seen): Seen {
  if (one.next !== other.next) return one.next > other.next ? one : other;
  return one.place === undefined ? other : one;
}

/** The text of a place in a request. */
export const tokenOf = ({ life, index }: SeenPlace): string => `s${life}.${index}`;

/** The place of a token; undefined for anything else. */
function placeOf(token: string | undefined): SeenPlace | undefined {
  const [, life, index] = /^s(\d{1,10})\.(\d{1,16})$/.exec(token ?? "") ?? [];
  const place = { life: Number(life), index: Number(index) };
  return Number.isSafeInteger(place.index) ? place : undefined;
}
