/**
 * Messages as plain JSON objects for scripts: field names as in the contract, 64-bit numbers as numbers, zeros shown.
 * Pure.
 *
 * Never: prints.
 */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";

/** `toJson` with numbers: every 64-bit field of ours stays below 2^53. Bytes become base64. */
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
