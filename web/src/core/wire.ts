/**
 * Decodes a Connect server stream of ConsumeResponse without protobuf-es: a tail of thousands of records a second costs
 * the page a few milliseconds, and a record is decoded only when it is shown. A property test compares it with
 * protobuf-es.
 *
 *   envelope := flag:u8 length:u32be message        flag 2 ends the stream; its message is JSON
 */
import type { RecordHeader } from "../../../src/types.ts";

export interface Envelope {
  readonly flag: number;
  readonly message: Uint8Array;
}

/** A larger message is refused. Servers send at most 4 MiB, so the bytes are not an envelope. */
export const messageBytesMax = 16 << 20;

/** Splits a stream of chunks into envelopes. Throws RangeError for a length above `messageBytesMax`. */
export class EnvelopeReader {
  #rest: Uint8Array = new Uint8Array(0);

  *push(chunk: Uint8Array): Generator<Envelope> {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    while (bytes.length - at >= 5) {
      const length =
        (bytes[at + 1] as number) * 0x1000000 +
        (((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number));
      if (length > messageBytesMax) throw new RangeError(`a message of ${length} bytes was announced`);
      if (bytes.length - at - 5 < length) break;
      yield { flag: bytes[at] as number, message: bytes.subarray(at + 5, at + 5 + length) };
      at += 5 + length;
    }
    this.#rest = bytes.slice(at);
  }
}

/** One ConsumeResponse: the record's own bytes and offset, or a marker. */
export interface Consumed {
  readonly record: Uint8Array | undefined;
  readonly offset: number;
  readonly caughtUp: boolean;
  readonly endOffset: number | undefined;
  /** UTF-8. Undefined for the log `default`. */
  readonly logId: Uint8Array | undefined;
  /** In markers of a read with a filter: everything before it was searched. */
  readonly nextOffset: number | undefined;
  /** The read has used its processor time: another one goes on at `nextOffset`. */
  readonly suspended: boolean;
  /** Records that this read passed over, because their evaluation would have cost too much. */
  readonly skipped: number;
}

/** Throws RangeError when the bytes are no message. */
export function readConsumed(message: Uint8Array): Consumed {
  let record: Uint8Array | undefined;
  let caughtUp = false;
  let endOffset: number | undefined;
  let logId: Uint8Array | undefined;
  let nextOffset: number | undefined;
  let [suspended, skipped] = [false, 0];
  const reader = new Fields(message);
  while (reader.more()) {
    if (reader.field === 2) record = reader.bytes();
    else if (reader.field === 3) caughtUp = reader.varint() !== 0;
    else if (reader.field === 5) endOffset = reader.varint();
    else if (reader.field === 6) logId = reader.bytes();
    else if (reader.field === 8) nextOffset = reader.varint();
    else if (reader.field === 9) suspended = reader.varint() !== 0;
    else if (reader.field === 10) skipped = reader.varint();
    else reader.skip();
  }
  const offset = record === undefined ? 0 : readOffset(record);
  return { record, offset, caughtUp, endOffset, logId, nextOffset, suspended, skipped };
}

/** A record's parts, as views into its bytes. */
export interface RecordView {
  readonly offset: number;
  readonly term: number;
  readonly timestampMs: number;
  readonly value: Uint8Array;
  readonly key: Uint8Array;
  readonly headers: readonly RecordHeader[];
}

const none = new Uint8Array(0);
const utf8 = new TextDecoder();

/** Throws RangeError when the bytes are no Record. */
export function readRecord(record: Uint8Array): RecordView {
  let [offset, term, timestampMs, value, key] = [0, 0, 0, none, none];
  const headers: RecordHeader[] = [];
  const reader = new Fields(record);
  while (reader.more()) {
    if (reader.field === 1) value = reader.bytes();
    else if (reader.field === 2) offset = reader.varint();
    else if (reader.field === 3) term = reader.varint();
    else if (reader.field === 5) key = reader.bytes();
    else if (reader.field === 6) headers.push(readHeader(reader.bytes()));
    else if (reader.field === 7) timestampMs = reader.varint();
    else reader.skip();
  }
  return { offset, term, timestampMs, value, key, headers };
}

function readOffset(record: Uint8Array): number {
  let offset = 0;
  const reader = new Fields(record);
  while (reader.more()) {
    if (reader.field === 2) offset = reader.varint();
    else reader.skip();
  }
  return offset;
}

function readHeader(message: Uint8Array): RecordHeader {
  let [key, value] = ["", none];
  const reader = new Fields(message);
  while (reader.more()) {
    if (reader.field === 1) key = utf8.decode(reader.bytes());
    else if (reader.field === 2) value = reader.bytes();
    else reader.skip();
  }
  return { key, value };
}

/** A cursor over the fields of one protobuf message. Numbers are exact to 2^53. */
export class Fields {
  field = 0;
  #type = 0;
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Steps to the next field, if there is one. */
  more(): boolean {
    if (this.#at >= this.#bytes.length) return false;
    const tag = this.varint();
    this.field = Math.floor(tag / 8);
    this.#type = tag % 8;
    return true;
  }

  varint(): number {
    let [value, scale] = [0, 1];
    for (let taken = 0; taken < 10; taken++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError("a varint is cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new RangeError("a varint is longer than ten bytes");
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const length = this.varint();
    const start = this.#at;
    this.#move(length);
    return this.#bytes.subarray(start, this.#at) as Uint8Array<ArrayBuffer>;
  }

  skip(): void {
    if (this.#type === 0) this.varint();
    else if (this.#type === 1) this.#move(8);
    else if (this.#type === 2) this.bytes();
    else if (this.#type === 5) this.#move(4);
    else throw new RangeError(`wire type ${this.#type} is not used`);
  }

  #move(bytes: number): void {
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new RangeError("a field is cut short");
  }
}
