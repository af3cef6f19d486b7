/**
 * The log room: batches as frames on disk, and the commit log of one node. FORMAT.md has the bytes.
 */

export {
  AppendQueue,
  answer,
  type QueuedGroup,
  type QueueLimits,
} from "./append-queue.ts";
export type { LogStart } from "./catalog.ts";
export { checkCatalogFile } from "./catalog-file.ts";
export type { ChainEnd } from "./chain.ts";
export { chainStart, checkLink, endOfFrame, scanStore } from "./chain.ts";
export * from "./command.ts";
export { diskFault, isRefusal } from "./disk-fault.ts";
export * from "./frame.ts";
export { GroupBuilder, runBytesMax, type SealedGroup } from "./group-builder.ts";
export { LocalLog, type LocalLogOptions } from "./local-log.ts";
export { checkLogStart } from "./log-start.ts";
export { checkOffsetsLeft, initialOffsetMax } from "./offset-limit.ts";
export { checkPayload } from "./payload.ts";
export { keyOf, type ProducedBatch } from "./producers.ts";
export { outOfRange } from "./reader.ts";
export * from "./record.ts";
export { withHeader } from "./record-header.ts";
export * from "./record-walk.ts";
export { repairLog } from "./repair.ts";
export { defaultReserveBytes, Reserve } from "./reserve.ts";
export { nextExpiryMs, retentionOffset } from "./retention.ts";
export { SegmentedLog, type SegmentedLogOptions } from "./segmented-log.ts";
export { emptyCheckpoint, LogState } from "./state.ts";
export { type SyncMode, SyncPolicy, syncModeText } from "./sync-policy.ts";
export { LogTail } from "./tail.ts";
export {
  compareLogs,
  type Finding,
  type LogPlace,
  type VerifyReport,
  verifyLog,
} from "./verify.ts";
