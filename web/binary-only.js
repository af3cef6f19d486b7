/**
 * Stands in for the JSON half of protobuf-es in the built page, which speaks the binary format only: a seventh of
 * the whole script. A call of one of these would be a mistake of ours, so it throws.
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
