/**
 * Decodes the head of one msgpack value: its type, the size of the head, and what follows. The reader and the stream
 * scanner share this table. Old and new forms are accepted, because Serf accepts str8 and bin8.
 */

export type Token =
  | { readonly kind: "nil" | "true" | "false"; readonly head: number }
  | { readonly kind: "number"; readonly head: number; readonly value: number }
  /** `size` bytes follow. */
  | { readonly kind: "raw"; readonly head: number; readonly size: number }
  /** `size` values, or pairs of values, follow. */
  | { readonly kind: "array" | "map"; readonly head: number; readonly size: number };

/** Decodes the head at `at`. */
export function tokenAt(bytes: Buffer, at: number): Token | "truncated" | "unknown" {
  const left = bytes.length - at;
  if (left < 1) return "truncated";
  const first = bytes[at] as number;
  if (first < 0x80) return { kind: "number", head: 1, value: first };
  if (first < 0x90) return { kind: "map", head: 1, size: first & 0x0f };
  if (first < 0xa0) return { kind: "array", head: 1, size: first & 0x0f };
  if (first < 0xc0) return { kind: "raw", head: 1, size: first & 0x1f };
  if (first >= 0xe0) return { kind: "number", head: 1, value: first - 0x100 };
  if (first === 0xc0) return { kind: "nil", head: 1 };
  if (first === 0xc2) return { kind: "false", head: 1 };
  if (first === 0xc3) return { kind: "true", head: 1 };
  const width = widths[first];
  if (width === undefined) return "unknown";
  if (left < 1 + width) return "truncated";
  return wide(bytes, first, at + 1, 1 + width);
}

/** First byte → the number of bytes in the head after it. */
const widths: Readonly<Record<number, number>> = {
  196: 1, // bin8
  197: 2,
  198: 4,
  202: 4, // float
  203: 8,
  204: 1, // unsigned
  205: 2,
  206: 4,
  207: 8,
  208: 1, // signed
  209: 2,
  210: 4,
  211: 8,
  217: 1, // str8
  218: 2,
  219: 4,
  220: 2, // array
  221: 4,
  222: 2, // map
  223: 4,
};

function wide(bytes: Buffer, first: number, at: number, head: number): Token {
  const unsigned = (): number => (head === 2 ? bytes.readUInt8(at) : bytes.readUIntBE(at, head - 1));
  switch (first) {
    case 0xc4:
    case 0xc5:
    case 0xc6:
    case 0xd9:
    case 0xda:
    case 0xdb:
      return { kind: "raw", head, size: unsigned() };
    case 0xdc:
    case 0xdd:
      return { kind: "array", head, size: unsigned() };
    case 0xde:
    case 0xdf:
      return { kind: "map", head, size: unsigned() };
    case 0xca:
      return { kind: "number", head, value: bytes.readFloatBE(at) };
    case 0xcb:
      return { kind: "number", head, value: bytes.readDoubleBE(at) };
    case 0xcf:
      return { kind: "number", head, value: Number(bytes.readBigUInt64BE(at)) };
    case 0xd3:
      return { kind: "number", head, value: Number(bytes.readBigInt64BE(at)) };
    case 0xd0:
    case 0xd1:
    case 0xd2:
      return { kind: "number", head, value: bytes.readIntBE(at, head - 1) };
    default:
      return { kind: "number", head, value: unsigned() };
  }
}
