/**
 * HPACK (RFC 7541): a header block decoded against the connection's table, and blocks written without one. Pure.
 *
 * Never: keeps more than the table's size, answers a list larger than its limit.
 */
import { huffmanDecode } from "./huffman.ts";

/** What the peer got wrong: the connection cannot go on, because the tables no longer agree. */
export class CompressionError extends Error {
  override readonly name = "CompressionError";
}

type Field = readonly [name: string, value: string];

const staticTable: readonly Field[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** What each entry costs besides its octets (RFC 7541 §4.1). */
const entryOverhead = 32;
/** The table that we allow, as in SETTINGS_HEADER_TABLE_SIZE's default. */
const tableBytesMax = 4096;
/** A block may begin with so many size updates: the smallest size in between, and the last (RFC 7541 §4.2). */
const sizeUpdatesMax = 2;

const sizeOf = ([name, value]: Field): number => name.length + value.length + entryOverhead;

export class HpackDecoder {
  /** Newest first. */
  readonly #table: Field[] = [];
  #tableBytes = 0;
  #tableLimit = tableBytesMax;
  readonly #listBytesMax: number;
  /** Raised by every change of the table: two equal blocks mean the same while it stands. */
  generation = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Of the block under way; none is allowed behind a field. */
  #sizeUpdatesLeft = 0;

  /** Header lists larger than this, counted as RFC 9113 §10.5.1 does, answer undefined. */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /** The fields of a whole block in order; undefined when there is too much of it. Throws CompressionError. */
  decode(block: Uint8Array): Field[] | undefined {
    const fields: Field[] = [];
    let listBytes = 0;
    this.#bytes = block;
    this.#at = 0;
    this.#sizeUpdatesLeft = sizeUpdatesMax;
    while (this.#at < block.length) {
      const field = this.#readField();
      if (field === undefined) continue;
      this.#sizeUpdatesLeft = 0;
      listBytes += sizeOf(field);
      // Decoded to the end all the same: the table must follow the peer's.
      if (listBytes <= this.#listBytesMax) fields.push(field);
    }
    return listBytes <= this.#listBytesMax ? fields : undefined;
  }

  #readField(): Field | undefined {
    const byte = this.#bytes[this.#at] as number;
    if (byte & 0x80) return this.#entry(this.#readInteger(7));
    if (byte & 0x40) {
      const field = this.#readLiteral(6);
      this.#add(field);
      return field;
    }
    if (byte & 0x20) {
      const limit = this.#readInteger(5);
      if (this.#sizeUpdatesLeft-- === 0 || limit > tableBytesMax) {
        throw new CompressionError("a table size that was not allowed");
      }
      this.#tableLimit = limit;
      this.generation++;
      this.#evict(0);
      return undefined;
    }
    return this.#readLiteral(4);
  }

  #readLiteral(prefix: number): Field {
    const index = this.#readInteger(prefix);
    const name = index === 0 ? this.#readString() : this.#entry(index)[0];
    return [name, this.#readString()];
  }

  #entry(index: number): Field {
    const field =
      index <= staticTable.length ? staticTable[index - 1] : this.#table[index - 1 - staticTable.length];
    if (field === undefined) throw new CompressionError("an index beyond the tables");
    return field;
  }

  #add(field: Field): void {
    this.generation++;
    this.#evict(sizeOf(field));
    if (sizeOf(field) > this.#tableLimit) return;
    this.#table.unshift(field);
    this.#tableBytes += sizeOf(field);
  }

  /** Makes room for so many bytes. */
  #evict(bytes: number): void {
    while (this.#table.length > 0 && this.#tableBytes + bytes > this.#tableLimit) {
      this.#tableBytes -= sizeOf(this.#table.pop() as Field);
    }
  }

  /** RFC 7541 §5.1. */
  #readInteger(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = (this.#bytes[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new CompressionError("an integer cut off");
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CompressionError("an integer out of all proportion");
  }

  /** RFC 7541 §5.2. */
  #readString(): string {
    const coded = (this.#bytes[this.#at] ?? 0) & 0x80;
    if (this.#at >= this.#bytes.length) throw new CompressionError("a string cut off");
    const length = this.#readInteger(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#bytes.length) throw new CompressionError("a string cut off");
    this.#at = end;
    if (coded === 0)
      return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, length).toString("latin1");
    const text = huffmanDecode(this.#bytes, start, end);
    if (text === undefined) throw new CompressionError("a string that is not Huffman code");
    return text;
  }
}

/** Indexes of names in the static table, for what we send. */
const staticNames = new Map(staticTable.map(([name], at) => [name, at + 1] as const).reverse());
const staticFields = new Map(staticTable.map(([name, value], at) => [`${name}\n${value}`, at + 1] as const));

/** A block of these fields, which changes no table: it may be kept and sent on any connection. */
export function encodeBlock(fields: Iterable<Field>): Buffer {
  const bytes: number[] = [];
  for (const [name, value] of fields) {
    const whole = staticFields.get(`${name}\n${value}`);
    if (whole !== undefined) {
      writeInteger(bytes, 0x80, 7, whole);
      continue;
    }
    const named = staticNames.get(name);
    writeInteger(bytes, 0, 4, named ?? 0);
    if (named === undefined) writeString(bytes, name);
    writeString(bytes, value);
  }
  return Buffer.from(bytes);
}

function writeInteger(bytes: number[], pattern: number, prefix: number, value: number): void {
  const mask = (1 << prefix) - 1;
  if (value < mask) {
    bytes.push(pattern | value);
    return;
  }
  bytes.push(pattern | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest);
}

function writeString(bytes: number[], text: string): void {
  const raw = Buffer.from(text, "latin1");
  writeInteger(bytes, 0, 7, raw.length);
  for (const byte of raw) bytes.push(byte);
}
