/**
 * A row of the state database: a key, and a checksum of both before its value in msgpack. Pure.
 *
 *   value := crc:u32 body          little-endian; crc covers the key in UTF-8 and the body
 */
import { Packr } from "msgpackr";
import { Fault } from "../fault.ts";
import { readU32le, writeU32le } from "../lib/bytes.ts";
import { crc32 } from "../lib/checksum.ts";

const packr = new Packr({ useRecords: false, moreTypes: true });
const crcBytes = 4;

export function encodeRow(key: string, value: unknown): Uint8Array {
  const body = packr.pack(value);
  const stored = new Uint8Array(crcBytes + body.length);
  stored.set(body, crcBytes);
  writeU32le(stored, 0, checksum(key, stored));
  return stored;
}

/** Returns the value. `file` is for the message. @throws Fault "corrupt" */
export function decodeRow(file: string, key: string, stored: Uint8Array): unknown {
  if (isSoundRow(key, stored)) return packr.unpack(stored.subarray(crcBytes));
  throw new Fault("corrupt", {
    message: `${file} is damaged, the value of ${key} has the wrong checksum`,
    facts: { file, position: 0, why: "checksum", key },
  });
}

export const isSoundRow = (key: string, stored: Uint8Array): boolean =>
  stored.length > crcBytes && readU32le(stored, 0) === checksum(key, stored);

/** Returns the checksum in a row. */
export const markOf = (stored: Uint8Array): number => (stored.length < crcBytes ? 0 : readU32le(stored, 0));

const checksum = (key: string, stored: Uint8Array): number =>
  crc32(stored, crcBytes, stored.length, crc32(Buffer.from(key)));
