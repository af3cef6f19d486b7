/**
 * The JSON bodies of chapter 1's routes: strict where a slip would lose data, lenient where the book is. Pure.
 *
 *   POST /   {"record": {"value": base64?, "key": base64?, "headers": [{"key": text, "value": base64?}]?}}
 *   GET /    {"offset": 0 … 2^53−1}
 *
 * Unknown fields are ignored, and so are the offset, term and type that a client may send along.
 *
 * Never: coerces: a string is no number and 1.0 is no offset.
 */
import { Fault } from "../fault.ts";
import type { NewRecord, RecordHeader } from "../log/mod.ts";
import type { Offset } from "../vocabulary.ts";
import { duplicateKey } from "./duplicate-keys.ts";
import { parseBase64 } from "./record-json.ts";

type Json = Readonly<Record<string, unknown>>;

const reject = (message: string, field?: string): never => {
  throw new Fault("bad-request", { message, ...(field === undefined ? {} : { facts: { field } }) });
};

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A whole number as it stood in the text, so that 1.0 and 1e2 and what exceeds 2^53 can be told apart. */
class NumberText {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

/** The object in a body. Throws Fault "bad-request". */
export function parseBody(body: Uint8Array): Json {
  if (body.length === 0) reject("the body is empty, expected a JSON object");
  let text: string;
  let tree: unknown;
  try {
    text = utf8.decode(body);
    // Numbers are kept as text. Node calls the reviver with the source of each.
    tree = JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
      typeof value === "number" ? new NumberText(context?.source ?? "") : value,
    );
  } catch {
    return reject("the body is not valid JSON");
  }
  if (!isObject(tree) || tree instanceof NumberText) return reject("the body must be a JSON object");
  const twice = duplicateKey(text);
  if (twice !== undefined) reject(`the key "${twice}" occurs twice in one object`);
  return tree;
}

const plainHead = '{"record":{"value":"';
const plainTail = '"}}';

/**
 * The record of a body that is `{"record":{"value":"…"}}` to the letter, as programs send it; undefined for any other,
 * which then is parsed. (Parsing with the source of each number costs ten times as much.)
 */
export function plainRecordOf(body: Buffer): NewRecord | undefined {
  if (body.length < plainHead.length + plainTail.length) return undefined;
  const text = body.toString("latin1");
  if (!text.startsWith(plainHead) || !text.endsWith(plainTail)) return undefined;
  const value = parseBase64(text.slice(plainHead.length, -plainTail.length));
  return value === undefined ? undefined : { value };
}

/** The record of a `POST /`. */
export function recordOf(body: Json): NewRecord {
  const record = body["record"];
  if (record === undefined || record === null) return reject("record is missing", "record");
  if (!isObject(record) || record instanceof NumberText) return reject("record must be an object", "record");
  return {
    value: bytesOf(record["value"], "record.value"),
    key: bytesOf(record["key"], "record.key"),
    headers: headersOf(record["headers"]),
  };
}

/** The offset of a `GET /` with a body. */
export function offsetOf(body: Json): Offset {
  const offset = body["offset"];
  if (offset === undefined) return reject("offset is missing", "offset");
  if (!(offset instanceof NumberText)) return reject("offset must be a whole number", "offset");
  return parseOffset(offset.source);
}

/** The text of a whole number in 0 … 2^53−1. Throws Fault "bad-request". */
export function parseOffset(text: string): Offset {
  const offset = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(offset)) return offset;
  return reject(`offset must be a whole number in 0 to ${Number.MAX_SAFE_INTEGER}`, "offset");
}

function bytesOf(value: unknown, field: string): Uint8Array {
  if (value === undefined || value === null) return new Uint8Array(0);
  if (typeof value !== "string") return reject(`${field} must be a base64 string`, field);
  // Line ends inside are let pass, as the book's server does: base64(1) prints them.
  const bytes = parseBase64(value.replace(/[\r\n]/g, ""));
  return bytes ?? reject(`${field} is not valid base64, which is in the standard alphabet and padded`, field);
}

function headersOf(value: unknown): readonly RecordHeader[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return reject("record.headers must be a list", "record.headers");
  return value.map((header: unknown, at): RecordHeader => {
    const field = `record.headers.${at}`;
    if (!isObject(header) || header instanceof NumberText) return reject(`${field} must be an object`, field);
    const key = header["key"] ?? "";
    if (typeof key !== "string" || !key.isWellFormed()) return reject(`${field}.key must be text`, field);
    return { key, value: bytesOf(header["value"], `${field}.value`) };
  });
}
