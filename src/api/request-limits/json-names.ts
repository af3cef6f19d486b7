/**
 * The members of a message's JSON that hold no text: numbers, enums, booleans, and messages. Pure.
 */
import type { DescField, DescMessage } from "@bufbuild/protobuf";

const text = { string: 9, bytes: 12 } as const;
const found = new WeakMap<DescMessage, ReadonlySet<string>>();

/**
 * Names, in both spellings, that stand for text nowhere in the message or in those nested in it. Found once for each
 * message.
 */
export function noTextNames(message: DescMessage): ReadonlySet<string> {
  let names = found.get(message);
  if (names === undefined) {
    const fields = fieldsOf(message);
    const texts = new Set(fields.filter(isText).flatMap(spellings));
    names = new Set(fields.flatMap(spellings).filter((name) => !texts.has(name)));
    found.set(message, names);
  }
  return names;
}

/** The fields of the message and of all nested ones. */
function fieldsOf(message: DescMessage): readonly DescField[] {
  const messages = new Set([message]);
  for (const { fields } of messages) {
    for (const field of fields) if (field.message !== undefined) messages.add(field.message);
  }
  return [...messages].flatMap(({ fields }) => fields);
}

// Keys of a map are names of any kind.
const isText = (field: DescField): boolean =>
  field.fieldKind === "map" || field.scalar === text.string || field.scalar === text.bytes;

const spellings = ({ name, jsonName }: DescField): string[] => [name, jsonName];
