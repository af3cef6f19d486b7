/**
 * What a leader does before it refuses a change because of the end of a log. A follower can show records that a leader with a slow
 * disk has not applied yet: they are on the disks of a majority without it. Once the leader has confirmed itself, it has applied them.
 */
import { defaultLog } from "../../../lib/names/log-name.ts";
import type { LogTable } from "../../../log/mod.ts";
import type { Bounds, LogRef, Offset } from "../../../types.ts";
import type { Appender } from "../../append/appender.ts";

export interface AppliedEndPorts {
  readonly table: () => Pick<LogTable, "named">;
  /** The committed extent of `default`. */
  readonly bounds: () => Bounds;
  readonly appender: Pick<Appender, "confirmed">;
}

/**
 * Resolves once the records of a log before `next` are applied here, or certainly are not there. To be called before the turn of
 * the log: in its turn, a change may wait for nothing.
 * @throws as Appender.confirmed()
 */
export async function endApplied(
  { appender, bounds, table }: AppliedEndPorts,
  { name }: LogRef,
  next: Offset,
): Promise<void> {
  const found = name === defaultLog ? bounds() : table().named(name);
  if (next > (found?.next ?? 0)) await appender.confirmed();
}
