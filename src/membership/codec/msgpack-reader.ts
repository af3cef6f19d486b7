/**
 * Decodes msgpack as memberlist and Serf write it. That dialect has one type for strings and bytes, so each raw value
 * becomes a Buffer, a view of the input. `Fields` converts one to text where the message defines a string. Unknown keys
 * are ignored and missing ones are zero, as in Go. Callers copy what they keep.
 *
 * Depth and number of values are limited: one byte can encode a value, and a value takes about a hundred bytes of memory.
 */
import { Fault } from "../../fault.ts";
import { tokenAt } from "./msgpack-token.ts";

export type Value = null | boolean | number | Buffer | readonly Value[] | Fields;

const depthMax = 8;
/** No single message has this many values. The Serf state of a cluster is read with a larger limit. */
const valuesMaxDefault = 1_024;

/** Returns the fault that every decoder of this module throws for bytes that violate the protocol. */
export function malformed(what: string): Fault {
  return new Fault("bad-request", { message: `a gossip message is malformed, ${what}` });
}

/** Reads consecutive values. */
export class MsgpackReader {
  readonly #bytes: Buffer;
  readonly #valuesMax: number;
  #valuesLeft = 0;
  #at: number;

  /**
   * @param at position of the first value, default 0
   * @param valuesMax most values of one call of value() or fields(), nested ones included; default 1,024
   */
  constructor(bytes: Buffer, at = 0, valuesMax = valuesMaxDefault) {
    this.#bytes = bytes;
    this.#at = at;
    this.#valuesMax = valuesMax;
  }

  /** Position of the next value. */
  get position(): number {
    return this.#at;
  }

  /**
   * Reads the next value.
   * @throws Fault "bad-request" if there is no complete, well-formed value
   */
  value(): Value {
    this.#valuesLeft = this.#valuesMax;
    return this.#value(0);
  }

  #value(depth: number): Value {
    if (depth > depthMax) throw malformed("it is nested too deeply");
    if (this.#valuesLeft-- === 0) throw malformed("it has too many values");
    const token = tokenAt(this.#bytes, this.#at);
    if (token === "truncated") throw malformed("it is truncated");
    if (token === "unknown") throw malformed("it has a value of an unknown type");
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

  /** Reads the next value, which must be a map. */
  fields(): Fields {
    const value = this.value();
    if (!(value instanceof Fields)) throw malformed("it has another value instead of a map");
    return value;
  }

  #raw(size: number): Buffer {
    if (size > this.#bytes.length - this.#at) throw malformed("it is truncated");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  #array(size: number, depth: number): Value[] {
    if (size > this.#bytes.length - this.#at) throw malformed("a count in it is too large");
    const items: Value[] = [];
    for (let count = 0; count < size; count++) items.push(this.#value(depth + 1));
    return items;
  }

  #map(size: number, depth: number): Fields {
    if (size * 2 > this.#bytes.length - this.#at) throw malformed("a count in it is too large");
    const pairs = new Map<string, Value>();
    for (let count = 0; count < size; count++) {
      const key = this.#value(depth + 1);
      if (!Buffer.isBuffer(key)) throw malformed("a key is not text");
      pairs.set(key.toString("utf8"), this.#value(depth + 1));
    }
    return new Fields(pairs);
  }
}

/** A decoded map. A missing or nil field is the zero value of its type, as in Go. */
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

  /** An integer from 0 to `max`. */
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

  /** At most `max` bytes, a view of the input. */
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

/** The longest text that is accepted by default. Serf allows names of 128 bytes. */
const textBytesMax = 255;

const empty = Buffer.alloc(0);
const nothing = new Fields(new Map());
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Decodes UTF-8.
 * @throws Fault "bad-request" that names `what` if the bytes are not UTF-8
 */
export function utf8(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed(`${what} is not UTF-8`);
  }
}

/** The longest duration that is accepted, in Go's nanoseconds: about 104 days. */
export const nanosecondsMax = Number.MAX_SAFE_INTEGER;
