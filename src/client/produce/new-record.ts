/**
 * Checks the records of an application, which can be written in JavaScript, and converts them to bytes.
 *
 *   bytes   := string (UTF-8) | ArrayBuffer | SharedArrayBuffer | any view, by its bytes
 *   headers := [{ key, value }, …] | { [key]: value }         a plain object
 *   record  := { value?, key?, headers? } | bytes (the value alone)
 */
import { Fault } from "../../fault.ts";

/** Bytes, or text that is encoded as UTF-8. */
export type BytesLike = Uint8Array | ArrayBufferView | ArrayBufferLike | string;

/** A record to append. All parts are optional and default to empty. */
export interface NewRecord {
  readonly value?: BytesLike | undefined;
  readonly key?: BytesLike | undefined;
  readonly headers?:
    | readonly { readonly key: string; readonly value: BytesLike }[]
    | Readonly<Record<string, BytesLike>>
    | undefined;
}

/** The parts of a record as bytes. */
export interface RecordBytes {
  readonly value: Uint8Array;
  readonly key: Uint8Array;
  readonly headers: readonly (readonly [key: Uint8Array, value: Uint8Array])[];
}

const encoder = new TextEncoder();
const empty = new Uint8Array(0);
const noHeaders: RecordBytes["headers"] = [];

/**
 * Returns the parts of a record. The bytes may be views of the memory of the application.
 * @throws Fault "bad-record" with the fact `field`
 */
export function recordBytesOf(record: NewRecord | BytesLike): RecordBytes {
  const input: unknown = record;
  const alone = bytesOf(input);
  if (alone !== undefined) return { value: alone, key: empty, headers: noHeaders };
  if (typeof input !== "object" || input === null || Array.isArray(input))
    throw wrong("record", input, recordForm);
  if (!("value" in input || "key" in input || "headers" in input) && !isEmptyObject(input)) {
    const names = Object.keys(input).slice(0, 5).join(", ");
    throw wrong("record", input, names === "" ? recordForm : `${recordForm}; it has the properties ${names}`);
  }
  const { value, key, headers } = record as NewRecord;
  return {
    value: value === undefined ? empty : requiredBytes("value", value),
    key: key === undefined ? empty : requiredBytes("key", key),
    headers: headers === undefined ? noHeaders : headersOf(headers),
  };
}

const bytesForm = "a string, an ArrayBuffer or a view of one, such as a Uint8Array";
const recordForm = `an object with value, key or headers, or the value itself: ${bytesForm}`;
const headersForm = "an array of { key, value } or an object of names and values";

function headersOf(headers: unknown): RecordBytes["headers"] {
  if (Array.isArray(headers)) return headers.map(headerOf);
  // Only plain objects: the entries of a Map or of Headers are not properties and would be lost.
  if (!isPlainObject(headers)) throw wrong("headers", headers, headersForm);
  return Object.entries(headers).map(
    ([key, value]) => [text("headers", key), requiredBytes(`headers.${key}`, value)] as const,
  );
}

function isPlainObject(input: unknown): input is Readonly<Record<string, unknown>> {
  if (typeof input !== "object" || input === null) return false;
  const prototype: unknown = Object.getPrototypeOf(input);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const isEmptyObject = (input: object): boolean => isPlainObject(input) && Object.keys(input).length === 0;

function headerOf(header: unknown, at: number): readonly [Uint8Array, Uint8Array] {
  const field = `headers[${at}]`;
  if (typeof header !== "object" || header === null) throw wrong(field, header, "an object { key, value }");
  const { key, value } = header as { readonly key?: unknown; readonly value?: unknown };
  if (typeof key !== "string") throw wrong(`${field}.key`, key, "a string");
  return [text(`${field}.key`, key), requiredBytes(`${field}.value`, value)];
}

function requiredBytes(field: string, input: unknown): Uint8Array {
  const bytes = bytesOf(input, field);
  if (bytes === undefined) throw wrong(field, input, bytesForm);
  return bytes;
}

/** Returns the bytes of text, a view or a buffer; undefined for anything else. */
function bytesOf(input: unknown, field = "value"): Uint8Array | undefined {
  if (typeof input === "string") return text(field, input);
  if (input instanceof Uint8Array) return input;
  try {
    if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    if (isBuffer(input)) return new Uint8Array(input);
  } catch (cause) {
    throw new Fault("bad-record", {
      message: `${field} is a buffer that cannot be read, for example a detached one`,
      facts: { field },
      cause,
    });
  }
  return undefined;
}

/** Not instanceof: a buffer from another realm, such as an iframe, has a class of its own. */
function isBuffer(input: unknown): input is ArrayBufferLike {
  const tag = Object.prototype.toString.call(input);
  return tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]";
}

/** Encodes text as UTF-8. A lone surrogate has no encoding, and TextEncoder would replace it silently. */
function text(field: string, input: string): Uint8Array {
  if (!input.isWellFormed()) {
    throw new Fault("bad-record", {
      message: `${field} contains a lone surrogate, which UTF-8 cannot encode; send bytes instead`,
      facts: { field },
    });
  }
  return encoder.encode(input);
}

function wrong(field: string, found: unknown, expected: string): Fault {
  return new Fault("bad-record", {
    message: `${field} must be ${expected}, found ${describe(found)}`,
    facts: { field },
  });
}

/** Describes the type of a value. The value itself can be confidential. */
function describe(found: unknown): string {
  if (found === null || found === undefined) return String(found);
  if (Array.isArray(found)) return "an array";
  if (typeof found !== "object") return `a ${typeof found}`;
  return `an object (${Object.prototype.toString.call(found).slice(8, -1)})`;
}
