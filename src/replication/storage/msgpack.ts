/**
 * msgpack of values, and the check of msgpack from peers and files: it is validated before it is unpacked, so that a few
 * bytes cannot cause a large allocation. Pure.
 *
 * Allowed are nil, booleans, numbers, text, bytes, lists and maps, and the extension by which msgpackr encodes undefined.
 */
import { Packr } from "msgpackr";
import { readU32be } from "../../lib/bytes.ts";

/** Plain maps and no shared structures, so that each value can be unpacked alone. */
const packr = new Packr({ useRecords: false });

export const pack = (value: unknown): Uint8Array => packr.pack(value);
/** Unpacks bytes that were checked or that this node wrote. Throws on malformed bytes. */
export const unpack = (bytes: Uint8Array): unknown => packr.unpack(bytes);

const depthMax = 32;
/** The sizes of the values behind the codes 0xca … 0xd3: floats, then integers. */
const numberBytes = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8] as const;

/** Unpacks one value. `ok` is false if the bytes are not exactly one allowed value. */
export function unpackChecked(bytes: Uint8Array): { readonly ok: boolean; readonly value: unknown } {
  if (endOfValue(bytes, 0, 0) !== bytes.length || bytes.length === 0) return { ok: false, value: undefined };
  try {
    return { ok: true, value: unpack(bytes) };
  } catch {
    return { ok: false, value: undefined };
  }
}

/** Returns true if the bytes are exactly one allowed value. */
export const isAllowedMsgpack = (bytes: Uint8Array): boolean => endOfValue(bytes, 0, 0) === bytes.length;

/** The position behind the allowed value at `at`; beyond the end or NaN if there is none. */
export const endOfMsgpack = (bytes: Uint8Array, at: number): number => endOfValue(bytes, at, 0);

/** Returns the head of the list or map at `at`: how many values or pairs it has, and where the first one begins. */
export function headOfMsgpack(
  bytes: Uint8Array,
  at: number,
): { readonly kind: "list" | "map"; readonly count: number; readonly first: number } | undefined {
  const code = bytes[at] ?? 0;
  if (code >= 0x80 && code <= 0x8f) return { kind: "map", count: code & 15, first: at + 1 };
  if (code >= 0x90 && code <= 0x9f) return { kind: "list", count: code & 15, first: at + 1 };
  if (code < 0xdc || code > 0xdf) return undefined;
  const kind = code <= 0xdd ? "list" : "map";
  const isLong = code === 0xdd || code === 0xdf;
  const count = isLong ? u32(bytes, at + 1) : u16(bytes, at + 1);
  return { kind, count, first: at + (isLong ? 5 : 3) };
}

/** Returns the position behind the value at `at`. Beyond the end or NaN if there is no allowed value. */
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

/** Each value has at least one byte, so a count above the remaining bytes is malformed. */
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
