/**
 * Encodes and decodes requests between nodes as peer frames. Pure.
 *
 *   head := [id verb remainingMs count subject traceparent expectedOffset producer (log (stream))]
 *           log: of a named log; stream := [name epoch sequence order closes], null for what is absent
 *   body := the records of an append; otherwise one MessagePack value
 *
 * A deadline is sent as the milliseconds that remain, because the clocks of two nodes differ.
 */
import { Fault } from "../../fault.ts";
import { type StreamHead, streamTextBytesMax } from "../../lib/stream-head.ts";
import { batchRecordsMax, runBytesMax, walkRecords } from "../../log/mod.ts";
import { isWhole, pack, unpackChecked } from "../../replication/mod.ts";
import type { AppendOptions, LogChange, Offset, ProducerStamp, RecordRun } from "../../types.ts";
import { changeToValue, refFromValue, refToValue } from "./log-change-codec.ts";
import { type EncodedPeerFrame, encodePeerFrame, malformed, type PeerFrame } from "./peer-frame.ts";
import { packPlain } from "./plain-value.ts";

/** Verbs that the log serves. A PeerService serves all others. */
export const appendVerb = "append";
export const trimVerb = "trim";
/** A change of a named log. */
export const changeVerb = "log";

/** A request to send. */
export interface PeerRequest {
  readonly verb: string;
  /** Of these, log, producer, expectedOffset, subject and traceparent are sent. */
  readonly options: AppendOptions;
  readonly body: readonly Uint8Array[];
  /** Number of records of an append; otherwise 0. */
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

export const changeRequest = (change: LogChange, options: AppendOptions): PeerRequest => ({
  verb: changeVerb,
  options,
  body: [packPlain(changeToValue(change))],
  count: 0,
});

/** @throws Fault "bad-request" if `value` is not a plain value: lists, maps, text, numbers, booleans, null, bytes */
export function valueRequest(verb: string, value: unknown): PeerRequest {
  return { verb, options: {}, body: [packPlain(value)], count: 0 };
}

/** @throws Fault "too-large" if the head or body exceeds the limit of a request frame */
export function encodeRequest(id: number, request: PeerRequest, remainingMs: number): EncodedPeerFrame {
  const { verb, options, body, count } = request;
  const { log, producer, expectedOffset, subject, traceparent, stream } = options;
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
    ...(log === undefined ? [] : [refToValue(log)]),
    ...(log === undefined || stream === undefined ? [] : [streamToValue(stream)]),
  ];
  return encodePeerFrame("request", pack(head), body);
}

/** A request from a peer. Its records are not checked yet. */
export interface ReceivedRequest {
  readonly id: number;
  readonly verb: string;
  readonly remainingMs: number;
  readonly count: number;
  readonly options: AppendOptions;
  readonly body: Uint8Array;
}

/** @throws Fault "bad-request" if the head is not that of a request */
export function decodeRequest({ head, body }: PeerFrame): ReceivedRequest {
  const { value } = unpackChecked(head);
  if (!Array.isArray(value) || value.length < 8 || value.length > 10) throw malformed("head");
  const [id, verb, remainingMs, count, subject, traceparent, expectedOffset, stamp, ref, streamHead] =
    value as unknown[];
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
  const producer = stamp === null ? undefined : decodeStamp(stamp);
  const log = refFromValue(ref);
  if (ref !== undefined && log === undefined) throw malformed("head");
  const stream = streamHead === undefined ? undefined : decodeStream(streamHead);
  const options = {
    ...(log === undefined ? {} : { log }),
    ...(producer === undefined ? {} : { producer }),
    ...(stream === undefined ? {} : { stream }),
    ...(expectedOffset === null ? {} : { expectedOffset }),
    ...(subject === null ? {} : { subject }),
    ...(traceparent === null ? {} : { traceparent }),
  };
  return { id, verb, remainingMs, count, options, body };
}

/**
 * Returns the records of an append after the checks that records from a client get.
 * @throws Fault "bad-record" for invalid records, "bad-request" if their number is not the announced one
 */
export function decodeRecords({ body, count, options }: ReceivedRequest): RecordRun {
  // A close of a stream has no records.
  if (count === 0 && body.length === 0 && options.stream?.closes === true) return { bytes: body, count };
  const run = walkRecords(body, { recordBytesMax: runBytesMax, recordsMax: batchRecordsMax });
  if (run.count !== count) {
    throw new Fault("bad-request", {
      message: `the request has ${run.count} records, its head says ${count}`,
    });
  }
  return run;
}

/** @throws Fault "bad-request" if the body is not one MessagePack value */
export function decodeValue({ body }: Pick<ReceivedRequest, "body">): unknown {
  const { ok, value } = unpackChecked(body);
  if (!ok) throw new Fault("bad-request", { message: "the body of the request is not a MessagePack value" });
  return value;
}

function decodeStamp(value: unknown): ProducerStamp {
  const [subject, id, epoch, sequence] = Array.isArray(value) ? (value as unknown[]) : [];
  const valid =
    typeof subject === "string" &&
    typeof id === "string" &&
    /^\d{1,20}$/.test(id) &&
    BigInt(id) < 2n ** 64n &&
    isWhole(epoch) &&
    epoch < 2 ** 32 &&
    isWhole(sequence);
  if (!valid) throw malformed("head");
  return { subject, id: BigInt(id), epoch, sequence };
}

const streamToValue = ({ producer, order, closes }: StreamHead): unknown => [
  producer?.name ?? null,
  producer?.epoch ?? null,
  producer?.sequence ?? null,
  order ?? null,
  closes ?? false,
];

function decodeStream(value: unknown): StreamHead {
  const [name, epoch, sequence, order, closes] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!isStreamText(name) || !isStreamText(order) || typeof closes !== "boolean") throw malformed("head");
  if (name !== null && !(isWhole(epoch) && isWhole(sequence))) throw malformed("head");
  return {
    ...(name === null ? {} : { producer: { name, epoch: epoch as number, sequence: sequence as number } }),
    ...(order === null ? {} : { order }),
    ...(closes ? { closes } : {}),
  };
}

const isStreamText = (value: unknown): value is string | null =>
  value === null ||
  (typeof value === "string" && value !== "" && Buffer.byteLength(value) <= streamTextBytesMax);

const isTextOrNull = (value: unknown): value is string | null => value === null || typeof value === "string";
