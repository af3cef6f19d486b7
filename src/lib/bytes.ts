/**
 * Fixed-width integers and varints in byte arrays. They run for every record, so they use no DataView (which costs
 * several times as much), do not allocate and do not check bounds: the callers check once.
 */
import { assert } from "./assert.ts";

const twoTo32 = 0x1_0000_0000;

export function readU32be(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

export function writeU32be(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function readU32le(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

export function writeU32le(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Eight bytes as a number. Values above 2^53 are rounded. A caller that can get such values checks isSafeInteger. */
export function readU64le(bytes: Uint8Array, at: number): number {
  return readU32le(bytes, at) + readU32le(bytes, at + 4) * twoTo32;
}

/** The value must be a safe integer, not negative. */
export function writeU64le(bytes: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0, "not a whole number of 53 bits");
  writeU32le(bytes, at, value % twoTo32);
  writeU32le(bytes, at + 4, Math.floor(value / twoTo32));
}

export function readBigU64le(bytes: Uint8Array, at: number): bigint {
  return BigInt(readU32le(bytes, at)) | (BigInt(readU32le(bytes, at + 4)) << 32n);
}

export function writeBigU64le(bytes: Uint8Array, at: number, value: bigint): void {
  writeU32le(bytes, at, Number(value & 0xffffffffn));
  writeU32le(bytes, at + 4, Number((value >> 32n) & 0xffffffffn));
}

/** Returns the length in bytes of the varint of a safe, non-negative integer. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  let bytes = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes a safe, non-negative integer as a varint. Returns the position after it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest >= 0x80) {
    bytes[to++] = (rest % 0x80) | 0x80;
    rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
  }
  bytes[to++] = rest;
  return to;
}

/**
 * Returns the varint at `at`, whose bytes must all be before `end`. Returns −1 if it does not end there, is longer than
 * ten bytes or exceeds 2^53. varintEnd() returns its end, so that nothing is allocated.
 */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  let scale = 1;
  for (let from = at; from < end && from < at + 10; from++) {
    const byte = bytes[from]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return Number.isSafeInteger(value) ? value : -1;
    scale *= 0x80;
  }
  return -1;
}

/** Returns the position after the varint at `at`, or −1 if it does not end before `end` or within ten bytes. */
export function varintEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let from = at; from < end && from < at + 10; from++) if (bytes[from]! < 0x80) return from + 1;
  return -1;
}

/**
 * Returns the position after the length-delimited value whose length is at `at`, or −1 if it does not end before `end`.
 * Any other result is at least `at + 1`, so a walk that stops at −1 always advances.
 */
export function delimitedEnd(bytes: Uint8Array, at: number, end: number): number {
  // Most lengths take one byte.
  if (at < end && bytes[at]! < 0x80) return bytes[at]! > end - at - 1 ? -1 : at + 1 + bytes[at]!;
  const length = readVarint(bytes, at, end);
  if (length < 0) return -1;
  const body = varintEnd(bytes, at, end);
  return length > end - body ? -1 : body + length;
}

/** Lower-case hex, for uuids and messages. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(text: string): Uint8Array {
  assert(/^([0-9a-f]{2})*$/.test(text), "not hex");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
