/**
 * The framing of the streams between nodes: kinds of frames, their size limits, and encoding. Pure.
 *
 *   stream   := preamble frame*                                         each direction
 *   preamble := "TRLPEER" format:u8
 *   frame    := length:u32be kind:u8 head-length:u24be  head body       length counts head and body
 *
 * A head is one MessagePack value. A body is raw bytes: frames of the log, records, or one MessagePack value.
 */
import { Fault } from "../../fault.ts";
import { writeU32be } from "../../lib/bytes.ts";

/** Starts each stream. The last byte is the version of the framing. */
export const preamble = Uint8Array.from([..."TRLPEER"].map((letter) => letter.charCodeAt(0)).concat(1));
export const prefixBytes = 8;

const kibibyte = 1024;
const mebibyte = 1024 * 1024;

/** The code of each kind of frame on the wire, and the largest head and body in bytes. */
export const peerFrameKinds = {
  hello: { code: 1, headMax: 4 * kibibyte, bodyMax: 0 },
  welcome: { code: 2, headMax: 4 * kibibyte, bodyMax: 0 },
  refusal: { code: 3, headMax: 4 * kibibyte, bodyMax: 0 },
  message: { code: 4, headMax: 256, bodyMax: 0 },
  append: { code: 5, headMax: 256, bodyMax: 8 * mebibyte },
  /** The body has room for the state of a million producers; a typical one has a few kilobytes. */
  snapshot: { code: 6, headMax: mebibyte, bodyMax: 512 * mebibyte },
  request: { code: 7, headMax: 16 * kibibyte, bodyMax: 4 * mebibyte },
  response: { code: 8, headMax: 64, bodyMax: 4 * mebibyte },
  ping: { code: 9, headMax: 64, bodyMax: 0 },
  pong: { code: 10, headMax: 64, bodyMax: 0 },
} as const;

export type PeerFrameKind = keyof typeof peerFrameKinds;

/** A received frame. `head` is valid until the next frame is read; `body` is memory of its own. */
export interface PeerFrame {
  readonly kind: PeerFrameKind;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

/** A frame to send, in pieces. A body of more than 1 KiB is referenced, not copied. */
export interface EncodedPeerFrame {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
}

/**
 * What is malformed in a stream: the preamble, an unknown kind, a kind that is not allowed before the handshake
 * ("early") or at this point ("unexpected"), a length beyond the limits of the kind, or the content of a head or body.
 */
export type StreamFlaw = "preamble" | "kind" | "early" | "length" | "head" | "body" | "unexpected";

export function malformed(why: StreamFlaw, cause?: unknown): Fault {
  return new Fault("bad-request", {
    message: `a peer's stream is malformed (${why})`,
    facts: { why },
    cause,
  });
}

/** A body up to this size is copied behind its head: that costs less than one more chunk to write. */
const copiedBodyMax = kibibyte;

/** @throws Fault "too-large" if the head or body exceeds the limit of its kind */
export function encodePeerFrame(
  kind: PeerFrameKind,
  head: Uint8Array,
  body: readonly Uint8Array[] = [],
): EncodedPeerFrame {
  const { code, headMax, bodyMax } = peerFrameKinds[kind];
  let bodyBytes = 0;
  for (const piece of body) bodyBytes += piece.length;
  if (head.length > headMax || bodyBytes > bodyMax) {
    throw new Fault("too-large", {
      message: `a ${kind} between peers has at most ${headMax} bytes of head and ${bodyMax} bytes of body`,
      facts: { kind, head: head.length, body: bodyBytes, headMax, bodyMax },
    });
  }
  const copied = bodyBytes <= copiedBodyMax;
  const start = Buffer.allocUnsafe(prefixBytes + head.length + (copied ? bodyBytes : 0));
  writeU32be(start, 0, head.length + bodyBytes);
  start[4] = code;
  start[5] = head.length >>> 16;
  start[6] = head.length >>> 8;
  start[7] = head.length;
  start.set(head, prefixBytes);
  const bytes = prefixBytes + head.length + bodyBytes;
  if (!copied) return { chunks: [start, ...body], bytes };
  let at = prefixBytes + head.length;
  for (const piece of body) {
    start.set(piece, at);
    at += piece.length;
  }
  return { chunks: [start], bytes };
}
