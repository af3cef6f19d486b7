/**
 * Limits the work that one protobuf message causes. protobuf-es creates an object for each nested message and each
 * unknown field, so the fields are counted before it decodes them.
 *
 * A message larger than `uncheckedBytesMax` must also be well formed. A known field of another wire type, or a nested
 * message that passes its end, is refused: otherwise this count and the decoder could see different fields.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { Fault } from "../../fault.ts";
import { readVarint, varintEnd } from "../../lib/bytes.ts";

/** Fields of one message. The fields of nested messages count. */
export const messageFieldsMax = 32_768;
/** Messages and unknown groups nested in each other. */
const messageDepthMax = 32;
/** Largest message that is sent, in bytes: the default limit of gRPC clients. */
export const sentBytesMax = 4 * 1024 * 1024;
/** A message of at most so many bytes is decoded without a check. It cannot hold many fields. */
export const uncheckedBytesMax = 4096;

/**
 * Checks the fields of an encoded message.
 * @throws Fault "too-large" for too many fields, "bad-request" if the message is not well formed
 */
export function checkFields(message: DescMessage, bytes: Uint8Array): void {
  if (bytes.length > uncheckedBytesMax) new Count(bytes).message(message, 0, bytes.length, 0);
}

const wire = { varint: 0, fixed64: 1, delimited: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

class Count {
  readonly #bytes: Uint8Array;
  #fields = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(desc: DescMessage, start: number, end: number, depth: number): void {
    const fields = (number: number): DescField | undefined =>
      desc.fields.find((known) => known.number === number);
    if (depth > messageDepthMax) throw tooDeep();
    for (let at = start; at < end; ) {
      const tag = this.#tag(at, end);
      const field = fields(Math.floor(tag / 8));
      if (field !== undefined && !wireTypesOf(field).includes(tag % 8)) throw malformed();
      const next = this.#after(at, end, depth);
      if (field !== undefined && tag % 8 === wire.delimited) this.#inside(field, at, next, depth);
      at = next;
    }
  }

  /** Counts the content of the length-delimited field at `at`. */
  #inside(field: DescField, at: number, end: number, depth: number): void {
    const start = varintEnd(this.#bytes, varintEnd(this.#bytes, at, end), end);
    if (field.fieldKind === "map") this.#entry(field, start, end, depth + 1);
    else if (field.message !== undefined) this.message(field.message, start, end, depth + 1);
    // A packed list: a value takes at least a byte.
    else if (field.fieldKind === "list" && scalarWireType(field.scalar) !== wire.delimited) {
      this.#fields += end - start;
    }
  }

  /** An entry of a map: key = 1, value = 2. Requests have no maps of messages, so their fields are not counted. */
  #entry(field: DescField & { fieldKind: "map" }, start: number, end: number, depth: number): void {
    const value = field.message === undefined ? scalarWireType(field.scalar) : wire.delimited;
    for (let at = start; at < end; at = this.#after(at, end, depth)) {
      const tag = this.#tag(at, end);
      const number = Math.floor(tag / 8);
      if (number === 1 && tag % 8 !== scalarWireType(field.mapKey)) throw malformed();
      if (number === 2 && tag % 8 !== value) throw malformed();
    }
  }

  #tag(at: number, end: number): number {
    const tag = readVarint(this.#bytes, at, end);
    if (tag < 8 || tag > 0xffff_ffff) throw malformed();
    return tag;
  }

  /** Counts the field at `at` and returns the position after it. */
  #after(at: number, end: number, depth: number): number {
    if (++this.#fields > messageFieldsMax) throw tooMany();
    const tag = this.#tag(at, end);
    return this.#skip(varintEnd(this.#bytes, at, end), end, tag % 8, Math.floor(tag / 8), depth);
  }

  #skip(at: number, end: number, wireType: number, number: number, depth: number): number {
    const bytes = this.#bytes;
    switch (wireType) {
      case wire.varint:
        return within(varintEnd(bytes, at, end), end);
      case wire.fixed64:
        return within(at + 8, end);
      case wire.fixed32:
        return within(at + 4, end);
      case wire.delimited: {
        const length = readVarint(bytes, at, end);
        return within(length < 0 ? -1 : varintEnd(bytes, at, end) + length, end);
      }
      case wire.startGroup:
        return this.#group(at, end, number, depth + 1);
      default:
        throw malformed();
    }
  }

  #group(start: number, end: number, number: number, depth: number): number {
    if (depth > messageDepthMax) throw tooDeep();
    for (let at = start; at < end; ) {
      const tag = this.#tag(at, end);
      if (tag % 8 === wire.endGroup) {
        if (Math.floor(tag / 8) !== number) throw malformed();
        return varintEnd(this.#bytes, at, end);
      }
      at = this.#after(at, end, depth);
    }
    throw malformed();
  }
}

function within(next: number, end: number): number {
  if (next < 0 || next > end) throw malformed();
  return next;
}

/** The scalar types by number (google.protobuf.FieldDescriptorProto.Type) whose wire type is not varint. */
const fixed64Types: readonly number[] = [1, 6, 16];
const fixed32Types: readonly number[] = [2, 7, 15];
const delimitedTypes: readonly number[] = [9, 12];

function wireTypesOf(field: DescField): readonly number[] {
  if (field.fieldKind === "map" || field.message !== undefined) return [wire.delimited];
  const one = scalarWireType(field.scalar);
  return field.fieldKind === "list" && one !== wire.delimited ? [one, wire.delimited] : [one];
}

function scalarWireType(scalar: number | undefined): number {
  if (scalar === undefined) return wire.varint; // an enum
  if (fixed64Types.includes(scalar)) return wire.fixed64;
  if (fixed32Types.includes(scalar)) return wire.fixed32;
  return delimitedTypes.includes(scalar) ? wire.delimited : wire.varint;
}

function tooMany(): Fault {
  return new Fault("too-large", {
    message: `more than ${messageFieldsMax} fields in one message`,
    facts: { limit: messageFieldsMax },
  });
}

function tooDeep(): Fault {
  return new Fault("bad-request", {
    message: `the message is nested deeper than ${messageDepthMax} levels`,
    facts: { limit: messageDepthMax },
  });
}

function malformed(): Fault {
  return new Fault("bad-request", { message: "the message is not valid protobuf" });
}

/** The fault for a message above the size limit of a request. */
export function messageTooLarge(limit: number): Fault {
  return new Fault("too-large", {
    message: `a message of more than ${limit} bytes, the limit of a request (--request-bytes-max)`,
    facts: { limit },
  });
}
