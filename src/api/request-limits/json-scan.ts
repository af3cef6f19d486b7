/**
 * Scans JSON bytes once before they are parsed. The scan limits the depth and the number of values, finds repeated keys,
 * and finds the positions of the members of the outermost object.
 *
 * The scan checks the structure: brackets, commas, colons and keys. JSON.parse checks numbers, literals and the content
 * of strings afterwards, on a text of limited size. The scan takes time linear in the bytes and memory linear in the
 * limits.
 */
import { Fault } from "../../fault.ts";

export interface JsonLimits {
  /** Arrays and objects nested in each other. */
  readonly depthMax: number;
  /** Values of all kinds. Arrays and objects count. */
  readonly valuesMax: number;
  /** Bytes of keys, as written. JSON.parse keeps a table of all different keys. */
  readonly keyBytesMax: number;
  /** A list in the outermost object whose elements are counted separately, each with its own limits. */
  readonly list?: { readonly name: string; readonly elementsMax: number; readonly elementValuesMax: number };
  /** Finds the first key that occurs twice in one object. Default false. */
  readonly findDuplicate?: boolean;
  /**
   * Members that hold no text. protobuf-es accepts a number in a string, reads it as a BigInt and repeats it in its
   * error, so a long string in such a member is refused. A JSON text that is only a long string is refused too.
   */
  readonly noText?: ReadonlySet<string>;
}

/** The limits of one request. They do not depend on its size in bytes. */
export const jsonLimits: JsonLimits = { depthMax: 100, valuesMax: 32_768, keyBytesMax: 256 * 1024 };

/** The length of a string that holds a number: enough for every number and some white space. */
const numberCharsMax = 128;

/** The bytes of a value: `start` is its first byte, `end` is after its last. */
export interface JsonSpan {
  readonly start: number;
  readonly end: number;
}

export interface JsonShape {
  /** The members of the outermost object by name. The last member of a name counts. */
  readonly members: ReadonlyMap<string, JsonSpan>;
  /** Start and end of each element of `list`, in turn. The last member of that name counts. */
  readonly elements: readonly number[];
  /** Every member that is such a list, in order. */
  readonly lists: readonly JsonSpan[];
  readonly duplicate: string | undefined;
}

/**
 * Returns the shape of one JSON text, or undefined if its structure is not valid. A byte order mark at the start is
 * skipped, as TextDecoder does.
 * @throws Fault "bad-request" beyond the depth, and for long text in a member of `noText`; "too-large" for too many values
 */
export function scanJson(bytes: Uint8Array, limits: JsonLimits): JsonShape | undefined {
  return new Scan(bytes, limits).run();
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openList = 0x5b;
const backslash = 0x5c;
const closeList = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;

/** 1: white space; 2: ends a number or literal. */
const kindOf = new Uint8Array(256);
for (const white of [0x20, 0x09, 0x0a, 0x0d]) kindOf[white] = 1;
for (const end of [quote, comma, colon, openList, closeList, openObject, closeObject]) kindOf[end] = 2;

class Scan {
  readonly #bytes: Buffer;
  readonly #limits: JsonLimits;
  readonly #members = new Map<string, JsonSpan>();
  readonly #lists: JsonSpan[] = [];
  #elements: number[] = [];
  #duplicate: string | undefined;
  /** By depth: 0 for an open array, 1 for an open object. */
  readonly #open: Uint8Array;
  readonly #keys: (Set<string> | undefined)[] = [];
  #depth = 0;
  #values = 0;
  #keyBytes = 0;
  /** In the current element of `list`. */
  #elementValues = 0;
  #elementKeyBytes = 0;
  #inList = false;
  #at = 0;
  /** The current member of the outermost object, and the start of its value. */
  #name = "";
  #start = 0;
  #elementStart = 0;
  /** The key of the member that began last. */
  #keyStart = 0;
  #keyEnd = 0;

  constructor(bytes: Uint8Array, limits: JsonLimits) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#limits = limits;
    this.#open = new Uint8Array(limits.depthMax + 1);
  }

  run(): JsonShape | undefined {
    const bytes = this.#bytes;
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.#at = 3;
    if (!this.#value()) return undefined;
    while (this.#depth > 0) if (!this.#step()) return undefined;
    this.#skipWhite();
    if (this.#at < bytes.length) return undefined;
    return {
      members: this.#members,
      elements: this.#elements,
      lists: this.#lists,
      duplicate: this.#duplicate,
    };
  }

  /** Continues after a value, with the next value or the end of the array or object. */
  #step(): boolean {
    this.#skipWhite();
    const byte = this.#bytes[this.#at];
    const inObject = this.#open[this.#depth] === 1;
    if (byte === (inObject ? closeObject : closeList)) return this.#close();
    if (byte !== comma) return false;
    this.#at++;
    return inObject ? this.#member() : this.#value();
  }

  /** Reads a value, or the start of an array or object up to its first value. */
  #value(): boolean {
    this.#skipWhite();
    const byte = this.#bytes[this.#at];
    this.#count();
    if (this.#depth === 1 && this.#open[1] === 1) this.#start = this.#at;
    if (this.#depth === 2 && this.#inList) this.#elementStart = this.#at;
    if (byte === openObject || byte === openList) return this.#enter(byte === openObject);
    const start = this.#at;
    if (byte === quote) this.#at = this.#stringEnd(this.#at);
    else if (!this.#literal()) return false;
    if (this.#at < 0) return false;
    if (byte === quote && this.#at - start > numberCharsMax + 2) this.#checkText();
    this.#ended();
    return true;
  }

  #enter(isObject: boolean): boolean {
    const { depthMax, list, findDuplicate } = this.#limits;
    if (this.#depth === depthMax) throw tooDeep(depthMax);
    this.#open[++this.#depth] = isObject ? 1 : 0;
    if (isObject && findDuplicate === true) this.#keys[this.#depth] = new Set();
    if (this.#depth === 2 && !isObject && this.#open[1] === 1 && this.#name === list?.name) {
      this.#inList = true;
      this.#elements = [];
    }
    this.#at++;
    this.#skipWhite();
    const byte = this.#bytes[this.#at];
    if (byte === (isObject ? closeObject : closeList)) return this.#close();
    return isObject ? this.#member() : this.#value();
  }

  #close(): boolean {
    this.#at++;
    this.#keys[this.#depth] = undefined;
    this.#depth--;
    if (this.#depth === 1 && this.#inList) {
      this.#inList = false;
      this.#lists.push({ start: this.#start, end: this.#at });
    }
    this.#ended();
    return true;
  }

  /** Records that a value ended at `#at`. */
  #ended(): void {
    if (this.#depth === 1 && this.#open[1] === 1) {
      this.#members.set(this.#name, { start: this.#start, end: this.#at });
    } else if (this.#depth === 2 && this.#inList) this.#elements.push(this.#elementStart, this.#at);
  }

  #member(): boolean {
    this.#skipWhite();
    if (this.#bytes[this.#at] !== quote) return false;
    const end = this.#stringEnd(this.#at);
    if (end < 0) return false;
    this.#keyStart = this.#at;
    this.#keyEnd = end;
    this.#countKey(end - this.#at);
    const keys = this.#keys[this.#depth];
    if (this.#depth === 1 || keys !== undefined) {
      const key = this.#key(this.#at, end);
      if (key === undefined) return false;
      if (this.#depth === 1) {
        this.#name = key;
        if (key === this.#limits.list?.name) this.#elements = [];
      }
      if (keys?.has(key) === true) this.#duplicate ??= key;
      keys?.add(key);
    }
    this.#at = end;
    this.#skipWhite();
    if (this.#bytes[this.#at] !== colon) return false;
    this.#at++;
    return this.#value();
  }

  /** Checks the member that began last, whose value is a long string. */
  #checkText(): void {
    const { noText } = this.#limits;
    if (noText === undefined) return;
    const name = this.#depth === 0 ? undefined : this.#key(this.#keyStart, this.#keyEnd);
    if (name !== undefined && !noText.has(name)) return;
    const what = name === undefined ? "the message" : name;
    throw new Fault("bad-request", {
      message: `${what} is a string of more than ${numberCharsMax} characters, and no text is expected here`,
    });
  }

  #key(start: number, end: number): string | undefined {
    try {
      return JSON.parse(this.#bytes.toString("utf8", start, end)) as string;
    } catch {
      return undefined;
    }
  }

  #count(): void {
    const { valuesMax, list } = this.#limits;
    if (!this.#inList || list === undefined) {
      if (++this.#values > valuesMax) throw tooMany("JSON values in one request", valuesMax);
      return;
    }
    if (this.#depth === 2) {
      this.#elementValues = 0;
      this.#elementKeyBytes = 0;
      if (this.#elements.length / 2 >= list.elementsMax) {
        throw tooMany(`${list.name} in one request`, list.elementsMax);
      }
    }
    if (++this.#elementValues > list.elementValuesMax) {
      throw tooMany(`JSON values in one of the ${list.name}`, list.elementValuesMax);
    }
  }

  #countKey(bytes: number): void {
    const { keyBytesMax, list } = this.#limits;
    if (!this.#inList || list === undefined) {
      this.#keyBytes += bytes;
      if (this.#keyBytes > keyBytesMax) throw tooMany("bytes of JSON keys in one request", keyBytesMax);
      return;
    }
    this.#elementKeyBytes += bytes;
    if (this.#elementKeyBytes > keyBytesMax) {
      throw tooMany(`bytes of JSON keys in one of the ${list.name}`, keyBytesMax);
    }
  }

  /** Skips a number or literal. */
  #literal(): boolean {
    const from = this.#at;
    while (this.#at < this.#bytes.length && kindOf[this.#bytes[this.#at]!] === 0) this.#at++;
    return this.#at > from;
  }

  /** Returns the position after the string at `at`, or −1 if it does not end. */
  #stringEnd(at: number): number {
    const bytes = this.#bytes;
    for (let from = at + 1; from < bytes.length; from++) {
      const byte = bytes[from]!;
      if (byte === quote) return from + 1;
      if (byte === backslash) from++;
    }
    return -1;
  }

  #skipWhite(): void {
    while (this.#at < this.#bytes.length && kindOf[this.#bytes[this.#at]!] === 1) this.#at++;
  }
}

function tooDeep(limit: number): Fault {
  return new Fault("bad-request", {
    message: `the JSON is nested deeper than ${limit} levels`,
    facts: { limit },
  });
}

function tooMany(what: string, limit: number): Fault {
  return new Fault("too-large", { message: `more than ${limit} ${what}`, facts: { limit } });
}
