/** Logs what the recovery of a log changed, and a sync mode that can lose acknowledged records. */
import type { Logger } from "../../lib/telemetry.ts";
import type { SegmentedLog, SyncMode } from "../../log/mod.ts";

export function logRecovery(
  { cut, indexRebuilt, rewrittenBytes, scannedBytes }: SegmentedLog["recovery"],
  sync: SyncMode,
  logger: Logger,
): void {
  if (cut !== undefined) logger.warn({ ...cut }, "a torn write group was cut off and kept in a file");
  if (indexRebuilt) logger.warn({ scannedBytes }, "the index of the last segment was rebuilt");
  if (rewrittenBytes > 0) logger.info({ rewrittenBytes }, "the end of the log was made durable again");
  if (sync !== "always") logger.warn({ sync }, "appends are acknowledged before they are durable");
}
