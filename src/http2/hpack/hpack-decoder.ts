/**
 * Decodes header blocks (RFC 7541) with the dynamic table of one connection. The table holds at most 4,096 bytes, the
 * default of SETTINGS_HEADER_TABLE_SIZE.
 */
import { ConnectionError } from "../frames/connection-error.ts";
import { errorCode } from "../frames/frames.ts";
import { huffmanDecode } from "./huffman.ts";
import { type Field, staticTable } from "./static-table.ts";

/** A block breaks RFC 7541. The connection cannot go on, because both dynamic tables no longer agree. */
export class CompressionError extends ConnectionError {
  override readonly name = "CompressionError";

  constructor(message: string) {
    super(errorCode.compression, message);
  }
}

/** What an entry counts besides its octets (RFC 7541 §4.1). */
const entryOverhead = 32;
/** The default of SETTINGS_HEADER_TABLE_SIZE, which the server does not change. */
const tableBytesMax = 4096;
/** Size updates at the start of a block: the smallest size in between, and the last one (RFC 7541 §4.2). */
const sizeUpdatesMax = 2;

const sizeOf = ([name, value]: Field): number => name.length + value.length + entryOverhead;

export class HpackDecoder {
  /** Newest first. */
  readonly #table: Field[] = [];
  #tableBytes = 0;
  #tableLimit = tableBytesMax;
  readonly #listBytesMax: number;
  /** Grows with every change of the table. Equal blocks have equal fields while it stays the same. */
  generation = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Of the current block. None is allowed behind a field. */
  #sizeUpdatesLeft = 0;

  /** `listBytesMax` limits a header list, counted as in RFC 9113 §6.5.2: names, values and 32 bytes for each field. */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /**
   * Returns the fields of a whole block in order, or undefined if the header list is too large.
   * @throws CompressionError
   */
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
      // A list that is too large is decoded to its end, so that the table stays equal to the client's.
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
        throw new CompressionError("a table size update is not allowed here or too large");
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
    if (field === undefined) throw new CompressionError(`index ${index} is beyond the tables`);
    return field;
  }

  #add(field: Field): void {
    this.generation++;
    this.#evict(sizeOf(field));
    if (sizeOf(field) > this.#tableLimit) return;
    this.#table.unshift(field);
    this.#tableBytes += sizeOf(field);
  }

  /** Removes the oldest entries until `bytes` more fit. */
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
      if (byte === undefined) throw new CompressionError("the block ends within an integer");
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new CompressionError("an integer is too large");
  }

  /** RFC 7541 §5.2. */
  #readString(): string {
    const coded = (this.#bytes[this.#at] ?? 0) & 0x80;
    if (this.#at >= this.#bytes.length) throw new CompressionError("the block ends within a string");
    const length = this.#readInteger(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#bytes.length) throw new CompressionError("the block ends within a string");
    this.#at = end;
    if (coded === 0)
      return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, length).toString("latin1");
    const text = huffmanDecode(this.#bytes, start, end);
    if (text === undefined) throw new CompressionError("a string is not valid Huffman code");
    return text;
  }
}
