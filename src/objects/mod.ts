/** Stores of objects: a bucket of S3, or a directory. */
export type { ObjectEntry, ObjectStore, ObjectWriter } from "./object-store.ts";
export { checkStoreUrl, openStore } from "./open-store.ts";
export type { RetryNotice } from "./s3/s3-connection.ts";
export { encryptions, type S3Flags } from "./s3/s3-settings.ts";
export { checkEndpoint } from "./s3/s3-url.ts";
