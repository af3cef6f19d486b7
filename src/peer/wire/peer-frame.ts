/**
 * The bytes between peers. Pure.
 *
 *   stream   := preamble frame*                                         each way
 *   preamble := "TRLPEER" format:u8
 *   frame    := length:u32be kind:u8 head-length:u24be  head body       length counts head and body
 *
 * A head is packed by msgpackr, a body is raw: frames of the log, records, or one packed value. How large either may
 * be depends on the kind and is checked before anything is allocated. Before the handshake only its own kinds may come.
 *
 * Never: keeps a part of the chunk it was given, knows a socket.
 */
import { Fault } from "../../fault.ts";
import { readU32be, writeU32be } from "../../lib/bytes.ts";

/** The first thing on a stream. The last byte is the format's version. */
export const preamble = Uint8Array.from([..."TRLPEER"].map((letter) => letter.charCodeAt(0)).concat(1));
/** Stands before the preamble on a plaintext port, where whoever sniffed it left it. */
const marker = 0xa7;
export const prefixBytes = 8;

const kibibyte = 1024;
const mebibyte = 1024 * 1024;

/** Kind of frame → its number and how large its parts may be. */
export const peerFrameKinds = {
  hello: { code: 1, headMax: 4 * kibibyte, bodyMax: 0 },
  welcome: { code: 2, headMax: 4 * kibibyte, bodyMax: 0 },
  refusal: { code: 3, headMax: 4 * kibibyte, bodyMax: 0 },
  message: { code: 4, headMax: 256, bodyMax: 0 },
  append: { code: 5, headMax: 256, bodyMax: 8 * mebibyte },
  /** A million producers' state; most have a few kilobytes. */
  snapshot: { code: 6, headMax: mebibyte, bodyMax: 512 * mebibyte },
  request: { code: 7, headMax: 16 * kibibyte, bodyMax: 4 * mebibyte },
  answer: { code: 8, headMax: 64, bodyMax: 4 * mebibyte },
  ping: { code: 9, headMax: 64, bodyMax: 0 },
  pong: { code: 10, headMax: 64, bodyMax: 0 },
} as const;

export type PeerFrameKind = keyof typeof peerFrameKinds;

/** A frame that came. The head is gone when the next one comes; the body is the taker's own. */
export interface PeerFrame {
  readonly kind: PeerFrameKind;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

/** A frame to send: pieces one after another, those of the body by reference. */
export interface EncodedPeerFrame {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
}

/** Why a stream is not one of ours. */
export type StreamFlaw = "preamble" | "kind" | "early" | "length" | "head" | "body" | "unexpected";

export function malformed(why: StreamFlaw, cause?: unknown): Fault {
  return new Fault("bad-request", {
    message: `a peer's stream is malformed (${why})`,
    facts: { why },
    cause,
  });
}

const none = new Uint8Array(0);
/** A body up to this size is sent as one piece with its head: a copy is cheaper than another piece. */
const joinedBytesMax = kibibyte;

/** Throws Fault "too-large" when a part is larger than its kind may be. */
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
      message: `a ${kind} between peers has at most ${headMax} and ${bodyMax} bytes`,
      facts: { kind, head: head.length, body: bodyBytes, headMax, bodyMax },
    });
  }
  const joined = bodyBytes <= joinedBytesMax;
  const start = Buffer.allocUnsafe(prefixBytes + head.length + (joined ? bodyBytes : 0));
  writeU32be(start, 0, head.length + bodyBytes);
  start[4] = code;
  start[5] = head.length >>> 16;
  start[6] = head.length >>> 8;
  start[7] = head.length;
  start.set(head, prefixBytes);
  const bytes = prefixBytes + head.length + bodyBytes;
  if (!joined) return { chunks: [start, ...body], bytes };
  let at = prefixBytes + head.length;
  for (const piece of body) {
    start.set(piece, at);
    at += piece.length;
  }
  return { chunks: [start], bytes };
}

const byCode: readonly (PeerFrameKind | undefined)[] = Object.entries(peerFrameKinds).reduce<
  (PeerFrameKind | undefined)[]
>((found, [kind, { code }]) => {
  found[code] = kind as PeerFrameKind;
  return found;
}, []);

/** Memory of its own for what was received: it may be kept for long, and must not keep a whole chunk with it. */
function memory(bytes: number): Uint8Array {
  if (bytes === 0) return none;
  const made = bytes < 4 * kibibyte ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);
  return new Uint8Array(made.buffer, made.byteOffset, bytes);
}

/** Makes frames of what comes in, however it is cut into chunks. */
export class PeerFrameReader {
  readonly #onFrame: (frame: PeerFrame) => void;
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixed = 0;
  #begun = false;
  #greeted = false;
  #stopped = false;
  #kind: PeerFrameKind = "hello";
  #headBytes = 0;
  #payload: Uint8Array | undefined;
  #filled = 0;

  constructor(onFrame: (frame: PeerFrame) => void) {
    this.#onFrame = onFrame;
  }

  /** The handshake is over: all kinds may come. */
  greeted(): void {
    this.#greeted = true;
  }

  /** What is left of the chunk, and all that follow, are ignored. */
  stop(): void {
    this.#stopped = true;
  }

  /** Throws Fault "bad-request" (facts: why) or "unsupported-version". After that nothing may follow. */
  push(chunk: Uint8Array): void {
    let at = this.#begun ? 0 : this.#takePreamble(chunk);
    while (at < chunk.length && !this.#stopped) {
      if (this.#payload !== undefined) at = this.#fill(this.#payload, chunk, at);
      else if (this.#prefixed > 0 || chunk.length - at < prefixBytes) at = this.#gather(chunk, at);
      else {
        this.#open(chunk, at);
        at = this.#take(chunk, at + prefixBytes);
      }
    }
  }

  #takePreamble(chunk: Uint8Array): number {
    let at = 0;
    if (this.#prefixed === 0 && chunk[0] === marker) at++;
    while (at < chunk.length && this.#prefixed < preamble.length) {
      const found = chunk[at++]!;
      const expected = preamble[this.#prefixed++]!;
      if (found === expected) continue;
      if (this.#prefixed < preamble.length) throw malformed("preamble");
      throw new Fault("unsupported-version", {
        message: `the peer speaks format ${found}, this node ${expected}`,
        facts: { found, expected },
      });
    }
    if (this.#prefixed === preamble.length) {
      this.#begun = true;
      this.#prefixed = 0;
    }
    return at;
  }

  /** Collects a prefix that a chunk's end has cut. */
  #gather(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + prefixBytes - this.#prefixed);
    this.#prefix.set(chunk.subarray(at, end), this.#prefixed);
    this.#prefixed += end - at;
    if (this.#prefixed < prefixBytes) return end;
    this.#prefixed = 0;
    this.#open(this.#prefix, 0);
    return this.#take(chunk, end);
  }

  /** Reads a prefix, and judges it. */
  #open(bytes: Uint8Array, at: number): void {
    const length = readU32be(bytes, at);
    const kind = byCode[bytes[at + 4]!];
    const head = readU32be(bytes, at + 4) & 0xffffff;
    if (kind === undefined) throw malformed("kind");
    const { headMax, bodyMax, code } = peerFrameKinds[kind];
    if (!this.#greeted && code > peerFrameKinds.refusal.code) throw malformed("early");
    if (this.#greeted && code <= peerFrameKinds.refusal.code) throw malformed("unexpected");
    if (head > headMax || head > length || length - head > bodyMax) throw malformed("length");
    this.#kind = kind;
    this.#headBytes = head;
    this.#filled = length;
  }

  /** The payload, if all of it is in the chunk; else what there is of it. */
  #take(chunk: Uint8Array, at: number): number {
    const length = this.#filled;
    if (chunk.length - at < length) {
      this.#payload = memory(length);
      this.#filled = 0;
      return at;
    }
    const body = at + this.#headBytes;
    const end = at + length;
    const own = memory(end - body);
    own.set(chunk.subarray(body, end));
    this.#onFrame({ kind: this.#kind, head: chunk.subarray(at, body), body: own });
    return end;
  }

  #fill(payload: Uint8Array, chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + payload.length - this.#filled);
    payload.set(chunk.subarray(at, end), this.#filled);
    this.#filled += end - at;
    if (this.#filled === payload.length) {
      this.#payload = undefined;
      const head = payload.subarray(0, this.#headBytes);
      this.#onFrame({ kind: this.#kind, head, body: payload.subarray(this.#headBytes) });
    }
    return end;
  }
}
