/**
 * Converts between the messages of the contract and the types of the log: bigint to number, Record to run, record of a
 * slice to Record.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import {
  type ConsumeRequest,
  type Producer,
  ReadMode,
  type Record as RecordMessage,
  type RecordSchema,
} from "../../gen/log/v1/log_pb.js";
import { namedLogOf } from "../../lib/names/log-name.ts";
import { decodeRecord, encodeRun, type RecordCursor, type RecordLimits, walkRecords } from "../../log/mod.ts";
import type {
  Freshness,
  ReadMode as Mode,
  ProducerStamp,
  ReadStart,
  RecordRun,
  SeenPlace,
} from "../../types.ts";
import { parseSeenToken } from "./logs/seen-token.ts";
import type { ReadPlan } from "./read.ts";

/**
 * Converts a 64-bit number of a request. `field` is its name in the request, for the message.
 * @throws Fault "bad-request" above 2^53 − 1
 */
export function numberOf(value: bigint, field: string): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new Fault("bad-request", {
    message: `${field} is ${value}, the largest possible is ${Number.MAX_SAFE_INTEGER}`,
    facts: { field },
  });
}

/**
 * Encodes records as a run.
 * @throws Fault "too-large", "bad-record"
 */
export function runOf(records: readonly RecordMessage[], limits: RecordLimits): RecordRun {
  return walkRecords(encodeRun(records).bytes, limits);
}

/** Returns the producer stamp of a request, undefined if it has none. */
export function stampOf(producer: Producer | undefined, subject: string): ProducerStamp | undefined {
  if (producer === undefined) return undefined;
  const sequence = numberOf(producer.sequence, "producer.sequence");
  return { subject, id: producer.id, epoch: producer.epoch, sequence };
}

const modes: Readonly<Record<ReadMode, Mode>> = {
  [ReadMode.UNSPECIFIED]: "session",
  [ReadMode.LINEARIZABLE]: "linearizable",
  [ReadMode.SESSION]: "session",
  [ReadMode.BOUNDED]: "bounded",
  [ReadMode.ANY]: "any",
};

/**
 * Returns how fresh the read must be.
 * @throws Fault "bad-request" for an unknown read mode
 */
export function freshnessOf(request: ConsumeRequest, deadlineMs: number | undefined): Freshness {
  const mode = modes[request.readMode] as Mode | undefined;
  if (mode === undefined) {
    throw new Fault("bad-request", {
      message: `read_mode ${request.readMode} is unknown`,
      facts: { field: "read_mode" },
    });
  }
  const seen = numberOf(request.seenOffset, "seen_offset");
  return {
    mode,
    ...(request.seenToken === "" ? (seen === 0 ? {} : { seenOffset: seen }) : { seen: seenOf(request) }),
    ...(request.maxStalenessMs === 0 ? {} : { maxStalenessMs: request.maxStalenessMs }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
}

/** @throws Fault "bad-request", also for `default`, whose sessions state an offset */
function seenOf({ log, seenToken }: ConsumeRequest): SeenPlace {
  if (namedLogOf(log) !== undefined) return parseSeenToken(seenToken);
  throw new Fault("bad-request", {
    message: 'seen_token is for named logs, the log "default" has seen_offset',
    facts: { field: "seen_token" },
  });
}

/** Returns where the read starts. */
export function startOf({ offset, start }: ConsumeRequest): ReadStart {
  switch (start.case) {
    case "fromTimeMs":
      return { fromTimeMs: numberOf(start.value, "from_time_ms") };
    case "last":
      return { last: numberOf(start.value, "last") };
    case "fromEnd":
      return start.value ? { end: true } : { offset: numberOf(offset, "offset") };
    case undefined:
      return { offset: numberOf(offset, "offset") };
  }
}

/** Converts a request for a stream to a plan. */
export function planOf(request: ConsumeRequest, deadlineMs: number | undefined): ReadPlan {
  const end = request.endOffset;
  return {
    start: startOf(request),
    limits: {
      recordsMax: numberOf(request.maxRecords, "max_records"),
      bytesMax: numberOf(request.maxBytes, "max_bytes"),
      endOffset: end === undefined ? undefined : numberOf(end, "end_offset"),
    },
    stopAtEnd: request.stopAtEnd,
    freshness: freshnessOf(request, deadlineMs),
  };
}

/** Converts the record at the cursor to a message. Its byte arrays are views of the slice. */
export function recordAt(cursor: RecordCursor): MessageInitShape<typeof RecordSchema> {
  const { value, key, headers } = decodeRecord(cursor.frames, cursor.start, cursor.end);
  return {
    value,
    key,
    headers: headers as { key: string; value: Uint8Array }[],
    offset: BigInt(cursor.offset),
    term: BigInt(cursor.term),
    timestampMs: BigInt(cursor.timestampMs),
  };
}
