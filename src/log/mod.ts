/**
 * The log module: batches as frames, in segments on disk. It is the storage of a Raft node. FORMAT.md describes the bytes.
 */

export { AppendQueue, type QueuedVerdict, type QueueLimits, streamsIn } from "./append/append-queue.ts";
export { FairShares, type ShareOwner } from "./append/fair-shares.ts";
export { continuesSequence, runBytesMax } from "./append/group-builder.ts";
export {
  appendResult,
  type Barrier,
  type QueuedAppend,
  type QueuedGroup,
  type QueuedStream,
} from "./append/queued-group.ts";
export type { WriteGroup } from "./append/write-group.ts";
export type { ChainEnd, ChainLink } from "./frame/chain.ts";
export {
  chainStart,
  checkDefaultOffset,
  checkLink,
  defaultAfter,
  endAfter,
  linkOfFrame,
  scanStore,
  unknownOffset,
} from "./frame/chain.ts";
export * from "./frame/command.ts";
export { encodeCursorCommand } from "./frame/cursor-command.ts";
export * from "./frame/frame.ts";
export type { FrameGroup } from "./frame/frame-group.ts";
export {
  checkedSettings,
  cursorsLevel,
  encodeLogCommand,
  type ForkCommand,
  forkFrom,
  forksLevel,
  highestLevel,
  isOwner,
  logNameBytesMax,
  namedLogsLevel,
  settledLevel,
  tokensLevel,
} from "./frame/log-command.ts";
export { checkPayload } from "./frame/payload.ts";
export * from "./frame/record.ts";
export { withHeader } from "./frame/record-header.ts";
export { headerKeyTag, headersTag, keyTag } from "./frame/record-strip.ts";
export * from "./frame/record-walk.ts";
export {
  encodeStreamCommand,
  type StreamCommand,
  streamCommandOf,
  streamsLevel,
} from "./frame/stream-command.ts";
export type { SegmentedLogOptions } from "./log-options.ts";
export { checkOffsetsLeft, initialOffsetMax } from "./offset-limit.ts";
export type { OpenedStart, PackedProducers } from "./producers/opened-start.ts";
export { LogTail, type RecordReader, type TailedLog } from "./read/log-tail.ts";
export type { LogView } from "./read/log-view.ts";
export type { Preparation } from "./read/log-walk.ts";
export { type FollowedLogs, LogsTail } from "./read/logs-tail.ts";
export { outOfRange } from "./read/reader.ts";
export { compareLogs } from "./recovery/compare.ts";
export { checkLogStart, checkProducers, checkStartFields, checkStartRows } from "./recovery/log-start.ts";
export {
  type Finding,
  heldIn,
  type LogDirectory,
  type ScratchRows,
  type VerifyReport,
  verifyLog,
} from "./recovery/verify.ts";
export { repairLog } from "./repair/repair.ts";
export type { LogStart } from "./segment/catalog.ts";
export { checkCatalogFile } from "./segment/catalog-file.ts";
export { damagedRows } from "./segment/damage.ts";
export { diskFault, isRefusal } from "./segment/disk-fault.ts";
export { defaultBytesOf, nextExpiryMs, retentionOffset } from "./segment/retention.ts";
export { SegmentedLog } from "./segmented-log.ts";
export { SettledCheck } from "./settle/check-settled.ts";
export type { SettleReserve } from "./settle/settler-parts.ts";
export { settlePaceOf } from "./settle/start-settler.ts";
export { createCommand, updateCommand } from "./state/command-texts.ts";
export {
  cursorNameIn,
  cursorOverMs,
  cursorRowName,
} from "./state/cursor-row.ts";
export { FrameSequence } from "./state/frame-sequence.ts";
export {
  type CursorRow,
  isCursorRow,
  type LogRow,
  livedMs,
  ownLowest,
  rowAfter,
  shown,
  touchAfterMs,
  ttlOverMs,
} from "./state/log-row.ts";
export { emptyCheckpoint, LogState } from "./state/log-state.ts";
export type { LogTable } from "./state/log-table.ts";
export type { ProducedBatch } from "./state/produced-batch.ts";
export { producerKey } from "./state/producer-table.ts";
export { dueMsOf, reservedOwnerPrefix } from "./state/row-codec.ts";
export { settingDifferences } from "./state/setting-differences.ts";
export { checkOrder, checkProducer, streamAfter } from "./state/stream-state.ts";
export type { FlushTime } from "./write/flush-times.ts";
export { defaultReserveBytes, Reserve, releaseReserve, spaceText } from "./write/reserve.ts";
export { type SyncMode, SyncPolicy, syncModeText } from "./write/sync-policy.ts";
