/**
 * Takes the records out of a ProduceBatchRequest without creating an object for each, so that Connect decodes only the
 * rest of the message. A binary message is read in one pass. JSON is read over several turns of the event loop: a batch
 * can hold 65,536 records, which takes long.
 */
import { fromJsonString } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import { ProduceBatchRequestSchema, type Record as RecordMessage } from "../../gen/log/v1/log_pb.js";
import { readVarint } from "../../lib/bytes.ts";
import {
  encodeRun,
  type RecordLimits,
  recordTag,
  skipField,
  storedRun,
  tooManyRecords,
  type Walk,
  walkElements,
  walkRecords,
} from "../../log/mod.ts";
import type { RecordRun } from "../../types.ts";
import { noTextNames } from "./json-names.ts";
import { type JsonShape, jsonLimits, scanJson } from "./json-scan.ts";
import { messageFieldsMax } from "./message-limits.ts";

export interface SplitAppend {
  readonly run: RecordRun;
  /** The message without its records. */
  readonly rest: Uint8Array;
}

/**
 * Splits a binary message. Returns undefined if its form is unusual: protobuf-es has to decode it then.
 * @throws Fault "bad-record" or "too-large" for its records
 */
export function splitBinary(message: Uint8Array, limits: RecordLimits): SplitAppend | undefined {
  const runs: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  const walk: Walk = { end: 0, count: 0, asIs: true };
  let count = 0;
  for (let at = 0; at < message.length; ) {
    if (message[at] === recordTag) {
      walkElements(message, at, message.length, limits, walk);
      count += walk.count;
      if (count > limits.recordsMax) throw tooManyRecords(limits.recordsMax);
      runs.push(storedRun(message, at, walk).bytes);
      at = walk.end;
      continue;
    }
    const next = skipField(message, at, message.length);
    // Field 1 with an unusual encoding of its tag.
    if (next < 0 || readVarint(message, at, next) >>> 3 === 1) return undefined;
    if (rest.push(message.subarray(at, next)) > messageFieldsMax) return undefined;
    at = next;
  }
  return { run: { bytes: joined(runs), count }, rest: joined(rest) };
}

const joined = (parts: readonly Uint8Array[]): Uint8Array =>
  parts.length === 1 ? parts[0]! : Buffer.concat(parts);

/** JSON values in one record. A header has three. */
export const elementValuesMax = 4096;
/** Records, and bytes of JSON, that are decoded in one turn of the event loop. */
const turnRecordsMax = 512;
const turnBytesMax = 64 * 1024;

/**
 * Splits a JSON message. Returns undefined if it is not valid JSON or holds no list of records: Connect has to decode it
 * then. `turn` resolves in a later turn of the event loop.
 * @throws Fault "bad-request", "bad-record" or "too-large", and the errors of protobuf-es for a record
 */
export async function splitJson(
  message: Uint8Array,
  limits: RecordLimits,
  turn: () => Promise<void>,
): Promise<SplitAppend | undefined> {
  const list = { name: "records", elementsMax: limits.recordsMax, elementValuesMax };
  const shape = scanJson(message, {
    ...jsonLimits,
    list,
    noText: noTextNames(ProduceBatchRequestSchema),
  });
  if (shape === undefined || shape.elements.length === 0) return undefined;
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  const { elements } = shape;
  const runs: Uint8Array[] = [];
  for (let at = 0; at < elements.length; ) {
    await turn();
    const first = at / 2;
    const from = elements[at]!;
    do at += 2;
    while (at < elements.length && at / 2 - first < turnRecordsMax && elements[at]! - from < turnBytesMax);
    const records = recordsOf(bytes, from, elements[at - 1]!);
    runs.push(numberedFrom(first, () => walkRecords(encodeRun(records).bytes, limits).bytes));
  }
  return { run: { bytes: joined(runs), count: elements.length / 2 }, rest: withoutRecords(bytes, shape) };
}

const ignoring = { ignoreUnknownFields: true };
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes some elements of the list, with the commas between them, as a request of their own. */
function recordsOf(bytes: Buffer, start: number, end: number): RecordMessage[] {
  const text = utf8.decode(bytes.subarray(start, end));
  return fromJsonString(ProduceBatchRequestSchema, `{"records":[${text}]}`, ignoring).records;
}

/** Runs `work` on the records from `first` on. A fault that it throws then numbers the record within the request. */
function numberedFrom(first: number, work: () => Uint8Array): Uint8Array {
  try {
    return work();
  } catch (reason) {
    const record = reason instanceof Fault ? reason.facts.record : undefined;
    if (!(reason instanceof Fault) || record === undefined || first === 0) throw reason;
    throw new Fault(reason.kind, {
      message: reason.message.replace(`record ${record} `, `record ${first + record} `),
      facts: { ...reason.facts, record: first + record },
    });
  }
}

/** Returns the text with an empty list in place of each list of records. */
function withoutRecords(bytes: Buffer, { lists }: JsonShape): Uint8Array {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const { start, end } of lists) {
    parts.push(bytes.subarray(from, start), Buffer.from("[]"));
    from = end;
  }
  return Buffer.concat([...parts, bytes.subarray(from)]);
}
