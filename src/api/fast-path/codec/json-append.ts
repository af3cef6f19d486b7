/**
 * Rewrites the JSON of an append as the protobuf message that means the same, in one pass and without an object per
 * record. It reads the forms that clients send:
 *
 *   message := {"record": record}  or  {"records": [record, …]}, with "log": name?
 *   record  := {"value": base64?, "key": base64?}
 *   base64  := the standard alphabet, padded, canonical        name := printable ASCII without escapes
 *
 * White space is allowed between tokens, and members may come in any order. Every other text is unusual: a member twice,
 * another member, an escape, another alphabet. The caller then decodes it with protobuf-es, so that the fast path means
 * the same as Connect's handlers and has the same errors.
 */
import { varintBytes, writeVarint } from "../../../lib/bytes.ts";
import { recordTag } from "../../../log/mod.ts";

const valueTag = 0x0a;
const keyTag = 0x2a;
const logTag = 0x22;

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openList = 0x5b;
const closeList = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;
const padding = 0x3d;

/** The value of a character of base64, −1 for any other byte. */
const sextets = new Int8Array(256).fill(-1);
for (const [value, letter] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries())
  sextets[letter.charCodeAt(0)] = value;

const name = (text: string): Buffer => Buffer.from(`"${text}"`);
const recordName = name("record");
const recordsName = name("records");
const logName = name("log");
const valueName = name("value");
const keyName = name("key");

/** The largest name that is read here. Longer ones are unusual. */
const logBytesMax = 1024;

/**
 * Returns the protobuf message, or undefined if the text is unusual or has no record or more than `recordsMax`.
 * @param isBatch the message is a ProduceBatchRequest, not a ProduceRequest
 */
export function rewriteAppend(
  text: Uint8Array,
  isBatch: boolean,
  recordsMax: number,
): Uint8Array | undefined {
  const rewriter = new AppendRewriter(text, recordsMax);
  return rewriter.message(isBatch) ? rewriter.written : undefined;
}

class AppendRewriter {
  readonly #text: Uint8Array;
  readonly #recordsMax: number;
  /** The message is never longer than its JSON: the names and quotes take more bytes than tags and lengths. */
  readonly #out: Uint8Array;
  #at = 0;
  #to = 0;
  #records = 0;

  constructor(text: Uint8Array, recordsMax: number) {
    this.#text = text;
    this.#recordsMax = recordsMax;
    this.#out = Buffer.allocUnsafe(text.length + recordHeadMax);
  }

  get written(): Uint8Array {
    return this.#out.subarray(0, this.#to);
  }

  message(isBatch: boolean): boolean {
    if (!this.#take(openObject)) return false;
    let hasRecords = false;
    let hasLog = false;
    do {
      if (!hasRecords && this.#takeName(isBatch ? recordsName : recordName)) {
        hasRecords = true;
        if (!(isBatch ? this.#list() : this.#record())) return false;
      } else if (!hasLog && this.#takeName(logName)) {
        hasLog = true;
        if (!this.#logName()) return false;
      } else return false;
    } while (this.#take(comma));
    if (!hasRecords || !this.#take(closeObject)) return false;
    this.#skipWhite();
    return this.#at === this.#text.length;
  }

  #list(): boolean {
    if (!this.#take(openList)) return false;
    do if (!this.#record()) return false;
    while (this.#take(comma));
    return this.#take(closeList);
  }

  /** Decodes behind the place of the longest head, writes the head, and moves the record to it. */
  #record(): boolean {
    if (++this.#records > this.#recordsMax || !this.#take(openObject)) return false;
    const out = this.#out;
    const start = this.#to;
    let value = -1;
    let key = -1;
    let valueEnd = 0;
    let keyEnd = 0;
    let free = start + recordHeadMax;
    if (!this.#take(closeObject)) {
      do {
        if (value < 0 && this.#takeName(valueName)) {
          value = free;
          free = valueEnd = this.#base64(free);
        } else if (key < 0 && this.#takeName(keyName)) {
          key = free;
          free = keyEnd = this.#base64(free);
        } else return false;
        if (free < 0) return false;
      } while (this.#take(comma));
      if (!this.#take(closeObject)) return false;
    }
    const valueBytes = valueEnd - Math.max(value, 0);
    const keyBytes = keyEnd - Math.max(key, 0);
    // A key in front of its value: the order in the message is the other one.
    if (keyBytes > 0 && key < value) return false;
    const body = fieldBytes(valueBytes) + fieldBytes(keyBytes);
    out[start] = recordTag;
    let to = writeVarint(out, start + 1, body);
    if (valueBytes > 0) to = this.#move(to, valueTag, value, valueEnd);
    if (keyBytes > 0) to = this.#move(to, keyTag, key, keyEnd);
    this.#to = to;
    return true;
  }

  #move(to: number, tag: number, start: number, end: number): number {
    const out = this.#out;
    out[to] = tag;
    const body = writeVarint(out, to + 1, end - start);
    out.copyWithin(body, start, end);
    return body + end - start;
  }

  #logName(): boolean {
    this.#skipWhite();
    const text = this.#text;
    if (text[this.#at] !== quote) return false;
    const start = this.#at + 1;
    let at = start;
    for (; ; at++) {
      const byte = text[at];
      if (byte === quote) break;
      // Control characters, a backslash, what is not ASCII, and the end.
      if (byte === undefined || byte < 0x20 || byte === 0x5c || byte > 0x7e) return false;
    }
    const bytes = at - start;
    if (bytes === 0 || bytes > logBytesMax) return false;
    this.#out[this.#to] = logTag;
    const to = writeVarint(this.#out, this.#to + 1, bytes);
    this.#out.set(text.subarray(start, at), to);
    this.#to = to + bytes;
    this.#at = at + 1;
    return true;
  }

  /** Decodes a string of base64 to `start`. Returns the position after the bytes, −1 if it is unusual. */
  #base64(start: number): number {
    this.#skipWhite();
    let to = start;
    const text = this.#text;
    const out = this.#out;
    if (text[this.#at] !== quote) return -1;
    let at = this.#at + 1;
    for (;;) {
      const a = sextets[text[at] ?? 0]!;
      const b = sextets[text[at + 1] ?? 0]!;
      const c = sextets[text[at + 2] ?? 0]!;
      const d = sextets[text[at + 3] ?? 0]!;
      if ((a | b | c | d) < 0) break;
      out[to] = (a << 2) | (b >> 4);
      out[to + 1] = (b << 4) | (c >> 2);
      out[to + 2] = (c << 6) | d;
      to += 3;
      at += 4;
    }
    if (text[at] !== quote) {
      // One padded group.
      const a = sextets[text[at] ?? 0]!;
      const b = sextets[text[at + 1] ?? 0]!;
      if ((a | b) < 0 || text[at + 3] !== padding) return -1;
      out[to++] = (a << 2) | (b >> 4);
      if (text[at + 2] === padding) {
        if ((b & 0x0f) !== 0) return -1;
      } else {
        const c = sextets[text[at + 2] ?? 0]!;
        if (c < 0 || (c & 0x03) !== 0) return -1;
        out[to++] = (b << 4) | (c >> 2);
      }
      at += 4;
      if (text[at] !== quote) return -1;
    }
    this.#at = at + 1;
    return to;
  }

  /** Takes this name and the colon behind it, if they come next. */
  #takeName(expected: Uint8Array): boolean {
    this.#skipWhite();
    const from = this.#at;
    for (let at = 0; at < expected.length; at++) if (this.#text[from + at] !== expected[at]) return false;
    this.#at += expected.length;
    if (this.#take(colon)) return true;
    this.#at = from;
    return false;
  }

  #take(byte: number): boolean {
    this.#skipWhite();
    if (this.#text[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #skipWhite(): void {
    for (;;) {
      const byte = this.#text[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }
}

/** Largest size of the tags and lengths of a record with a value and a key. */
const recordHeadMax = 3 * (1 + 5);

const fieldBytes = (bytes: number): number => (bytes === 0 ? 0 : 1 + varintBytes(bytes) + bytes);
