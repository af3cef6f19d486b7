/**
 * The head of a database: whose it is, and as of which Raft index its rows are. Pure.
 *
 *   head := crc:u32 directory[16] generation:u64 index:u64 count:u64 value         little-endian; crc of the rest
 */
import { readU32le, readU64le, writeU32le, writeU64le } from "../../lib/bytes.ts";
import { crc32 } from "../../lib/checksum.ts";
import type { RowsHead, RowsIdentity } from "../rows.ts";

const valueAt = 44;

export interface HeadRecord {
  readonly identity: RowsIdentity;
  readonly head: RowsHead;
}

export function encodeHead({ directoryId, generation }: RowsIdentity, head: RowsHead): Uint8Array {
  const bytes = new Uint8Array(valueAt + head.value.length);
  bytes.set(directoryId, 4);
  writeU64le(bytes, 20, generation);
  writeU64le(bytes, 28, head.index);
  writeU64le(bytes, 36, head.count);
  bytes.set(head.value, valueAt);
  writeU32le(bytes, 0, crc32(bytes, 4));
  return bytes;
}

/** Returns undefined for damaged bytes. */
export function decodeHead(bytes: Uint8Array): HeadRecord | undefined {
  if (bytes.length < valueAt || readU32le(bytes, 0) !== crc32(bytes, 4)) return undefined;
  const identity = { directoryId: bytes.slice(4, 20), generation: readU64le(bytes, 20) };
  const head = { index: readU64le(bytes, 28), count: readU64le(bytes, 36), value: bytes.slice(valueAt) };
  return { identity, head };
}
