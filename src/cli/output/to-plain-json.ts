/**
 * Converts messages to plain JSON objects for scripts: field names as in the .proto files, 64-bit integers as numbers, and
 * zeros included.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

/** Unlike `toJson` it keeps numbers: all our 64-bit fields are below 2^53. Bytes become base64. */
export function toPlainJson<Desc extends DescMessage>(
  desc: Desc,
  message: MessageShape<Desc>,
): Record<string, unknown> {
  const values = message as unknown as Record<string, unknown>;
  const object: Record<string, unknown> = {};
  for (const field of desc.fields) {
    const value = values[field.localName];
    if (field.fieldKind === "message") {
      if (value !== undefined) object[field.name] = toPlainJson(field.message, value as never);
    } else if (field.fieldKind === "list" && field.listKind === "message") {
      object[field.name] = (value as unknown[]).map((item) => toPlainJson(field.message, item as never));
    } else object[field.name] = scalar(value);
  }
  return object;
}

function scalar(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return Array.isArray(value) ? value.map(scalar) : value;
}
