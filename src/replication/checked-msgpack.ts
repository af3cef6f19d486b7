/**
 * Packed values from elsewhere: looked over before they are unpacked, so that a few bytes cannot ask for much memory.
 * Pure.
 *
 * Allowed are nil, booleans, numbers, text, bytes, lists and maps, and msgpackr's mark for undefined.
 *
 * Never: unpacks what it did not look over.
 */
import { readU32be } from "../lib/bytes.ts";
import { unpack } from "./entries.ts";

const depthMax = 32;
/** Sizes of what follows the codes 0xca … 0xd3: floats, then integers. */
const numberBytes = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8] as const;

/** The value, or undefined with `ok` false when the bytes are not exactly one allowed value. */
export function unpackChecked(bytes: Uint8Array): { readonly ok: boolean; readonly value: unknown } {
  if (endOfValue(bytes, 0, 0) !== bytes.length || bytes.length === 0) return { ok: false, value: undefined };
  try {
    return { ok: true, value: unpack(bytes) };
  } catch {
    return { ok: false, value: undefined };
  }
}

/** Is it something that unpackChecked takes? */
export const isAllowedMsgpack = (bytes: Uint8Array): boolean => endOfValue(bytes, 0, 0) === bytes.length;

/** Behind the value at `at`; past the end or NaN when it is none. */
function endOfValue(bytes: Uint8Array, at: number, depth: number): number {
  const code = bytes[at];
  if (code === undefined || depth > depthMax) return Number.NaN;
  if (code <= 0x7f || code >= 0xe0) return at + 1;
  if (code <= 0x8f) return endOfValues(bytes, at + 1, (code & 15) * 2, depth);
  if (code <= 0x9f) return endOfValues(bytes, at + 1, code & 15, depth);
  if (code <= 0xbf) return within(bytes, at + 1 + (code & 31));
  if (code >= 0xca && code <= 0xd3) return within(bytes, at + 1 + numberBytes[code - 0xca]!);
  switch (code) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc4:
    case 0xd9:
      return within(bytes, at + 2 + (bytes[at + 1] ?? Number.NaN));
    case 0xc5:
    case 0xda:
      return within(bytes, at + 3 + u16(bytes, at + 1));
    case 0xc6:
    case 0xdb:
      return within(bytes, at + 5 + u32(bytes, at + 1));
    case 0xdc:
      return endOfValues(bytes, at + 3, u16(bytes, at + 1), depth);
    case 0xdd:
      return endOfValues(bytes, at + 5, u32(bytes, at + 1), depth);
    case 0xde:
      return endOfValues(bytes, at + 3, u16(bytes, at + 1) * 2, depth);
    case 0xdf:
      return endOfValues(bytes, at + 5, u32(bytes, at + 1) * 2, depth);
    case 0xd4:
      return bytes[at + 1] === 0 && bytes[at + 2] === 0 ? at + 3 : Number.NaN;
    default:
      return Number.NaN;
  }
}

/** Each value has at least one byte, so a count beyond what is left is none. */
function endOfValues(bytes: Uint8Array, from: number, count: number, depth: number): number {
  if (!(count <= bytes.length - from)) return Number.NaN;
  let at = from;
  for (let n = 0; n < count && at <= bytes.length; n++) at = endOfValue(bytes, at, depth + 1);
  return at;
}

const within = (bytes: Uint8Array, end: number): number => (end <= bytes.length ? end : Number.NaN);
const u16 = (bytes: Uint8Array, at: number): number =>
  at + 2 <= bytes.length ? bytes[at]! * 256 + bytes[at + 1]! : Number.NaN;
const u32 = (bytes: Uint8Array, at: number): number =>
  at + 4 <= bytes.length ? readU32be(bytes, at) : Number.NaN;
