/**
 * How fresh the reads of a call must be: as the call states, otherwise as the client was opened. What the call has seen replaces
 * what the client was opened with, in either form. What the session has learned since replaces that too. Pure.
 */
import type { Freshness, SeenPlace } from "../types.ts";
import type { Seen } from "./session.ts";

/**
 * `usual` is that of the client, `stated` that of the call; an option that is undefined is not stated. `known` is what the session
 * knows. A place in the Raft log is for named logs only.
 */
export function callFreshness(
  usual: Freshness,
  stated: Freshness,
  known: Seen,
  isDefault: boolean,
): Freshness {
  const own: Freshness = Object.fromEntries(
    Object.entries(stated).filter(([, value]) => value !== undefined),
  );
  const { seen, seenOffset, ...rest } = usual;
  const isSeenStated = own.seen !== undefined || own.seenOffset !== undefined;
  const usesPlace = seen !== undefined && !isSeenStated && !isDefault && !isReached(seen, known);
  const usesOffset = seenOffset !== undefined && !isSeenStated && seenOffset >= known.next;
  return { ...rest, ...(usesPlace ? { seen } : {}), ...(usesOffset ? { seenOffset } : {}), ...own };
}

/** Whether what is known reaches as far as a place, or cannot be compared with it. */
const isReached = (seen: SeenPlace, { next, place }: Seen): boolean =>
  place === undefined ? next > 0 : place.life !== seen.life || place.index >= seen.index;
