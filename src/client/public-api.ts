/** What the client library exports on every platform. It must not import a module of Node.js: browsers load it. */
export { Fault, type FaultKind } from "../fault.ts";
export type { LogSpace, SpaceUse } from "../lib/disk/space-use.ts";
export type {
  Appended,
  AppendOptions,
  BatchSlice,
  Bounds,
  CommitLog,
  Freshness,
  LogDescription,
  Offset,
  ProducerStamp,
  ReadMode,
  ReadStart,
  RecordHeader,
  RecordParts,
  RecordRun,
  Tail,
} from "../types.ts";
export type { Connection, Dial } from "./calls/connections.ts";
export { faultOf } from "./calls/fault-of.ts";
export type { KnownServer } from "./calls/node-picker.ts";
export {
  type CommonOptions,
  type OpenLogOptions,
  type Platform,
  type Rpcs,
  TailraceClient,
} from "./client.ts";
export { type ConsumeOptions, consume } from "./consume/consume.ts";
export type { FilterPosition } from "./consume/filtered-tail.ts";
export type { ReadFrom } from "./consume/read-from.ts";
export { type Crc32, type LogRecord, recordsOf } from "./consume/record-batch.ts";
export type { CursorConsumeOptions } from "./cursors/consume-cursor.ts";
export type {
  CommitOptions,
  CursorCallOptions,
  CursorDescription,
  DeleteCursorOptions,
  LogCursor,
} from "./cursors/log-cursor.ts";
export type { ClientLimits } from "./limits.ts";
export type { LogClient } from "./log-client.ts";
export type { LogOptions, LogOptionsChange, NamedLogInfo } from "./logs/log-options.ts";
export type {
  ChangeLogOptions,
  CreateLogOptions,
  ListLogsOptions,
  LogCallOptions,
  LogsClient,
} from "./logs/logs-client.ts";
export type { TailedLog, TailedRecord, TailLogsOptions, TailPosition } from "./logs/logs-tail.ts";
export type { BytesLike, NewRecord } from "./produce/new-record.ts";
export type { ProduceStreamOptions } from "./produce/produce-stream.ts";
export type { Producer, SendOptions } from "./produce/producer.ts";
export type { ProducerSettings } from "./produce/producer-settings.ts";
export { encodeRun, traceparentOf } from "./record-codec.ts";
export type { TokenOption } from "./token-interceptor.ts";
