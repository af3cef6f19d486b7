/**
 * Replaces the JSON part of protobuf-es in the built page, which uses the binary format only. This saves a seventh of the
 * script. A call of one of these functions is a bug, so it throws.
 */
const absent = () => {
  throw new Error("the dashboard is built without protobuf's JSON format");
};
export const fromJson = absent;
export const fromJsonString = absent;
export const mergeFromJson = absent;
export const mergeFromJsonString = absent;
export const enumFromJson = absent;
export const isEnumJson = absent;
export const toJson = absent;
export const toJsonString = absent;
export const enumToJson = absent;
