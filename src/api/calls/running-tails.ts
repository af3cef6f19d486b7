/** The tails among the calls in progress: which of them read a log, and how far each of them is. */
import { Largest } from "../../lib/collections/largest.ts";
import type { Tail } from "../../types.ts";
import type { MethodPermission } from "./method-permissions.ts";

/** What a call reads: the log that is its object, or several logs. */
export type TailOfCall =
  | { readonly of: Pick<Tail, "position"> }
  | { readonly reads: (log: string) => boolean };

/** `sinceMs`: on the monotonic clock. */
export type CallTail = TailOfCall & { readonly sinceMs: number };

/** A call in progress, as far as it counts here. */
export interface TailingCall {
  readonly object: string | undefined;
  readonly subject: string;
  readonly permission: Pick<MethodPermission, "name">;
  readonly tail: CallTail | undefined;
}

export interface RunningTail {
  readonly subject: string;
  readonly method: string;
  /** Undefined for a tail of several logs. */
  readonly position: number | undefined;
  readonly sinceMs: number;
}

/**
 * Returns at most `limit` tails of a log, and how many there are. The one with the lowest position comes first; tails of several
 * logs come last. `object`: of the permission for the log.
 */
export function runningTails(
  calls: readonly TailingCall[],
  { log, object }: { readonly log: string; readonly object: string },
  limit: number,
): { readonly tails: readonly RunningTail[]; readonly count: number } {
  const first = new Largest<RunningTail>(limit);
  let count = 0;
  for (const call of calls) {
    const { tail } = call;
    if (tail === undefined || !("of" in tail ? call.object === object : tail.reads(log))) continue;
    count++;
    const position = "of" in tail ? tail.of.position : undefined;
    const found = {
      subject: call.subject,
      method: call.permission.name,
      position,
      sinceMs: tail.sinceMs,
    };
    first.add(position === undefined ? Number.NEGATIVE_INFINITY : -position, found);
  }
  return { tails: first.items, count };
}
