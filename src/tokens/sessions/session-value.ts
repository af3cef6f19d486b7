/**
 * What the cookie of a session holds, before it is sealed. Pure.
 *
 *   session := id[16] expires:u64 token      big-endian; expires in ms since 1970; the token is compressed (RFC 1951)
 *
 * Compression makes up for the base64 of the cookie: a browser keeps 4 KB.
 */
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { tokenBytesMax } from "../limits.ts";

export interface SessionValue {
  /** 16 bytes in base64url, from newSessionId(). */
  readonly id: string;
  readonly expiresMs: number;
  readonly token: string;
}

const idBytes = 16;
const headBytes = idBytes + 8;

export function encodeSession({ id, expiresMs, token }: SessionValue): Uint8Array {
  const head = Buffer.alloc(headBytes);
  head.set(Buffer.from(id, "base64url"), 0);
  head.writeBigUInt64BE(BigInt(expiresMs), idBytes);
  const options = { level: 9, strategy: constants.Z_HUFFMAN_ONLY };
  return Buffer.concat([head, deflateRawSync(token, options)]);
}

/** Returns undefined for bytes that are not a session. */
export function decodeSession(bytes: Uint8Array): SessionValue | undefined {
  if (bytes.length <= headBytes) return undefined;
  const head = Buffer.from(bytes.subarray(0, headBytes));
  try {
    const token = inflateRawSync(bytes.subarray(headBytes), { maxOutputLength: tokenBytesMax });
    return {
      id: head.toString("base64url", 0, idBytes),
      expiresMs: Number(head.readBigUInt64BE(idBytes)),
      token: token.toString("latin1"),
    };
  } catch {
    return undefined;
  }
}
