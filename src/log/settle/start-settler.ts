/** Starts the settler of a log, as its options say. */
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { Settler } from "./settler.ts";
import type { SettlePace, SettleReserve, SettlerParts } from "./settler-parts.ts";

const paceDefault: SettlePace = {
  gainMin: 0.3,
  gainMinFull: 0.1,
  mergedShare: 0.75,
  lookMs: 2,
  restMs: 40,
  firstPassMs: 5_000,
  nextPassMs: 30_000,
  retryMs: 10_000,
};
/** The pace of settling with so much time between two passes, in milliseconds. What is not in it keeps its default. */
export function settlePaceOf(intervalMs: number): Pick<SettlePace, "firstPassMs" | "nextPassMs" | "retryMs"> {
  const { firstPassMs, retryMs } = paceDefault;
  return {
    firstPassMs: Math.min(firstPassMs, intervalMs),
    nextPassMs: intervalMs,
    retryMs: Math.min(retryMs, intervalMs),
  };
}

/** If nothing is settled, the numbers are for operators only. */
const paceOfCounts: Partial<SettlePace> = { restMs: 100, nextPassMs: 60_000 };

/** See SegmentedLogOptions. */
export interface SettleSettings {
  readonly clock?: Clock;
  readonly settleBytesPerSecond?: number;
  readonly settleReserve?: SettleReserve;
  readonly settlePace?: Partial<SettlePace>;
  readonly countSpace?: boolean;
  readonly logger?: Logger;
}

/** Starts to settle, or only to count space, if that is asked for and there is a clock. */
export function startSettler(
  { clock, settleBytesPerSecond = 0, settleReserve, settlePace, countSpace, logger }: SettleSettings,
  parts: Omit<SettlerParts, "clock" | "bytesPerSecond" | "logger" | "reserve" | "pace">,
): Settler | undefined {
  const isSettled = settleBytesPerSecond > 0;
  if (clock === undefined || !(isSettled || countSpace === true)) return undefined;
  const pace = { ...paceDefault, ...(isSettled ? {} : paceOfCounts), ...settlePace };
  const settings = { clock, bytesPerSecond: settleBytesPerSecond, logger, pace };
  const settler = new Settler({ ...parts, ...settings, reserve: settleReserve });
  settler.start();
  return settler;
}
