/**
 * What the client offers wherever it runs.
 *
 * Never: imports anything of Node.
 */
export { Fault, type FaultKind } from "../fault.ts";
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
  RecordRun,
  Tail,
} from "../vocabulary.ts";
export { type Crc32, type LogRecord, recordsOf } from "./batch.ts";
/** The same as the whole client: what commands need of it. */
export type { TailraceClient as NodeClient } from "./client.ts";
export { type CommonOptions, type Platform, type ProducerSettings, TailraceClient } from "./client.ts";
export type { Connection, Dial } from "./connections.ts";
export { type ConsumeOptions, consume } from "./consume.ts";
export { faultOf } from "./fault-of.ts";
export type { ClientLimits } from "./limits.ts";
export type { LogClient } from "./log-client.ts";
export type { BytesLike, NewRecord } from "./new-record.ts";
export type { KnownServer } from "./picker.ts";
export type { ProduceStreamOptions } from "./produce-stream.ts";
export type { Producer, SendOptions } from "./producer.ts";
export type { ReadFrom } from "./read-from.ts";
export { encodeRun, type RecordHeader, type RecordParts, traceparentOf } from "./record.ts";
