/**
 * The port of a store of objects: a bucket, or a directory. An object is written as a whole or not at all, and is replaced or
 * deleted as a whole. Keys are relative to the prefix of the store.
 *
 *   key := segment ("/" segment)*        segment := letters, digits, ".", "-" and "_", not beginning with "."
 */
import { Fault } from "../fault.ts";

export interface ObjectEntry {
  readonly key: string;
  readonly bytes: number;
  /** Time since the object was written, in ms, by the clock of the store. */
  readonly ageMs: number;
}

/** What must hold for a write: there is no object, or it is the one with this tag. */
export type WriteCondition = { readonly ifAbsent: true } | { readonly ifTag: string };

/**
 * Called before each attempt of a write. Returns how long the attempt may take, in ms, beside the time that its bytes take. Throws
 * if the write must not happen any more.
 */
export type WriteGuard = () => number;

/** Writes one object from parts in order. Without `finish` there is no object. */
export interface ObjectWriter {
  /** Resolves when the next part may come. The writer keeps `data`. */
  write(data: Uint8Array): Promise<void>;
  /** Resolves when the object is durable. An object that was there already is kept: one key always has the same bytes. */
  finish(): Promise<void>;
  /** Gives up. What was sent is removed, if the store can be reached. */
  abandon(): Promise<void>;
}

/**
 * All methods retry what may pass, up to a limit, and reject with Faults: "not-found" without a bucket or a directory,
 * "permission-denied", "config" without credentials, "unavailable" when all attempts failed, "corrupt" for an answer that is
 * not valid, "canceled".
 */
export interface ObjectStore {
  /** For messages: `s3://bucket/prefix`, or a directory. */
  readonly url: string;
  /** Writes a small object. Returns its tag, or undefined if the condition does not hold. */
  put(
    key: string,
    data: Uint8Array,
    condition?: WriteCondition,
    guard?: WriteGuard,
  ): Promise<string | undefined>;
  /** Begins an object of this size, which may be large. */
  create(key: string, bytes: number): ObjectWriter;
  /** Returns the size in bytes; undefined without such an object. */
  size(key: string): Promise<number | undefined>;
  /** Reads `bytes` from `position` on, fewer only at the end. Undefined without such an object. */
  read(key: string, position: number, bytes: number): Promise<Uint8Array | undefined>;
  /** Reads an object of at most `bytesMax`, with its tag. Undefined without such an object. @throws Fault "corrupt" if it is larger */
  readWhole(
    key: string,
    bytesMax: number,
  ): Promise<{ readonly data: Uint8Array; readonly tag: string } | undefined>;
  /** Yields the objects whose key begins with `prefix`, in any order. An object of the last moments can be missing. */
  list(prefix: string): AsyncIterable<ObjectEntry>;
  /** Deletes an object. No error without one. */
  delete(key: string, guard?: WriteGuard): Promise<void>;
  /** Removes the parts of all objects below the prefix that were begun and not finished. Returns how many objects. */
  removeUnfinished(): Promise<number>;
}

const validKey = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** @throws Fault "corrupt" for a key that could lead out of the prefix */
export function checkKey(key: string): string {
  if (key.length <= 900 && validKey.test(key)) return key;
  throw new Fault("corrupt", { message: `"${key}" is not a valid name of an object` });
}

export const isValidKey = (key: string): boolean => validKey.test(key);
