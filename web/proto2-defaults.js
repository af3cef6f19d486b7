/**
 * Replaces protobuf-es' parser of default values in the built page. Only descriptor.proto has default values there, and
 * they are booleans and enum values. Strings, bytes and numbers would need 0.7 kB more.
 */
export function parseTextFormatEnumValue({ values }, text) {
  return values.find(({ name }) => name === text).number;
}

export function parseTextFormatScalarValue(_type, text) {
  if (text !== "true" && text !== "false") throw new Error(`the default value ${text} is not a boolean`);
  return text === "true";
}
