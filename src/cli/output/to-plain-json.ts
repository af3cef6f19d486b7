/**
 * Converts messages to plain JSON objects for scripts: field names as in the .proto files, 64-bit integers as numbers, and
 * zeros included.
 */
import { type DescMessage, isMessage, type MessageShape } from "@bufbuild/protobuf";

/** Unlike `toJson` it keeps numbers: all our 64-bit fields are below 2^53. Bytes become base64. */
export function toPlainJson<Desc extends DescMessage>(
  desc: Desc,
  message: MessageShape<Desc>,
): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const field of desc.fields) {
    const value: unknown = Reflect.get(message, field.localName);
    if (field.fieldKind !== "message" || value !== undefined)
      object[field.name] = jsonOf(value, field.message);
  }
  return object;
}

/** Converts the value of a field. `desc` is the type of a message, or of the messages in a list. */
function jsonOf(value: unknown, desc: DescMessage | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => jsonOf(item, desc));
  if (desc !== undefined && isMessage(value, desc)) return toPlainJson(desc, value);
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}
