/** Converts between the messages of the RPCs and the types of src/types.ts, and checks the numbers of the application. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../fault.ts";
import {
  type ConsumeRequestSchema,
  type DescribeResponse,
  type ProduceBatchResponse,
  ReadMode,
  type SpaceUse as SpaceMessage,
} from "../gen/log/v1/log_pb.js";
import type { SpaceUse } from "../lib/disk/space-use.ts";
import type { Appended, Freshness, LogDescription, ReadMode as Mode, ReadStart } from "../types.ts";
import { type Seen, tokenOf } from "./session.ts";

export type ConsumeInit = MessageInitShape<typeof ConsumeRequestSchema>;

/**
 * Converts a 64-bit number of a response.
 * @throws Fault "unsupported-version" above 2^53 − 1
 */
export function numberOf(value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new Fault("unsupported-version", { message: `the node sent ${value}, which is more than 2^53 − 1` });
}

/**
 * Converts an offset, a count or a time of the application for a request. `field` names it in the message.
 * @throws Fault "bad-request" if it is not a whole number from 0 to 2^53 − 1
 */
export function uint64Of(field: string, value: number): bigint {
  if (Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new Fault("bad-request", {
    message: `${field} must be a whole number from 0 to 2^53 − 1, not ${value}`,
    facts: { field },
  });
}

export function appendedOf(response: ProduceBatchResponse, count: number): Appended {
  return {
    firstOffset: numberOf(response.firstOffset),
    count,
    timestampMs: numberOf(response.timestampMs),
    duplicate: response.duplicate,
  };
}

const modes: Readonly<Record<Mode, ReadMode>> = {
  linearizable: ReadMode.LINEARIZABLE,
  session: ReadMode.SESSION,
  bounded: ReadMode.BOUNDED,
  any: ReadMode.ANY,
};

/**
 * Converts the freshness for a request. `known` is what the session knows.
 * @throws Fault "bad-request" for an unknown mode
 */
export function freshnessInit(freshness: Freshness, known: Seen): ConsumeInit {
  const { mode = "session", maxStalenessMs } = freshness;
  if (!Object.hasOwn(modes, mode)) {
    throw new Fault("bad-request", {
      message: `mode must be one of ${Object.keys(modes).join(", ")}, not ${String(mode)}`,
      facts: { field: "mode" },
    });
  }
  return {
    readMode: modes[mode],
    ...(mode === "session" ? seenInit(freshness, known) : {}),
    ...(maxStalenessMs === undefined
      ? {}
      : { maxStalenessMs: Number(uint64Of("maxStalenessMs", maxStalenessMs)) }),
  };
}

/** What a session states: what the application does, otherwise what it knows. */
function seenInit({ seen, seenOffset }: Freshness, { next, place }: Seen): ConsumeInit {
  if (seen !== undefined) return { seenToken: tokenOf(seen) };
  if (seenOffset !== undefined) return { seenOffset: uint64Of("seenOffset", seenOffset) };
  if (place !== undefined) return { seenToken: tokenOf(place) };
  return next === 0 ? {} : { seenOffset: uint64Of("seenOffset", next - 1) };
}

/**
 * Converts the start for a request.
 * @throws Fault "bad-request" if its number is not a whole number
 */
export function startInit(start: ReadStart): ConsumeInit {
  if ("offset" in start) return { offset: uint64Of("offset", start.offset) };
  if ("last" in start) return { start: { case: "last", value: uint64Of("last", start.last) } };
  if ("end" in start) return { start: { case: "fromEnd", value: true } };
  return {
    start: { case: "fromTimeMs", value: uint64Of("fromTimeMs", Math.max(0, Math.ceil(start.fromTimeMs))) },
  };
}

export function descriptionOf(response: DescribeResponse): LogDescription {
  return {
    lowest: numberOf(response.lowestOffset),
    next: numberOf(response.nextOffset),
    bytes: numberOf(response.bytes),
    segments: response.segments.map((segment) => ({
      baseOffset: numberOf(segment.baseOffset),
      nextOffset: numberOf(segment.nextOffset),
      bytes: numberOf(segment.bytes),
      indexEntries: numberOf(segment.indexEntries),
      sealed: segment.sealed,
      firstTimestampMs: numberOf(segment.firstTimestampMs),
      lastTimestampMs: numberOf(segment.lastTimestampMs),
    })),
    sync: response.sync,
    diskFreeBytes: numberOf(response.diskFreeBytes),
    ...(response.space === undefined ? {} : { space: spaceOf(response.space) }),
  };
}

function spaceOf(space: SpaceMessage): SpaceUse {
  const logs = (found: SpaceMessage["removed"]) =>
    found.map(({ name, bytes }) => ({ name, bytes: numberOf(bytes) }));
  return {
    bytes: numberOf(space.bytes),
    removedBytes: numberOf(space.removedBytes),
    deletedBytes: numberOf(space.deletedBytes),
    reclaimableBytes: numberOf(space.reclaimableBytes),
    removed: logs(space.removed),
    keeping: logs(space.keeping),
    ageMs: numberOf(space.ageMs),
  };
}
