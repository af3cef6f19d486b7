/**
 * Finds the JSON members of a message type that hold no text: numbers, enums, booleans and messages.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";

/** Scalar types in google.protobuf.FieldDescriptorProto.Type. */
const text = { string: 9, bytes: 12 } as const;
const cache = new WeakMap<DescMessage, ReadonlySet<string>>();

/**
 * Returns the field names, in both spellings, that never hold text in the message or in messages nested in it. Cached by
 * message type.
 */
export function noTextNames(message: DescMessage): ReadonlySet<string> {
  let names = cache.get(message);
  if (names === undefined) {
    const fields = fieldsOf(message);
    const texts = new Set(fields.filter(isText).flatMap(spellings));
    names = new Set(fields.flatMap(spellings).filter((name) => !texts.has(name)));
    cache.set(message, names);
  }
  return names;
}

/** Returns the fields of the message and of all nested messages. */
function fieldsOf(message: DescMessage): readonly DescField[] {
  const messages = new Set([message]);
  for (const { fields } of messages) {
    for (const field of fields) if (field.message !== undefined) messages.add(field.message);
  }
  return [...messages].flatMap(({ fields }) => fields);
}

// The keys of a map can have any name.
const isText = (field: DescField): boolean =>
  field.fieldKind === "map" || field.scalar === text.string || field.scalar === text.bytes;

const spellings = ({ name, jsonName }: DescField): string[] => [name, jsonName];
