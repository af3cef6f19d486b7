/**
 * The limits of offsets: 53 bits, as JSON and JavaScript represent larger integers wrongly. Pure.
 */
import { Fault } from "../fault.ts";
import type { Offset } from "../types.ts";

/** The largest first offset of a new log. It leaves as many offsets as it skips, 4.5 · 10^15. */
export const initialOffsetMax: Offset = 2 ** 52;
/** The offset after the last record that a log can hold. */
const nextOffsetMax: Offset = Number.MAX_SAFE_INTEGER;

/** @throws Fault "config" for a first offset that is not a whole number from 0 to initialOffsetMax */
export function checkInitialOffset(offset: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && offset <= initialOffsetMax) return;
  throw new Fault("config", {
    message: `the initial offset is ${offset}, it must be a whole number from 0 to ${initialOffsetMax}`,
    facts: { value: offset, low: 0, high: initialOffsetMax },
  });
}

/** @throws Fault "failed-precondition" if `records` records do not fit after `next` */
export function checkOffsetsLeft(next: Offset, records: number): void {
  if (next + records <= nextOffsetMax) return;
  throw new Fault("failed-precondition", {
    message: `the log has ${nextOffsetMax - next} offsets left, too few for ${records} records`,
    facts: { next, records, last: nextOffsetMax - 1 },
  });
}
