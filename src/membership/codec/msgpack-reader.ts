/**
 * Reads msgpack as memberlist and Serf write it. Strings and bytes cannot be told apart there, so every raw value
 * comes out as a Buffer, a view of the input; `Fields` turns one into text where the message says that it is text.
 * Unknown keys are ignored, missing ones are zero, as in Go.
 *
 * Never: trusts a count or a length; nests deeper than `depthMax`; makes more than `valuesMax` values of one (a byte can
 * stand for a value, and a value costs a hundred); keeps the input (callers copy what they keep).
 */
import { Fault } from "../../fault.ts";
import { tokenAt } from "./msgpack-token.ts";

export type Value = null | boolean | number | Buffer | readonly Value[] | Fields;

const depthMax = 8;
/** No single message has as many; a cluster's whole Serf state is read with another limit. */
const valuesMaxDefault = 1_024;

/** The bytes are not what the protocol says; every decoder of the room throws this. */
export function malformed(what: string): Fault {
  return new Fault("bad-request", { message: `a gossip message is malformed, ${what}` });
}

/** Reads values one after another. */
export class MsgpackReader {
  readonly #bytes: Buffer;
  readonly #valuesMax: number;
  #valuesLeft = 0;
  #at: number;

  /** `valuesMax`: how many values one call of value() or fields() may make, nested ones included. */
  constructor(bytes: Buffer, at = 0, valuesMax = valuesMaxDefault) {
    this.#bytes = bytes;
    this.#at = at;
    this.#valuesMax = valuesMax;
  }

  /** Where the next value starts. */
  get position(): number {
    return this.#at;
  }

  /** The next value. Throws Fault "bad-request" when there is none, or none that is whole and well-formed. */
  value(): Value {
    this.#valuesLeft = this.#valuesMax;
    return this.#value(0);
  }

  #value(depth: number): Value {
    if (depth > depthMax) throw malformed("it is nested too deep");
    if (this.#valuesLeft-- === 0) throw malformed("it has too many values");
    const token = tokenAt(this.#bytes, this.#at);
    if (token === "short") throw malformed("it is cut short");
    if (token === "bad") throw malformed("it has a value of no known type");
    this.#at += token.head;
    switch (token.kind) {
      case "nil":
        return null;
      case "true":
        return true;
      case "false":
        return false;
      case "number":
        return token.value;
      case "raw":
        return this.#raw(token.size);
      case "array":
        return this.#array(token.size, depth);
      case "map":
        return this.#map(token.size, depth);
    }
  }

  /** The next value, which must be a map. */
  fields(): Fields {
    const value = this.value();
    if (!(value instanceof Fields)) throw malformed("a map was expected");
    return value;
  }

  #raw(size: number): Buffer {
    if (size > this.#bytes.length - this.#at) throw malformed("it is cut short");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  #array(size: number, depth: number): Value[] {
    if (size > this.#bytes.length - this.#at) throw malformed("it counts more than it holds");
    const items: Value[] = [];
    for (let count = 0; count < size; count++) items.push(this.#value(depth + 1));
    return items;
  }

  #map(size: number, depth: number): Fields {
    if (size * 2 > this.#bytes.length - this.#at) throw malformed("it counts more than it holds");
    const pairs = new Map<string, Value>();
    for (let count = 0; count < size; count++) {
      const key = this.#value(depth + 1);
      if (!Buffer.isBuffer(key)) throw malformed("a key is not text");
      pairs.set(key.toString("utf8"), this.#value(depth + 1));
    }
    return new Fields(pairs);
  }
}

/** A decoded map, asked by Go's field names. A missing or nil field is the zero value of its type. */
export class Fields {
  readonly #pairs: ReadonlyMap<string, Value>;

  constructor(pairs: ReadonlyMap<string, Value>) {
    this.#pairs = pairs;
  }

  entries(): IterableIterator<[string, Value]> {
    return this.#pairs.entries();
  }

  get size(): number {
    return this.#pairs.size;
  }

  /** A whole number from 0 to `max`. */
  uint(key: string, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#pairs.get(key) ?? 0;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw malformed(`${key} is out of range`);
    }
    return value;
  }

  bool(key: string): boolean {
    return this.#pairs.get(key) === true;
  }

  /** Bytes, at most `max`; a view of the input. */
  raw(key: string, max: number): Buffer {
    const value = this.#pairs.get(key) ?? empty;
    if (!Buffer.isBuffer(value)) throw malformed(`${key} is not bytes`);
    if (value.length > max) throw malformed(`${key} is too long`);
    return value;
  }

  /** UTF-8 text of at most `maxBytes`. */
  text(key: string, maxBytes = textBytesMax): string {
    return utf8(this.raw(key, maxBytes), key);
  }

  list(key: string): readonly Value[] {
    const value = this.#pairs.get(key) ?? [];
    if (!Array.isArray(value)) throw malformed(`${key} is not a list`);
    return value as readonly Value[];
  }

  fields(key: string): Fields {
    const value = this.#pairs.get(key) ?? nothing;
    if (!(value instanceof Fields)) throw malformed(`${key} is not a map`);
    return value;
  }
}

/** The longest name or other text that is believed. Serf itself allows names of 128 bytes. */
const textBytesMax = 255;

const empty = Buffer.alloc(0);
const nothing = new Fields(new Map());
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text from bytes. Throws Fault "bad-request" when they are not UTF-8. */
export function utf8(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed(`${what} is not UTF-8`);
  }
}

/** The longest duration that is believed, in Go's nanoseconds: about 104 days. */
export const nanosecondsMax = Number.MAX_SAFE_INTEGER;
