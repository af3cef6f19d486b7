/**
 * The layers around the messages of one datagram, outermost first:
 *
 *   [ f4 length label ]  [ 01 nonce ciphertext tag ]  [ 0c crc32:u32be ]  [ 09 {Algo, Buf} ]  [ 07 count lengths parts ] message
 *
 * With a keyring, plaintext is refused. We send every layer but compression, which we only undo.
 *
 * Never: unpacks without a limit on bytes, depth and parts; reads a message.
 */
import { crc32 } from "node:zlib";
import { Fault } from "../../fault.ts";
import { assert } from "../../lib/assert.ts";
import { encryptionOverheadBytes, type Keyring } from "./keyring.ts";
import { lzwDecode } from "./lzw.ts";
import { messageType } from "./messages.ts";
import { MsgpackReader, malformed } from "./msgpack-reader.ts";

/** How a cluster wraps its traffic. */
export interface WireOptions {
  /** Undefined: plaintext. */
  readonly keyring: Keyring | undefined;
  /** Up to 255 bytes of text; empty: none, as the Serf agent has it. */
  readonly label: string;
}

const depthMax = 4;
const unpackedBytesMax = 65_536;
const partsMax = 255;
const ratioMax = 64;

/** What the layers of a datagram may cost at most, without those of the parts. */
export function packetOverheadBytes(wrapping: WireOptions): number {
  const label = labelHeader(wrapping.label).length;
  return label + 5 + (wrapping.keyring === undefined ? 0 : encryptionOverheadBytes);
}

/** What the compound layer costs for so many parts. */
export function compoundBytes(parts: number): number {
  return parts < 2 ? 0 : 2 + 2 * parts;
}

/** One datagram from 1 to 255 messages. `crc`: the receiver is known to understand the checksum. */
export function encodePacket(parts: readonly Uint8Array[], wrapping: WireOptions, crc: boolean): Buffer {
  assert(parts.length > 0 && parts.length <= partsMax);
  let packet = parts.length === 1 ? Buffer.from(parts[0] as Uint8Array) : compound(parts);
  if (crc) {
    const header = Buffer.alloc(5);
    header[0] = messageType.hasCrc;
    header.writeUInt32BE(crc32(packet), 1);
    packet = Buffer.concat([header, packet]);
  }
  if (wrapping.keyring !== undefined) packet = wrapping.keyring.encrypt(packet, Buffer.from(wrapping.label));
  return wrapping.label === "" ? packet : Buffer.concat([labelHeader(wrapping.label), packet]);
}

/** The messages of a datagram. Throws Fault "bad-request", or "permission-denied" for a wrong label or key. */
export function decodePacket(datagram: Buffer, wrapping: WireOptions): Buffer[] {
  const sealed = stripLabel(datagram, wrapping.label);
  const packet = wrapping.keyring === undefined ? sealed : decrypt(wrapping.keyring, sealed, wrapping.label);
  const unpacked: Unpacked = { messages: [], bytesLeft: unpackedBytesMax };
  unpack(packet, 0, unpacked);
  return unpacked.messages;
}

/** What came out of a datagram so far, and what may yet come out of its compressed parts, all of them together. */
interface Unpacked {
  readonly messages: Buffer[];
  bytesLeft: number;
}

function unpack(bytes: Buffer, depth: number, into: Unpacked): void {
  if (depth > depthMax) throw malformed("it is wrapped too often");
  switch (bytes[0]) {
    case undefined:
      throw malformed("it is empty");
    case messageType.hasCrc:
      if (bytes.length < 5 || crc32(bytes.subarray(5)) !== bytes.readUInt32BE(1)) {
        throw malformed("its checksum does not fit");
      }
      unpack(bytes.subarray(5), depth + 1, into);
      return;
    case messageType.compress: {
      const plain = decompress(bytes, into.bytesLeft);
      into.bytesLeft -= plain.length;
      unpack(plain, depth + 1, into);
      return;
    }
    case messageType.compound:
      for (const part of split(bytes)) unpack(part, depth + 1, into);
      return;
    default:
      if (into.messages.length === partsMax) throw malformed("it has too many parts");
      into.messages.push(bytes);
  }
}

function compound(parts: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(compoundBytes(parts.length));
  header[0] = messageType.compound;
  header[1] = parts.length;
  parts.forEach((part, at) => {
    header.writeUInt16BE(part.length, 2 + 2 * at);
  });
  return Buffer.concat([header, ...parts]);
}

/** A compound's parts. What was cut off at its end is left out, as memberlist does. */
function split(bytes: Buffer): Buffer[] {
  const count = bytes[1] ?? 0;
  let at = 2 + 2 * count;
  if (count === 0 || bytes.length < at) throw malformed("its parts are cut short");
  const parts: Buffer[] = [];
  for (let part = 0; part < count; part++) {
    const size = bytes.readUInt16BE(2 + 2 * part);
    if (at + size > bytes.length) break;
    parts.push(bytes.subarray(at, at + size));
    at += size;
  }
  return parts;
}

/**
 * Undoes a compress message, type byte included. Throws Fault "bad-request", also past `bytesMax`, and past what
 * members' states shrink by (some 10 times): a few bytes must not buy much work.
 */
export function decompress(bytes: Buffer, bytesMax: number): Buffer {
  const fields = new MsgpackReader(bytes, 1).fields();
  if (fields.uint("Algo") !== 0) throw malformed("its compression is unknown");
  const packed = fields.raw("Buf", bytes.length);
  return lzwDecode(packed, Math.min(bytesMax, Math.max(unpackedBytesMax, packed.length * ratioMax)));
}

/** The label's own header; empty without a label. */
export function labelHeader(label: string): Buffer {
  const text = Buffer.from(label);
  assert(text.length < 256, "a label has at most 255 bytes");
  return text.length === 0 ? text : Buffer.concat([Buffer.from([messageType.label, text.length]), text]);
}

/** What follows the label. Throws Fault "permission-denied" when it is not the one expected. */
export function stripLabel(bytes: Buffer, label: string): Buffer {
  const expected = labelHeader(label);
  const found = bytes[0] === messageType.label ? bytes.subarray(0, 2 + (bytes[1] ?? 0)) : Buffer.alloc(0);
  if (!found.equals(expected)) {
    throw new Fault("permission-denied", { message: "the gossip label is not this cluster's" });
  }
  return bytes.subarray(found.length);
}

/** Opens a sealed part. Throws Fault "permission-denied" when no key fits. */
export function decrypt(keyring: Keyring, sealed: Uint8Array, aad: string | Uint8Array): Buffer {
  const plain = keyring.decrypt(sealed, typeof aad === "string" ? Buffer.from(aad) : aad);
  if (plain === undefined) {
    throw new Fault("permission-denied", { message: "no gossip key fits, or the bytes were changed" });
  }
  return plain;
}
