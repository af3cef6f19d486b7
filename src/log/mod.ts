/**
 * The log room: batches as frames on disk, and the commit log of one node. FORMAT.md has the bytes.
 */
export * from "./frame.ts";
export * from "./record.ts";
export * from "./record-walk.ts";
