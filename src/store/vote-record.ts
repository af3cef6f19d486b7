/**
 * Encodes and decodes the records of the vote file. Pure.
 *
 *   record  := "TRLVOTE1" sequence:u64 bytes:u32 crc:u32 payload[bytes]           little-endian
 *   payload := flags:u8 term:u64 vote:u64 life:u64 count:u64 nonces:u8 nonce[8]*   flags: 1 vote, 2 boot, 4 boot has a nonce
 *   receipt := "TRLRCPT1" vote:u64 state:u64 crc:u32
 *
 * Each crc covers every byte of its record or receipt except its own four.
 */

import { assert } from "../lib/assert.ts";
import { readU32le, readU64le, writeU32le, writeU64le } from "../lib/bytes.ts";
import { crc32 } from "../lib/checksum.ts";
import { fieldsOf } from "../lib/fields.ts";

/** Term and vote, and the last start of the directory, as the vote file keeps them. */
export interface VoteRecord {
  readonly vote: { readonly term: number; readonly vote: number } | undefined;
  readonly boot: BootRecord | undefined;
}

/** The last start of a directory, see boot.ts of the replication module. Nonces are 16 hexadecimal digits. */
export interface BootRecord {
  readonly life: number;
  readonly count: number;
  /** "" after a repair, before the next start. */
  readonly nonce: string;
  readonly earlier: readonly string[];
}

/** The number of durable writes of the vote file and of the state database when the receipt was written. */
export interface Receipt {
  readonly vote: number;
  readonly state: number;
}

export const emptyVote: VoteRecord = { vote: undefined, boot: undefined };
const receiptBytes = 28;

const recordMagic = Buffer.from("TRLVOTE1", "latin1");
const receiptMagic = Buffer.from("TRLRCPT1", "latin1");
const headerBytes = 24;
const fixedBytes = 34;
const nonceBytes = 8;
const noncesMax = 100;
const flag = { vote: 1, boot: 2, nonce: 4 } as const;

export function encodeVote(sequence: number, { vote, boot }: VoteRecord): Uint8Array {
  const ownNonce = boot === undefined || boot.nonce === "" ? [] : [boot.nonce];
  const nonces = [...ownNonce, ...(boot?.earlier ?? [])];
  assert(nonces.length <= noncesMax, "too many boot numbers");
  const bytes = new Uint8Array(headerBytes + fixedBytes + nonces.length * nonceBytes);
  bytes.set(recordMagic);
  writeU64le(bytes, 8, sequence);
  writeU32le(bytes, 16, bytes.length - headerBytes);
  const at = headerBytes;
  bytes[at] =
    (vote === undefined ? 0 : flag.vote) |
    (boot === undefined ? 0 : flag.boot) |
    (ownNonce.length === 0 ? 0 : flag.nonce);
  for (const [k, value] of [vote?.term, vote?.vote, boot?.life, boot?.count].entries())
    writeU64le(bytes, at + 1 + 8 * k, value ?? 0);
  bytes[at + 33] = nonces.length;
  for (const [k, nonce] of nonces.entries()) {
    const raw = Buffer.from(nonce, "hex");
    assert(raw.length === nonceBytes, "a nonce has 16 hexadecimal digits");
    bytes.set(raw, at + fixedBytes + nonceBytes * k);
  }
  writeU32le(bytes, 20, checksum(bytes, 20));
  return bytes;
}

/** Decodes the record at the start of `bytes`. Returns undefined if there is none with a valid checksum. */
export function decodeVote(bytes: Uint8Array): { sequence: number; record: VoteRecord } | undefined {
  if (bytes.length < headerBytes || !beginsWith(bytes, recordMagic)) return undefined;
  const size = headerBytes + readU32le(bytes, 16);
  const record = bytes.subarray(0, size);
  if (record.length < size || size < headerBytes + fixedBytes) return undefined;
  if (readU32le(record, 20) !== checksum(record, 20)) return undefined;
  const at = headerBytes;
  const [flags, count] = [record[at]!, record[at + 33]!];
  if (size !== at + fixedBytes + count * nonceBytes) return undefined;
  const [term = 0, voted = 0, life = 0, starts = 0] = [0, 1, 2, 3].map((k) =>
    readU64le(record, at + 1 + 8 * k),
  );
  const nonces = Array.from({ length: count }, (_, k) =>
    Buffer.from(record.subarray(at + fixedBytes + nonceBytes * k).subarray(0, nonceBytes)).toString("hex"),
  );
  const nonce = (flags & flag.nonce) === 0 ? "" : (nonces.shift() ?? "");
  return {
    sequence: readU64le(record, 8),
    record: {
      vote: (flags & flag.vote) === 0 ? undefined : { term, vote: voted },
      boot: (flags & flag.boot) === 0 ? undefined : { life, count: starts, nonce, earlier: nonces },
    },
  };
}

export function encodeReceipt({ vote, state }: Receipt): Uint8Array {
  const bytes = new Uint8Array(receiptBytes);
  bytes.set(receiptMagic);
  writeU64le(bytes, 8, vote);
  writeU64le(bytes, 16, state);
  writeU32le(bytes, 24, checksum(bytes, 24));
  return bytes;
}

/** A torn or damaged receipt counts as one of no writes. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const receipt = bytes.subarray(0, receiptBytes);
  const sound =
    receipt.length === receiptBytes &&
    beginsWith(receipt, receiptMagic) &&
    readU32le(receipt, 24) === checksum(receipt, 24);
  return sound ? { vote: readU64le(receipt, 8), state: readU64le(receipt, 16) } : { vote: 0, state: 0 };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** Returns the vote in the value of its key. @throws AssertionFailed for anything else */
export function voteOf(value: unknown): VoteRecord["vote"] {
  if (value === undefined) return undefined;
  const { term, vote } = fieldsOf(value);
  assert(isCount(term) && isCount(vote), "a vote has a term and a peer");
  return { term, vote };
}

/** Returns the boot in the value of its key. @throws AssertionFailed for anything else */
export function bootOf(value: unknown): VoteRecord["boot"] {
  if (value === undefined) return undefined;
  const { life, count, nonce, earlier } = fieldsOf(value);
  assert(
    isCount(life) && isCount(count) && typeof nonce === "string" && Array.isArray(earlier),
    "a boot number",
  );
  return { life, count, nonce, earlier: earlier.map(String) };
}

const beginsWith = (bytes: Uint8Array, magic: Uint8Array): boolean =>
  Buffer.compare(bytes.subarray(0, magic.length), magic) === 0;

/** The checksum of all bytes except the four at `at`. */
const checksum = (bytes: Uint8Array, at: number): number =>
  crc32(bytes, at + 4, bytes.length, crc32(bytes, 0, at));
