/**
 * Requests as frames, and answers. Pure.
 *
 *   request := head [id verb remainingMs? options?]   body: the records of an append, else one packed value
 *   answer  := head [id ok]                           body: one packed value, or the fault
 *
 * A deadline travels as the milliseconds that are left, for the clocks of two nodes differ.
 *
 * Never: believes a run of records it has not walked.
 */
import { Fault } from "../../fault.ts";
import { batchRecordsMax, runBytesMax, walkRecords } from "../../log/mod.ts";
import { isAllowedMsgpack, pack, unpackChecked } from "../../replication/mod.ts";
import type { Appended, AppendOptions, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import { decodeFault, encodeFault } from "./fault-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "./peer-frame.ts";

/** Verbs of the log itself; all others are the PeerService's. */
export const appendVerb = "append";
export const trimVerb = "trim";

/** What is asked, without its id. */
export interface PeerRequest {
  readonly verb: string;
  /** As the log takes them; only what travels is read. */
  readonly options: AppendOptions;
  readonly body: readonly Uint8Array[];
  /** Of an append: the number of its records. */
  readonly count: number;
}

export const appendRequest = ({ bytes, count }: RecordRun, options: AppendOptions): PeerRequest => ({
  verb: appendVerb,
  options,
  body: [bytes],
  count,
});

export const trimRequest = (before: Offset, options: AppendOptions): PeerRequest => ({
  verb: trimVerb,
  options,
  body: [pack(before)],
  count: 0,
});

/** Throws Fault "bad-request" for what is no plain value: lists, maps, text, numbers, booleans and bytes are. */
export function valueRequest(verb: string, value: unknown): PeerRequest {
  return { verb, options: {}, body: [packPlain(value)], count: 0 };
}

/** Throws Fault "too-large". */
export function encodeRequest(id: number, question: PeerRequest, remainingMs: number): EncodedPeerFrame {
  const { verb, options, body, count } = question;
  const { producer, expectedOffset, subject, traceparent } = options;
  const stamp =
    producer === undefined
      ? null
      : [producer.subject, String(producer.id), producer.epoch, producer.sequence];
  const head = [
    id,
    verb,
    Math.max(0, Math.ceil(remainingMs)),
    count,
    subject ?? null,
    traceparent ?? null,
    expectedOffset ?? null,
    stamp,
  ];
  return encodePeerFrame("request", pack(head), body);
}

export interface Request {
  readonly id: number;
  readonly verb: string;
  readonly remainingMs: number;
  readonly count: number;
  readonly options: AppendOptions;
  readonly body: Uint8Array;
}

/** Throws Fault "bad-request" for what is no request. */
export function decodeRequest({ head, body }: PeerFrame): Request {
  const { value } = unpackChecked(head);
  if (!Array.isArray(value) || value.length !== 8) throw malformed("head");
  const [id, verb, remainingMs, count, subject, traceparent, expectedOffset, stamp] = value as unknown[];
  if (
    !isWhole(id) ||
    typeof verb !== "string" ||
    !isWhole(remainingMs) ||
    !isWhole(count) ||
    !isTextOrNull(subject) ||
    !isTextOrNull(traceparent) ||
    !(expectedOffset === null || isWhole(expectedOffset))
  ) {
    throw malformed("head");
  }
  const producer = stamp === null ? undefined : stampOf(stamp);
  const options = {
    ...(producer === undefined ? {} : { producer }),
    ...(expectedOffset === null ? {} : { expectedOffset }),
    ...(subject === null ? {} : { subject }),
    ...(traceparent === null ? {} : { traceparent }),
  };
  return { id, verb, remainingMs, count, options, body };
}

/** An append's records, looked at as if a client had sent them. Throws Fault "bad-record" and "bad-request". */
export function runOf({ body, count }: Request): RecordRun {
  const run = walkRecords(body, { recordBytesMax: runBytesMax, recordsMax: batchRecordsMax });
  if (run.count !== count) {
    throw new Fault("bad-request", { message: `${run.count} records came, ${count} were announced` });
  }
  return run;
}

/** The value that came with a request. Throws Fault "bad-request". */
export function valueIn({ body }: Pick<Request, "body">): unknown {
  const { ok, value } = unpackChecked(body);
  if (!ok) throw new Fault("bad-request", { message: "not a packed value" });
  return value;
}

/** Never throws: an answer that cannot travel becomes a fault. */
export function encodeAnswer(id: number, value: unknown): EncodedPeerFrame {
  try {
    return encodePeerFrame("answer", pack([id, true]), [packPlain(value)]);
  } catch (reason) {
    return encodeFailure(id, reason);
  }
}

export const encodeFailure = (id: number, reason: unknown): EncodedPeerFrame =>
  encodePeerFrame("answer", pack([id, false]), [pack(encodeFault(reason))]);

export interface Answer {
  readonly id: number;
  readonly value: unknown;
  readonly fault: Fault | undefined;
}

/** Throws Fault "bad-request" for what is no answer. */
export function decodeAnswer({ head, body }: PeerFrame): Answer {
  const { value: about } = unpackChecked(head);
  const [id, succeeded] = Array.isArray(about) ? (about as unknown[]) : [];
  const { ok, value } = unpackChecked(body);
  if (!isWhole(id) || typeof succeeded !== "boolean" || !ok) throw malformed("head");
  return succeeded ? { id, value, fault: undefined } : { id, value: undefined, fault: decodeFault(value) };
}

export const packAppended = ({ firstOffset, count, timestampMs, duplicate }: Appended): unknown => [
  firstOffset,
  count,
  timestampMs,
  duplicate,
];

/** What an append was answered with; Fault "unknown" when that makes no sense, for it may have been appended. */
export function unpackAppended(value: unknown): Appended {
  const [firstOffset, count, timestampMs, duplicate] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!isWhole(firstOffset) || !isWhole(count) || !isWhole(timestampMs) || typeof duplicate !== "boolean") {
    throw senseless();
  }
  return { firstOffset, count, timestampMs, duplicate };
}

export function unpackOffset(value: unknown): Offset {
  if (!isWhole(value)) throw senseless();
  return value;
}

const senseless = (): Fault =>
  new Fault("unknown", { message: "the peer's answer makes no sense", written: "unknown" });

function stampOf(value: unknown): ProducerStamp {
  const [subject, id, epoch, sequence] = Array.isArray(value) ? (value as unknown[]) : [];
  const sound =
    typeof subject === "string" &&
    typeof id === "string" &&
    /^\d{1,20}$/.test(id) &&
    BigInt(id) < 2n ** 64n &&
    isWhole(epoch) &&
    epoch < 2 ** 32 &&
    isWhole(sequence);
  if (!sound) throw malformed("head");
  return { subject, id: BigInt(id), epoch, sequence };
}

function packPlain(value: unknown): Uint8Array {
  let packed: Uint8Array | undefined;
  let cause: unknown;
  try {
    packed = pack(value);
  } catch (reason) {
    cause = reason;
  }
  if (packed !== undefined && isAllowedMsgpack(packed)) return packed;
  throw new Fault("bad-request", { message: "only plain values travel between peers", cause });
}

const isWhole = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const isTextOrNull = (value: unknown): value is string | null => value === null || typeof value === "string";
