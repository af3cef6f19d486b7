/**
 * Decodes the JSON bodies of the routes `POST /` and `GET /`.
 *
 *   POST /   {"record": {"value": base64?, "key": base64?, "headers": [{"key": text, "value": base64?}]?}}
 *   GET /    {"offset": 0 … 2^53−1}
 *
 * Unknown fields are ignored, and so are the offset, term and type that a client can send. Values are not coerced: a
 * string is not a number, and 1.0 is not an offset. Depth and number of values are checked before the body is parsed.
 */

import { Fault } from "../../fault.ts";
import type { Offset, RecordHeader, RecordParts } from "../../types.ts";
import { jsonLimits, scanJson } from "../request-limits/json-scan.ts";
import { quoted } from "./exchange/exchange.ts";
import { parseBase64 } from "./record-json.ts";

type Json = Readonly<Record<string, unknown>>;

const reject = (message: string, field?: string): never => {
  throw new Fault("bad-request", { message, ...(field === undefined ? {} : { facts: { field } }) });
};

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The parsed object of a body. */
export interface JsonBody {
  readonly tree: Json;
  /** Returns the text of a member of the outermost object as the client sent it; undefined if there is none. */
  textOf(member: string): string | undefined;
}

const limits = { ...jsonLimits, findDuplicate: true };

/**
 * Parses the object of a body.
 * @throws Fault "bad-request" if it is not a JSON object, "too-large" for too many values
 */
export function parseBody(body: Uint8Array): JsonBody {
  if (body.length === 0) reject("the body is empty, expected a JSON object");
  const shape = scanJson(body, limits);
  if (shape === undefined) return reject("the body is not valid JSON");
  let tree: unknown;
  try {
    tree = JSON.parse(utf8.decode(body));
  } catch {
    return reject("the body is not valid JSON");
  }
  if (!isObject(tree)) return reject("the body must be a JSON object");
  if (shape.duplicate !== undefined) reject(`the key "${shape.duplicate}" occurs twice in one object`);
  return {
    tree,
    textOf(member) {
      const span = shape.members.get(member);
      return span === undefined ? undefined : utf8.decode(body.subarray(span.start, span.end));
    },
  };
}

const valueHead = '{"record":{"value":"';
const valueTail = '"}}';

/**
 * Returns the record of a body that is exactly `{"record":{"value":"…"}}`, without parsing it; undefined for any other
 * body.
 */
export function valueRecordOf(body: Buffer): Partial<RecordParts> | undefined {
  if (body.length < valueHead.length + valueTail.length) return undefined;
  const text = body.toString("latin1");
  if (!text.startsWith(valueHead) || !text.endsWith(valueTail)) return undefined;
  const value = parseBase64(text.slice(valueHead.length, -valueTail.length));
  return value === undefined ? undefined : { value };
}

/** Returns the record of a `POST /`. */
export function recordOf({ tree }: JsonBody): Partial<RecordParts> {
  const record = tree["record"];
  if (record === undefined || record === null) return reject("record is missing", "record");
  return recordFrom(record, "record");
}

/** Returns the records of a `POST /logs/NAME`: those of `records`, or the one of `record`. */
export function recordsOf(body: JsonBody): {
  readonly records: readonly Partial<RecordParts>[];
  readonly isList: boolean;
} {
  const { record, records } = body.tree;
  if (records === undefined || records === null) {
    if (record === undefined || record === null)
      return reject('the body must be {"record":{…}} or {"records":[{…}, …]}', "record");
    return { records: [recordOf(body)], isList: false };
  }
  if (record !== undefined && record !== null)
    return reject("the body has both record and records", "records");
  if (!Array.isArray(records)) return reject("records must be a list", "records");
  return {
    records: records.map((each: unknown, at) => recordFrom(each, `records.${at}`)),
    isList: true,
  };
}

function recordFrom(record: unknown, field: string): Partial<RecordParts> {
  if (!isObject(record)) return reject(`${field} must be an object`, field);
  return {
    value: bytesOf(record["value"], `${field}.value`),
    key: bytesOf(record["key"], `${field}.key`),
    headers: headersOf(record["headers"], `${field}.headers`),
  };
}

/** Returns the offset of a `GET /` with a body. */
export function offsetOf({ tree, textOf }: JsonBody): Offset {
  const offset = tree["offset"];
  if (offset === undefined) return reject("offset is missing", "offset");
  if (typeof offset !== "number")
    return reject(`offset must be a whole number, not ${shown(offset)}`, "offset");
  return parseOffset(textOf("offset") ?? "");
}

/** Describes the value that was sent instead of a number. */
function shown(value: unknown): string {
  if (typeof value === "string")
    return value.length > 40 ? "a string" : `the string ${JSON.stringify(value)}`;
  if (value === null || typeof value === "boolean") return String(value);
  return Array.isArray(value) ? "a list" : "an object";
}

/**
 * Parses a whole number in 0 … 2^53−1.
 * @throws Fault "bad-request"
 */
export function parseOffset(text: string): Offset {
  const offset = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(offset)) return offset;
  const found = quoted(text);
  return reject(`offset must be a whole number in 0 to ${Number.MAX_SAFE_INTEGER}, not "${found}"`, "offset");
}

function bytesOf(value: unknown, field: string): Uint8Array {
  if (value === undefined || value === null) return new Uint8Array(0);
  if (typeof value !== "string") return reject(`${field} must be a base64 string`, field);
  // Line ends inside are accepted: base64(1) prints them.
  const bytes = parseBase64(withoutLineEnds(value));
  return bytes ?? reject(`${field} is not valid base64, which is in the standard alphabet and padded`, field);
}

/** Returns the text without CR and LF. A regular expression would create a string for each line. */
function withoutLineEnds(text: string): string {
  if (!text.includes("\n") && !text.includes("\r")) return text;
  const bytes = Buffer.from(text);
  let to = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte !== 0x0a && byte !== 0x0d) bytes[to++] = byte;
  }
  return bytes.toString("utf8", 0, to);
}

function headersOf(value: unknown, of: string): readonly RecordHeader[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return reject(`${of} must be a list`, of);
  return value.map((header: unknown, at): RecordHeader => {
    const field = `${of}.${at}`;
    if (!isObject(header)) return reject(`${field} must be an object`, field);
    const key = header["key"] ?? "";
    if (typeof key !== "string" || !key.isWellFormed()) return reject(`${field}.key must be text`, field);
    return { key, value: bytesOf(header["value"], `${field}.value`) };
  });
}
