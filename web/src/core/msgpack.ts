/**
 * A MessagePack reader for looking at records: every type of the specification, bounded in depth and in the
 * number of values, so that hostile bytes end in an error and never in a long wait. Pure.
 */
import { toBase64 } from "./base64.ts";

const depthMax = 256;
const valuesMax = 200_000;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The one value that the bytes hold, in JSON's terms (bytes as base64 text, 64-bit numbers as text when large). */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new RangeError(`${bytes.length - reader.at} bytes follow the value`);
  return value;
}

class Reader {
  at = 0;
  #values = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(depth: number): unknown {
    if (depth > depthMax) throw new RangeError("nested too deeply");
    if (++this.#values > valuesMax) throw new RangeError("too many values");
    const tag = this.#uint(1);
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#map(tag & 15, depth);
    if (tag < 0xa0) return this.#array(tag & 15, depth);
    if (tag < 0xc0) return this.#text(tag & 31);
    if (tag >= 0xe0) return tag - 256;
    return this.#tagged(tag, depth);
  }

  #tagged(tag: number, depth: number): unknown {
    const size = 1 << (tag & 3);
    if (tag === 0xc0) return null;
    if (tag === 0xc2 || tag === 0xc3) return tag === 0xc3;
    if (tag >= 0xc4 && tag <= 0xc6) return toBase64(this.#take(this.#uint(1 << (tag - 0xc4))));
    if (tag >= 0xc7 && tag <= 0xc9) return this.#extension(this.#uint(1 << (tag - 0xc7)));
    if (tag === 0xca) return this.#view.getFloat32(this.#move(4));
    if (tag === 0xcb) return this.#view.getFloat64(this.#move(8));
    if (tag >= 0xcc && tag <= 0xce) return this.#uint(size);
    if (tag === 0xcf) return plain(this.#view.getBigUint64(this.#move(8)));
    if (tag === 0xd0) return this.#view.getInt8(this.#move(1));
    if (tag === 0xd1) return this.#view.getInt16(this.#move(2));
    if (tag === 0xd2) return this.#view.getInt32(this.#move(4));
    if (tag === 0xd3) return plain(this.#view.getBigInt64(this.#move(8)));
    if (tag >= 0xd4 && tag <= 0xd8) return this.#extension(1 << (tag - 0xd4));
    if (tag >= 0xd9 && tag <= 0xdb) return this.#text(this.#uint(1 << (tag - 0xd9)));
    if (tag === 0xdc || tag === 0xdd) return this.#array(this.#uint(tag === 0xdc ? 2 : 4), depth);
    if (tag === 0xde || tag === 0xdf) return this.#map(this.#uint(tag === 0xde ? 2 : 4), depth);
    throw new RangeError("the byte c1 is never used");
  }

  #array(count: number, depth: number): unknown[] {
    if (count > this.#bytes.length - this.at) throw new RangeError("an array is cut short");
    const items: unknown[] = [];
    for (let item = 0; item < count; item++) items.push(this.value(depth + 1));
    return items;
  }

  #map(count: number, depth: number): Record<string, unknown> {
    if (count * 2 > this.#bytes.length - this.at) throw new RangeError("a map is cut short");
    const entries: [string, unknown][] = [];
    for (let item = 0; item < count; item++) {
      const key = this.value(depth + 1);
      entries.push([typeof key === "string" ? key : JSON.stringify(key), this.value(depth + 1)]);
    }
    return Object.fromEntries(entries);
  }

  #extension(length: number): unknown {
    const type = this.#view.getInt8(this.#move(1));
    const data = this.#take(length);
    if (type === -1 && length === 4) {
      const seconds = new DataView(data.buffer, data.byteOffset, 4).getUint32(0);
      return new Date(seconds * 1000).toISOString();
    }
    return { extension: type, data: toBase64(data) };
  }

  #text(length: number): string {
    return utf8.decode(this.#take(length));
  }

  #take(length: number): Uint8Array {
    const start = this.#move(length);
    return this.#bytes.subarray(start, start + length);
  }

  #uint(size: number): number {
    const start = this.#move(size);
    if (size === 1) return this.#view.getUint8(start);
    return size === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  /** Steps over `length` bytes; answers where they begin. */
  #move(length: number): number {
    const start = this.at;
    if (length > this.#bytes.length - start) throw new RangeError("the bytes are cut short");
    this.at += length;
    return start;
  }
}

function plain(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
