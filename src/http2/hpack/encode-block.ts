/**
 * Writes header blocks (RFC 7541 §6) without the dynamic table and without Huffman coding. A block does not depend on
 * the connection: it can be kept and sent on any of them.
 */
import { type Field, staticTable } from "./static-table.ts";

const indexOfName = new Map(staticTable.map(([name], at) => [name, at + 1] as const).reverse());
const indexOfField = new Map(staticTable.map(([name, value], at) => [`${name}\n${value}`, at + 1] as const));

/** The first bits of a field representation (RFC 7541 §6.1 and §6.2.2). */
const indexed = 0x80;
const literalWithoutIndexing = 0;

/** Encodes the fields as one header block. Names must be in lower case, values Latin-1. */
export function encodeBlock(fields: Iterable<Field>): Buffer {
  const bytes: number[] = [];
  for (const [name, value] of fields) {
    const fieldIndex = indexOfField.get(`${name}\n${value}`);
    if (fieldIndex !== undefined) {
      writeInteger(bytes, indexed, 7, fieldIndex);
      continue;
    }
    const nameIndex = indexOfName.get(name);
    writeInteger(bytes, literalWithoutIndexing, 4, nameIndex ?? 0);
    if (nameIndex === undefined) writeString(bytes, name);
    writeString(bytes, value);
  }
  return Buffer.from(bytes);
}

/** RFC 7541 §5.1. */
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

/** RFC 7541 §5.2, without Huffman coding. */
function writeString(bytes: number[], text: string): void {
  const raw = Buffer.from(text, "latin1");
  writeInteger(bytes, 0, 7, raw.length);
  for (const byte of raw) bytes.push(byte);
}
