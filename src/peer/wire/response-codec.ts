/**
 * Encodes and decodes responses to requests between nodes as peer frames. Pure.
 *
 *   head := [id succeeded]
 *   body := one MessagePack value: the result, or the fault
 */
import { Fault } from "../../fault.ts";
import { isWhole, pack, unpackChecked } from "../../replication/mod.ts";
import type { Appended, Offset } from "../../types.ts";
import { decodeFault, encodeFault } from "./fault-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "./peer-frame.ts";
import { packPlain } from "./plain-value.ts";

/** A response from a peer: `fault` is set if the request failed, otherwise `value` is the result. */
export interface PeerResponse {
  readonly id: number;
  readonly value: unknown;
  readonly fault: Fault | undefined;
}

/** Does not throw: a result that cannot be sent becomes a failure with the reason. */
export function encodeResponse(id: number, value: unknown): EncodedPeerFrame {
  try {
    return encodePeerFrame("response", pack([id, true]), [packPlain(value)]);
  } catch (reason) {
    return encodeFailure(id, reason);
  }
}

export const encodeFailure = (id: number, reason: unknown): EncodedPeerFrame =>
  encodePeerFrame("response", pack([id, false]), [pack(encodeFault(reason))]);

/** @throws Fault "bad-request" if the frame is not a valid response */
export function decodeResponse({ head, body }: PeerFrame): PeerResponse {
  const { value: fields } = unpackChecked(head);
  const [id, succeeded] = Array.isArray(fields) ? (fields as unknown[]) : [];
  const { ok, value } = unpackChecked(body);
  if (!isWhole(id) || typeof succeeded !== "boolean" || !ok) throw malformed("head");
  return succeeded ? { id, value, fault: undefined } : { id, value: undefined, fault: decodeFault(value) };
}

/** The result of an append as a plain value. */
export const appendedToValue = ({
  firstOffset,
  count,
  timestampMs,
  duplicate,
  logId,
  sequence,
}: Appended): unknown => [
  firstOffset,
  count,
  timestampMs,
  duplicate,
  ...(logId === undefined ? [] : [logId]),
  ...(logId === undefined || sequence === undefined ? [] : [sequence]),
];

/** @throws Fault "unknown" if `value` is not the result of an append: the records may have been written */
export function appendedFromValue(value: unknown): Appended {
  const [firstOffset, count, timestampMs, duplicate, logId, sequence] = Array.isArray(value)
    ? (value as unknown[])
    : [];
  if (!isWhole(firstOffset) || !isWhole(count) || !isWhole(timestampMs) || typeof duplicate !== "boolean") {
    throw invalidResult();
  }
  if (logId === undefined) return { firstOffset, count, timestampMs, duplicate };
  if (!isWhole(logId)) throw invalidResult();
  const appended = { firstOffset, count, timestampMs, duplicate, logId };
  if (sequence === undefined) return appended;
  if (!isWhole(sequence)) throw invalidResult();
  return { ...appended, sequence };
}

/** @throws Fault "unknown" if `value` is not an offset: the log may have been trimmed */
export function offsetFromValue(value: unknown): Offset {
  if (!isWhole(value)) throw invalidResult();
  return value;
}

const invalidResult = (): Fault =>
  new Fault("unknown", { message: "the peer's response is invalid", written: "unknown" });
