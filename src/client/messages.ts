/**
 * Between the messages of the contract and the words of the house: bigint to number and back.
 *
 * Never: calls anything.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../fault.ts";
import {
  type ConsumeRequestSchema,
  type DescribeResponse,
  type ProduceBatchResponse,
  ReadMode,
} from "../gen/log/v1/log_pb.js";
import type { Appended, Freshness, LogDescription, ReadMode as Mode, Offset, ReadStart } from "../types.ts";

export type ConsumeInit = MessageInitShape<typeof ConsumeRequestSchema>;

/** A 64-bit number of an answer as a plain one. Throws Fault "unsupported-version" above 2^53 − 1. */
export function numberOf(value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new Fault("unsupported-version", { message: `the node answered ${value}, more than 2^53 − 1` });
}

/**
 * A number of the caller's as a request carries it. Throws Fault "bad-request" for what no offset, count or time can
 * be: nothing need be sent to know it.
 */
export function uint64Of(field: string, value: number): bigint {
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new Fault("bad-request", {
    message: `${field} must be a whole number from 0 to 2^53 − 1, not ${value}`,
    facts: { field },
  });
}

export function appendedOf(answer: ProduceBatchResponse, count: number): Appended {
  return {
    firstOffset: numberOf(answer.firstOffset),
    count,
    timestampMs: numberOf(answer.timestampMs),
    duplicate: answer.duplicate,
  };
}

const modes: Readonly<Record<Mode, ReadMode>> = {
  linearizable: ReadMode.LINEARIZABLE,
  session: ReadMode.SESSION,
  bounded: ReadMode.BOUNDED,
  any: ReadMode.ANY,
};

/** How fresh, as a request says it. `seen` is what this session has seen, if anything. */
export function freshnessInit(freshness: Freshness, seen: Offset | undefined): ConsumeInit {
  const { mode = "session", seenOffset = seen, maxStalenessMs } = freshness;
  if (!Object.hasOwn(modes, mode)) {
    throw new Fault("bad-request", {
      message: `mode must be one of ${Object.keys(modes).join(", ")}, not ${String(mode)}`,
      facts: { field: "mode" },
    });
  }
  return {
    readMode: modes[mode],
    ...(mode === "session" && seenOffset !== undefined
      ? { seenOffset: uint64Of("seenOffset", seenOffset) }
      : {}),
    ...(maxStalenessMs === undefined
      ? {}
      : { maxStalenessMs: Number(uint64Of("maxStalenessMs", maxStalenessMs)) }),
  };
}

/** Where to start, as a request says it. */
export function startInit(start: ReadStart): ConsumeInit {
  if ("offset" in start) return { offset: uint64Of("offset", start.offset) };
  if ("last" in start) return { start: { case: "last", value: uint64Of("last", start.last) } };
  if ("end" in start) return { start: { case: "fromEnd", value: true } };
  return {
    start: { case: "fromTimeMs", value: uint64Of("fromTimeMs", Math.max(0, Math.ceil(start.fromTimeMs))) },
  };
}

export function descriptionOf(answer: DescribeResponse): LogDescription {
  return {
    lowest: numberOf(answer.lowestOffset),
    next: numberOf(answer.nextOffset),
    bytes: numberOf(answer.bytes),
    segments: answer.segments.map((segment) => ({
      baseOffset: numberOf(segment.baseOffset),
      nextOffset: numberOf(segment.nextOffset),
      bytes: numberOf(segment.bytes),
      indexEntries: numberOf(segment.indexEntries),
      sealed: segment.sealed,
      firstTimestampMs: numberOf(segment.firstTimestampMs),
      lastTimestampMs: numberOf(segment.lastTimestampMs),
    })),
    sync: answer.sync,
    diskFreeBytes: numberOf(answer.diskFreeBytes),
  };
}
