/**
 * Reads the stable store of versions before the state database: an LMDB file, without LMDB. Only for the conversion.
 * Layout: LMDB's mdb.c, data version 2, little-endian. Values and census: as lmdb-store.ts wrote them.
 *
 *   header page := page-header · magic u32 · data version u32 · address u64 · map size u64 · tree{2} · last page u64 ·
 *                  transaction u64          two of them, written in turn; the trees are that of free pages and the main one
 *   tree        := page size or pad u32 · flags u16 · depth u16 · branch pages u64 · leaf pages u64 ·
 *                  overflow pages u64 · entries u64 · root u64
 *   page-header := number u64 · transaction u64 · pad u16 · flags u16 · (lower u16 upper u16 | overflow pages u32)
 *   page        := page-header · (place u16)*  …free…  node*            places count from the page header's end
 *   node        := low u16 · high u16 · flags u16 · key bytes u16 · key · value, or the number of its first overflow page
 *   key         := text zero             value := crc:u32le msgpack
 */
import { unpack } from "msgpackr";
import { Fault } from "../fault.ts";
import { readU32le } from "../lib/bytes.ts";
import { crc32 } from "../lib/checksum.ts";
import { type Disk, readWhole } from "../lib/disk/disk.ts";
import { outcomeOf } from "./state-image.ts";

const magic = 0xbeefc0de;
const dataVersion = 2;
const pageHeaderBytes = 24;
const headerBytes = 160;
const mainTreeAt = 96;
const nodeBytes = 8;
const [pageBytesMin, pageBytesMax] = [512, 65_536];
const depthMax = 32;
const flag = { branch: 1, leaf: 2, overflow: 4, bigValue: 1 } as const;
const noPage = 2n ** 64n - 1n;
const censusKey = "~census";

export interface LmdbContents {
  readonly rows: ReadonlyMap<string, { readonly value: unknown } | { readonly error: unknown }>;
  /** True if the keys are those that were written. */
  readonly whole: boolean;
}

/**
 * Returns every row of the newest transaction.
 * @throws Fault "corrupt" if its pages are damaged
 */
export function readLmdb(disk: Disk, path: string): LmdbContents {
  const { buffer, byteOffset, length } = readWhole(disk, path);
  const stored = new LmdbFile(path, Buffer.from(buffer, byteOffset, length)).rows();
  const census = stored.get(censusKey);
  stored.delete(censusKey);
  let sum = 0;
  for (const [key, value] of stored) {
    sum = (sum + crc32(Buffer.concat([Buffer.from(key), value.subarray(0, 4)]))) >>> 0;
  }
  const rows = new Map([...stored].map(([key, value]) => [key, outcomeOf(() => decode(path, key, value))]));
  const whole = census === undefined ? stored.size === 0 : isCensus(path, census, stored.size, sum);
  return { rows, whole };
}

function isCensus(path: string, stored: Uint8Array, count: number, sum: number): boolean {
  const found = outcomeOf(() => decode(path, censusKey, stored));
  return "value" in found && Array.isArray(found.value) && found.value[0] === count && found.value[1] === sum;
}

function decode(path: string, key: string, stored: Uint8Array): unknown {
  if (stored.length > 4 && readU32le(stored, 0) === crc32(stored, 4)) return unpack(stored.subarray(4));
  throw new Fault("corrupt", {
    message: `${path} is damaged, the value of ${key} has the wrong checksum`,
    facts: { file: path, position: 0, why: "checksum", key },
  });
}

class LmdbFile {
  readonly #path: string;
  readonly #bytes: Buffer;
  readonly #pageBytes: number;
  readonly #rows = new Map<string, Uint8Array>();

  constructor(path: string, bytes: Buffer) {
    this.#path = path;
    this.#bytes = bytes;
    this.#pageBytes = bytes.length < headerBytes ? 0 : bytes.readUInt32LE(48);
  }

  rows(): Map<string, Uint8Array> {
    const at = this.#newerHeader();
    const root = this.#bytes.readBigUInt64LE(at + mainTreeAt + 40);
    const depth = this.#bytes.readUInt16LE(at + mainTreeAt + 6);
    if (root !== noPage) {
      if (depth === 0 || depth > depthMax) throw this.#damaged(at + mainTreeAt, "tree");
      // Each write changed the main tree, so a root of another transaction belongs to another header.
      const isOwn = this.#page(root).readBigUInt64LE(8) === this.#bytes.readBigUInt64LE(at + 152);
      if (!isOwn) throw this.#damaged(at + 152, "transaction");
      this.#walk(root, depth);
    }
    if (BigInt(this.#rows.size) !== this.#bytes.readBigUInt64LE(at + mainTreeAt + 32)) {
      throw this.#damaged(at + mainTreeAt, "tree");
    }
    return this.#rows;
  }

  #newerHeader(): number {
    const bytes = this.#bytes;
    const size = this.#pageBytes;
    if (size < pageBytesMin || size > pageBytesMax || bytes.length < 2 * size)
      throw this.#damaged(0, "header");
    for (const at of [0, size]) {
      const sound =
        bytes.readUInt32LE(at + 24) === magic &&
        bytes.readUInt32LE(at + 28) === dataVersion &&
        bytes.readUInt32LE(at + 48) === size;
      if (!sound) throw this.#damaged(at, "header");
    }
    const [even, odd] = [bytes.readBigUInt64LE(152), bytes.readBigUInt64LE(size + 152)];
    // Transactions write the two headers alternately, so their numbers differ by one, unless the file is new.
    const inTurn =
      even === odd + 1n ? even % 2n === 0n : odd === even + 1n ? odd % 2n === 1n : even + odd === 0n;
    if (!inTurn) throw this.#damaged(152, "transaction");
    return even > odd ? 0 : size;
  }

  #walk(number: bigint, depth: number): void {
    const page = this.#page(number);
    const position = Number(number) * this.#pageBytes;
    const [flags, lower, upper] = [page.readUInt16LE(18), page.readUInt16LE(20), page.readUInt16LE(22)];
    const bytesMax = this.#pageBytes - pageHeaderBytes;
    if (
      flags !== (depth === 1 ? flag.leaf : flag.branch) ||
      lower > upper ||
      upper > bytesMax ||
      lower % 2 !== 0
    ) {
      throw this.#damaged(position, "page");
    }
    for (let at = 0; at < lower; at += 2) {
      const place = page.readUInt16LE(pageHeaderBytes + at);
      if (place < upper || place + nodeBytes > bytesMax)
        throw this.#damaged(position + pageHeaderBytes + at, "place");
      const node = pageHeaderBytes + place;
      if (depth > 1) this.#walk(BigInt(page.readUIntLE(node, 6)), depth - 1);
      else this.#leaf(page, node, position);
    }
  }

  #leaf(page: Buffer, node: number, position: number): void {
    const valueBytes = page.readUInt32LE(node);
    const [flags, keyBytes] = [page.readUInt16LE(node + 4), page.readUInt16LE(node + 6)];
    const at = node + nodeBytes + keyBytes;
    const here = flags === flag.bigValue ? 8 : valueBytes;
    if (flags > flag.bigValue || keyBytes === 0 || at + here > this.#pageBytes) {
      throw this.#damaged(position + node, "node");
    }
    const key = page.toString("utf8", node + nodeBytes, at).replace(/\0$/, "");
    const value =
      flags === flag.bigValue
        ? this.#overflow(page.readBigUInt64LE(at), valueBytes)
        : page.subarray(at, at + valueBytes);
    this.#rows.set(key, value);
  }

  #overflow(number: bigint, bytes: number): Buffer {
    const page = this.#page(number);
    const at = Number(number) * this.#pageBytes + pageHeaderBytes;
    const pages = Math.ceil((pageHeaderBytes + bytes) / this.#pageBytes);
    const sound = page.readUInt16LE(18) === flag.overflow && page.readUInt32LE(20) === pages;
    if (!sound || at + bytes > this.#bytes.length) throw this.#damaged(at - pageHeaderBytes, "page");
    return this.#bytes.subarray(at, at + bytes);
  }

  #page(number: bigint): Buffer {
    const at = Number(number) * this.#pageBytes;
    if (number < 2n || at + this.#pageBytes > this.#bytes.length) throw this.#damaged(0, "page-number");
    const page = this.#bytes.subarray(at, at + this.#pageBytes);
    if (page.readBigUInt64LE(0) !== number) throw this.#damaged(at, "page");
    return page;
  }

  #damaged(position: number, why: string): Fault {
    return new Fault("corrupt", {
      message: `${this.#path} is damaged at byte ${position} (${why}), its pages are not as LMDB wrote them`,
      facts: { file: this.#path, position, why },
    });
  }
}
