/**
 * Encodes and decodes the layers around the messages of one datagram, outermost first:
 *
 *   [ f4 length label ]  [ 01 nonce ciphertext tag ]  [ 0c crc32:u32be ]  [ 09 {Algo, Buf} ]  [ 07 count lengths parts ] message
 *
 * With a keyring, plaintext is refused. The encoder writes every layer but compression.
 */
import { crc32 } from "node:zlib";
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { encryptionOverheadBytes, type Keyring } from "./keyring.ts";
import { lzwDecode } from "./lzw.ts";
import { messageType } from "./messages.ts";
import { MsgpackReader, malformed } from "./msgpack-reader.ts";

/** How a cluster protects its traffic. */
export interface WireOptions {
  /** Undefined: plaintext. */
  readonly keyring: Keyring | undefined;
  /** memberlist's label, up to 255 bytes. Empty: no label, as the Serf agent has it. */
  readonly label: string;
}

const depthMax = 4;
const decompressedBytesMax = 65_536;
const partsMax = 255;
const compressionRatioMax = 64;

/** The most bytes that the layers of a datagram add, without the compound layer. */
export function packetOverheadBytes(wire: WireOptions): number {
  const label = labelHeader(wire.label).length;
  return label + 5 + (wire.keyring === undefined ? 0 : encryptionOverheadBytes);
}

/** The bytes that the compound layer adds for this number of parts. */
export function compoundBytes(parts: number): number {
  return parts < 2 ? 0 : 2 + 2 * parts;
}

/** Encodes 1 to 255 messages as one datagram. Set `crc` only if the receiver understands the checksum layer. */
export function encodePacket(parts: readonly Uint8Array[], wire: WireOptions, crc: boolean): Buffer {
  assert(parts.length > 0 && parts.length <= partsMax);
  let packet = parts.length === 1 ? Buffer.from(parts[0] as Uint8Array) : encodeCompound(parts);
  if (crc) {
    const header = Buffer.alloc(5);
    header[0] = messageType.hasCrc;
    header.writeUInt32BE(crc32(packet), 1);
    packet = Buffer.concat([header, packet]);
  }
  if (wire.keyring !== undefined) packet = wire.keyring.encrypt(packet, Buffer.from(wire.label));
  return wire.label === "" ? packet : Buffer.concat([labelHeader(wire.label), packet]);
}

/**
 * Returns the messages of a datagram, views of it where possible.
 * @throws Fault "bad-request", or "permission-denied" for a wrong label or key
 */
export function decodePacket(datagram: Buffer, wire: WireOptions): Buffer[] {
  const body = stripLabel(datagram, wire.label);
  const packet = wire.keyring === undefined ? body : decrypt(wire.keyring, body, wire.label);
  const result: DecodedPacket = { messages: [], bytesLeft: decompressedBytesMax };
  decodeLayers(packet, 0, result);
  return result.messages;
}

/** The messages decoded so far, and how many bytes all compressed parts together may still produce. */
interface DecodedPacket {
  readonly messages: Buffer[];
  bytesLeft: number;
}

function decodeLayers(bytes: Buffer, depth: number, into: DecodedPacket): void {
  if (depth > depthMax) throw malformed("it has too many nested layers");
  switch (bytes[0]) {
    case undefined:
      throw malformed("it is empty");
    case messageType.hasCrc:
      if (bytes.length < 5 || crc32(bytes.subarray(5)) !== bytes.readUInt32BE(1)) {
        throw malformed("its checksum does not match");
      }
      decodeLayers(bytes.subarray(5), depth + 1, into);
      return;
    case messageType.compress: {
      const decompressed = decompress(bytes, into.bytesLeft);
      into.bytesLeft -= decompressed.length;
      decodeLayers(decompressed, depth + 1, into);
      return;
    }
    case messageType.compound:
      for (const part of decodeCompound(bytes)) decodeLayers(part, depth + 1, into);
      return;
    default:
      if (into.messages.length === partsMax) throw malformed("it has too many parts");
      into.messages.push(bytes);
  }
}

function encodeCompound(parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(compoundBytes(parts.length));
  header[0] = messageType.compound;
  header[1] = parts.length;
  parts.forEach((part, index) => {
    header.writeUInt16BE(part.length, 2 + 2 * index);
  });
  return Buffer.concat([header, ...parts]);
}

/** Returns the parts of a compound message. Truncated parts at its end are dropped, as memberlist does. */
function decodeCompound(bytes: Buffer): Buffer[] {
  const count = bytes[1] ?? 0;
  let position = 2 + 2 * count;
  if (count === 0 || bytes.length < position) throw malformed("its parts are truncated");
  const parts: Buffer[] = [];
  for (let index = 0; index < count; index++) {
    const size = bytes.readUInt16BE(2 + 2 * index);
    if (position + size > bytes.length) break;
    parts.push(bytes.subarray(position, position + size));
    position += size;
  }
  return parts;
}

/**
 * Decompresses a compress message, type byte included. The ratio is limited to 64: real member states shrink about ten
 * times, and a small message must not cause much work.
 * @throws Fault "bad-request", also for more than `bytesMax` bytes or a larger ratio
 */
export function decompress(bytes: Buffer, bytesMax: number): Buffer {
  const fields = new MsgpackReader(bytes, 1).fields();
  if (fields.uint("Algo") !== 0) throw malformed("its compression is unknown");
  const compressed = fields.raw("Buf", bytes.length);
  const limit = Math.max(decompressedBytesMax, compressed.length * compressionRatioMax);
  return lzwDecode(compressed, Math.min(bytesMax, limit));
}

/** Returns the header of a label. It is empty for the empty label. */
export function labelHeader(label: string): Buffer {
  const text = Buffer.from(label);
  assert(text.length < 256, "a label has at most 255 bytes");
  return text.length === 0 ? text : Buffer.concat([Buffer.from([messageType.label, text.length]), text]);
}

/**
 * Returns the bytes after the label.
 * @throws Fault "permission-denied" if the label is not the expected one
 */
export function stripLabel(bytes: Buffer, label: string): Buffer {
  const expected = labelHeader(label);
  const found = bytes[0] === messageType.label ? bytes.subarray(0, 2 + (bytes[1] ?? 0)) : Buffer.alloc(0);
  if (!found.equals(expected)) {
    throw new Fault("permission-denied", { message: "the gossip label is not that of this cluster" });
  }
  return bytes.subarray(found.length);
}

/**
 * Decrypts one part.
 * @throws Fault "permission-denied" if no key fits
 */
export function decrypt(keyring: Keyring, encrypted: Uint8Array, aad: string | Uint8Array): Buffer {
  const decrypted = keyring.decrypt(encrypted, typeof aad === "string" ? Buffer.from(aad) : aad);
  if (decrypted === undefined) {
    throw new Fault("permission-denied", { message: "no gossip key fits, or the bytes were changed" });
  }
  return decrypted;
}
